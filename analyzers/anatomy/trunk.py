"""Finds blood in the aorta and liver on CT of the trunk, to be measured. Axes (z, y, x), HU.

Anatomy, not a trained model: the spine is where bone stands in slice after slice near the middle;
the aorta is the most uniform disc of its size before and to the left of it, in the same place from
slice to slice; the liver is what is left of soft tissue on the right when it is eroded.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.binary import closed_plane, filled_plane

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

AIM_MM = 1.5
"""Pixels are brought near to this size; slices are looked at about every ``STEP_MM``."""
STEP_MM, MOST_SLICES = 5.0, 60
BONE_HU = 200.0
BODY_HU = -300.0
MIDLINE_MM, SPINE_MM, SLAB_MM = 60.0, 15.0, 50.0
LEAST_BONE = 0.15
"""Share of bone round the middle of a spine, over about ``SPINE_MM`` and a slab of slices."""
DISC_MM, RING_MM = 7.0, (13.0, 17.0)
BEFORE_MM, LEFT_MM = (5.0, 65.0), (-15.0, 45.0)
"""Where the middle of the aorta lies from that of the spine."""
BLOOD_HU = (0.0, 600.0)
LARGEST_SPREAD_HU = 30.0
"""Of the smoothed values in a disc of blood."""
LEAST_STEP_HU = 25.0
"""What surrounds the aorta (fat, lung) differs so much from blood somewhere round it."""
MOST_BONE = 0.5
"""Share of what surrounds a disc: the middle of a vertebra is uniform too."""
JUMP_MM, JUMP_HU = 8.0, 25.0
LEAST_EDGE, MARGIN_MM, MOST_DISCS = 0.5, 20.0, 3
FEWEST_SLICES = 4
LIVER_HU, LIVER_ML, LIVER_EROSION_MM = (25.0, 200.0), 120.0, 12.0
BESIDE_MM = 20.0
NOISE_MM = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    row: float
    column: float


@dataclass(frozen=True, slots=True)
class Disc:
    """A disc of uniform values: slice, row, column and mean."""

    z: int
    y: float
    x: float
    hu: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """Mean HU of blood in the aorta and of liver; None: not found."""

    aorta_hu: float | None
    liver_hu: float | None


def sample(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> Sampled:
    """Aorta and liver where they are seen."""
    step = max(1, round(STEP_MM / spacing_mm[0]), -(-len(hu) // MOST_SLICES))
    pixel_mm = float(np.sqrt(spacing_mm[1] * spacing_mm[2]))
    shrink = min(1.0, pixel_mm / AIM_MM)
    pixel_mm /= shrink
    planes = [_smooth(_resized(plane, shrink), pixel_mm) for plane in hu[::step]]
    step_mm = step * spacing_mm[0]
    spines = _spines(planes, pixel_mm, max(1, round(SLAB_MM / step_mm)))
    discs: list[Disc] = []
    for z, (plane, spine) in enumerate(zip(planes, spines, strict=True)):
        if spine is not None:
            discs += _discs(z, plane, spine, pixel_mm)
    return Sampled(
        aorta_hu=_steady(discs, pixel_mm),
        liver_hu=_liver(planes, spines, pixel_mm, step_mm),
    )


def _resized(plane: NDArray[np.int16], shrink: float) -> Plane:
    size = (max(1, round(plane.shape[1] * shrink)), max(1, round(plane.shape[0] * shrink)))
    return np.asarray(
        cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32
    )


def _smooth(plane: Plane, pixel_mm: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), NOISE_MM / pixel_mm), np.float32)


def _spines(planes: list[Plane], pixel_mm: float, per_slab: int) -> list[Place | None]:
    """The middle of the spine in each plane: where bone stands in slice after slice."""
    found: list[Place | None] = []
    for start in range(0, len(planes), per_slab):
        slab = planes[start : start + per_slab]
        found += [_spine(np.stack(slab), pixel_mm)] * len(slab)
    return found


def _spine(slab: NDArray[np.float32], pixel_mm: float) -> Place | None:
    filled = np.stack([_with_marrow(plane) for plane in slab])
    bone: Plane = filled.mean(axis=0, dtype=np.float32)
    columns = np.flatnonzero((slab > BODY_HU).mean(axis=(0, 1)) > 0.1)
    if not columns.size:
        return None
    middle, reach = columns.mean(), MIDLINE_MM / pixel_mm
    bone[:, : max(0, int(middle - reach))] = 0
    bone[:, int(middle + reach) :] = 0
    dense = cv2.GaussianBlur(bone, (0, 0), SPINE_MM / pixel_mm)
    row, column = np.unravel_index(int(np.argmax(dense)), dense.shape)
    return Place(float(row), float(column)) if dense[row, column] > LEAST_BONE else None


def _discs(z: int, plane: Plane, spine: Place, pixel_mm: float) -> list[Disc]:
    """The three most uniform discs where the aorta may lie."""
    top, left = _corner(spine, pixel_mm)
    window = plane[
        top : int(spine.row + MARGIN_MM / pixel_mm),
        left : int(spine.column + (LEFT_MM[1] + MARGIN_MM) / pixel_mm),
    ]
    here = Place(spine.row - top, spine.column - left)
    mean, score = _likeness(np.ascontiguousarray(window), here, pixel_mm)
    rows, columns = np.indices(window.shape)
    found: list[Disc] = []
    while len(found) < MOST_DISCS and np.isfinite(score.max(initial=-np.inf)):
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        found.append(Disc(z, float(row + top), float(column + left), float(mean[row, column])))
        score[np.hypot(rows - row, columns - column) * pixel_mm < 2 * DISC_MM] = -np.inf
    return found


def _corner(spine: Place, pixel_mm: float) -> tuple[int, int]:
    """First row and column of the window that holds the discs and what surrounds them."""
    up, right = BEFORE_MM[1] + MARGIN_MM, MARGIN_MM - LEFT_MM[0]
    return max(0, int(spine.row - up / pixel_mm)), max(0, int(spine.column - right / pixel_mm))


def _likeness(window: Plane, spine: Place, pixel_mm: float) -> tuple[Plane, Plane]:
    """Mean of the disc round each pixel, and how much it is like an aorta; -inf where not."""
    inner = _kernel(0.0, DISC_MM / pixel_mm)
    ring = _kernel(RING_MM[0] / pixel_mm, RING_MM[1] / pixel_mm)
    mean, square = _around(window, inner), _around(window * window, inner)
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    edge = _different_around(window, mean, ring)
    rows, columns = np.indices(window.shape)
    before, left = (spine.row - rows) * pixel_mm, (columns - spine.column) * pixel_mm
    allowed = np.asarray((before > BEFORE_MM[0]) & (before < BEFORE_MM[1]))
    allowed &= (left > LEFT_MM[0]) & (left < LEFT_MM[1])
    allowed &= (mean > BLOOD_HU[0]) & (mean < BLOOD_HU[1]) & (spread < LARGEST_SPREAD_HU)
    allowed &= (edge > LEAST_EDGE) & ~_in_bone(window, ring)
    score = np.where(allowed, edge - spread / LARGEST_SPREAD_HU, -np.inf)
    return mean, score.astype(np.float32)


def _in_bone(window: Plane, ring: Plane) -> Mask:
    """Inside of a vertebra, whose marrow is as uniform as blood."""
    bone = window > BONE_HU
    surrounded = _around(bone.astype(np.float32), ring) > MOST_BONE
    marrow: Mask = surrounded | (_with_marrow(window) & (window < BONE_HU))
    return marrow


def _with_marrow(plane: Plane) -> Mask:
    """Bone and what it closes in."""
    filled: Mask = filled_plane(closed_plane(plane > BONE_HU, 2))
    return filled


def _different_around(plane: Plane, mean: Plane, ring: Plane) -> Plane:
    """Share of the ring round each pixel whose values differ from the mean of the disc in it.

    Counted at levels of 10 HU: a ring is compared with the level of its disc.
    """
    share = np.zeros_like(plane)
    clipped = np.clip(mean, *BLOOD_HU)
    for level in np.arange(BLOOD_HU[0], BLOOD_HU[1], 20.0):
        here = (clipped >= level) & (clipped < level + 20)
        if here.any():
            other = (np.abs(plane - (level + 10)) > LEAST_STEP_HU).astype(np.float32)
            share[here] = _around(other, ring)[here]
    return share


def _around(plane: Plane, kernel: Plane) -> Plane:
    """The mean of what a kernel covers round each pixel."""
    return np.asarray(cv2.filter2D(plane, cv2.CV_32F, kernel), np.float32)


def _kernel(inner_px: float, outer_px: float) -> Plane:
    half = int(np.ceil(outer_px))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    away = np.hypot(y, x)
    kernel = ((away <= outer_px) & (away >= inner_px)).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _steady(discs: list[Disc], pixel_mm: float) -> float | None:
    """Mean HU of the longest chain of discs in place and value from slice to slice."""
    best: list[Disc] = []
    chains: list[list[Disc]] = []
    for disc in sorted(discs, key=lambda one: one.z):
        follows = [chain for chain in chains if _continues(chain[-1], disc, pixel_mm)]
        chain = [*max(follows, key=len), disc] if follows else [disc]
        chains.append(chain)
        best = max(best, chain, key=len)
    if len(best) < FEWEST_SLICES:
        return None
    return float(np.median([one.hu for one in best]))


def _continues(before: Disc, disc: Disc, pixel_mm: float) -> bool:
    away = np.hypot(disc.y - before.y, disc.x - before.x) * pixel_mm
    near = 1 <= disc.z - before.z <= 2 and away <= JUMP_MM * (disc.z - before.z)
    return bool(near and abs(disc.hu - before.hu) <= JUMP_HU)


def _liver(
    planes: list[Plane],
    spines: list[Place | None],
    pixel_mm: float,
    step_mm: float,
) -> float | None:
    """Median HU of the largest solid organ on the right before the spine."""
    kept = []
    radius = round(LIVER_EROSION_MM / pixel_mm)
    box = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    for plane, spine in zip(planes, spines, strict=True):
        solid = ((plane > LIVER_HU[0]) & (plane < LIVER_HU[1])).astype(np.uint8)
        core = cv2.erode(solid, box) > 0
        if spine is None:
            core[:] = False
        else:
            core[int(spine.row) :] = False
            core[:, max(0, int(spine.column - BESIDE_MM / pixel_mm)) :] = False
        kept.append(core)
    labels, count = ndimage.label(np.stack(kept), ndimage.generate_binary_structure(3, 1))
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    if sizes.max() * pixel_mm**2 * step_mm / 1000 < LIVER_ML:
        return None
    inside = labels == 1 + int(np.argmax(sizes))
    return float(np.median(np.stack(planes)[inside]))
