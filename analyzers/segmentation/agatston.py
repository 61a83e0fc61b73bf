"""Agatston-like scoring of calcium in a region of CT, on axes (z, y, x).

Agatston et al. 1990 (DOI 10.1016/0735-1097(90)90282-T): in slices of 3 mm, area of at least 1 mm²
with 130 HU or more, weighted 1 to 4 by the highest attenuation. Thinner slices are averaged to
about 3 mm first; the score of slices of another thickness t is weighted by t / 3 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing

THRESHOLD_HU = 130.0
LEAST_AREA_MM2 = 1.0
WEIGHTS_HU = (130.0, 200.0, 300.0, 400.0)
"""Weight 1 from the first, 4 from the last."""
SLAB_MM = 3.0
QUIET_HU, LARGEST_SMOOTHING_MM = 20.0, 1.5
"""Noise of a calcium-score examination; louder images are smoothed in-plane until they reach it."""


@dataclass(frozen=True, slots=True, eq=False)
class CalciumScore:
    """sites: calcium on the input grid, each site by its number. noise_hu: standard deviation in
    the scored slabs.

    site_scores: of each site, in the order of their numbers from 1: the highest first.
    smoothing_mm: standard deviation of the Gaussian that was needed against noise; 0 for none.
    """

    score: float
    sites: NDArray[np.uint16]
    site_scores: tuple[float, ...]
    noise_hu: float
    smoothing_mm: float
    slab_mm: float


def agatston(hu: NDArray[np.int16], region: Mask, spacing_mm: Spacing) -> CalciumScore:
    """The score of what lies inside the region."""
    count = max(1, round(SLAB_MM / spacing_mm[0]))
    slabs = _averaged(hu, count)
    inside = np.stack([region[i : i + count].any(axis=0) for i in range(0, len(region), count)])
    noise_hu = _noise(slabs, inside)
    sigma_mm = _smoothing(noise_hu, spacing_mm)
    if sigma_mm > 0:
        slabs = np.stack([_blurred(plane, sigma_mm, spacing_mm) for plane in slabs])
        noise_hu = _noise(slabs, inside)
    weighted = np.zeros(slabs.shape, np.float32)
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    for z, plane in enumerate(slabs):
        if inside[z].any():
            weighted[z] = _plaques(plane, inside[z]) * pixel_mm2
            weighted[z][_smaller(weighted[z] > 0, LEAST_AREA_MM2 / pixel_mm2)] = 0
    height_mm = spacing_mm[0] * count
    labels, scores = _by_site(weighted * np.float32(height_mm / SLAB_MM))
    return CalciumScore(
        score=float(sum(scores)),
        sites=np.repeat(labels, count, axis=0)[: len(hu)],
        site_scores=scores,
        noise_hu=noise_hu,
        smoothing_mm=sigma_mm,
        slab_mm=height_mm,
    )


def _by_site(weighted: NDArray[np.float32]) -> tuple[NDArray[np.uint16], tuple[float, ...]]:
    """Plaques that touch as one site, and the scores of sites; numbered from the highest on."""
    labels = cc3d.connected_components(weighted > 0, connectivity=26)
    there = labels > 0
    totals = np.bincount(labels[there], weights=weighted[there], minlength=int(labels.max()) + 1)
    order = np.argsort(-totals[1:], kind="stable") + 1
    number = np.zeros(len(totals), np.uint16)
    number[order] = np.arange(1, len(order) + 1)
    return number[labels], tuple(float(one) for one in totals[order])


def weight_of(peak_hu: float) -> int:
    """Agatston's weight of a plaque with this highest attenuation."""
    return sum(peak_hu >= level for level in WEIGHTS_HU)


def _averaged(hu: NDArray[np.int16], count: int) -> NDArray[np.float32]:
    """Means of ``count`` neighbouring slices; the last slab may hold fewer."""
    starts = range(0, len(hu), count)
    return np.stack([hu[i : i + count].mean(axis=0, dtype=np.float32) for i in starts])


def _plaques(plane: NDArray[np.float32], inside: Mask) -> NDArray[np.float32]:
    """The weight of the plaque that each pixel of one slab belongs to; 0 where there is none."""
    labels, count = ndimage.label((plane >= THRESHOLD_HU) & inside, np.ones((3, 3)))
    if count == 0:
        return np.zeros(plane.shape, np.float32)
    bright = labels > 0
    peaks = np.asarray(ndimage.maximum(plane[bright], labels[bright], np.arange(count + 1)))
    weights = np.array([0, *(weight_of(peak) for peak in peaks[1:])], np.float32)
    spread: NDArray[np.float32] = weights[labels]
    return spread


def _smaller(mask: Mask, least: float) -> Mask:
    """The pieces of a plane with fewer pixels than that."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    few = np.bincount(labels.ravel(), minlength=count + 1) < least
    few[0] = False
    small: Mask = few[labels]
    return small


def _noise(slabs: NDArray[np.float32], inside: Mask) -> float:
    """Standard deviation of noise: differences of neighbours along x, by the median (MAD)."""
    pairs = inside[:, :, 1:] & inside[:, :, :-1]
    steps = (slabs[:, :, 1:] - slabs[:, :, :-1])[pairs]
    return float(np.median(np.abs(steps))) / 0.6745 / np.sqrt(2.0) if steps.size else 0.0


def _smoothing(noise_hu: float, spacing_mm: Spacing) -> float:
    """Width of the Gaussian that brings white noise down to ``QUIET_HU``."""
    if noise_hu <= QUIET_HU:
        return 0.0
    pixel_mm = float(np.sqrt(spacing_mm[1] * spacing_mm[2]))
    wanted = noise_hu / QUIET_HU * pixel_mm / (2.0 * np.sqrt(np.pi))
    return float(min(wanted, LARGEST_SMOOTHING_MM))


def _blurred(
    plane: NDArray[np.float32], sigma_mm: float, spacing_mm: Spacing
) -> NDArray[np.float32]:
    sigma = (sigma_mm / spacing_mm[2], sigma_mm / spacing_mm[1])
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1]), np.float32)
