"""Blobs of tissue inside the lungs: where a nodule could be. All on a grid of 1 mm cubes.

Blob detector: scale-normalised differences of Gaussians (Lindeberg, IJCV 1998,
DOI 10.1023/A:1008045108935), bright on dark, over diameters of 4 to 30 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from analyzers.anatomy.lung_sides import LEFT_LABEL
from analyzers.contract import reached
from analyzers.grid.balls import Mask, Spacing
from analyzers.grid.binary import box_of
from analyzers.grid.blur import blur_on_cpu, blur_on_device
from analyzers.grid.hounsfield import Hounsfield, part_of
from analyzers.grid.zooming import zoomed_planes, zoomed_shape

STEP_MM = 1.0
MARGIN_MM = 8.0
FLOOR_HU, CEILING_HU = -1000, 300
RATIO = 1.3
DIAMETERS_MM = tuple(4.0 * RATIO**step for step in range(9))
"""4 to 32.6 mm: each scale's wide Gaussian is the narrow one of the next."""
VESSEL_HU = -400
LEAST_RESPONSE_HU = 120.0
MOST_CANDIDATES = 400
PEAK_VOXELS, PLANES_AT_ONCE = 5, 16


@dataclass(frozen=True, eq=False)
class LungGrid:
    """A cut-out of both lungs on cubes of ``STEP_MM``, axes (z, y, x).

    hu: float32, limited to ``FLOOR_HU`` … ``CEILING_HU``. lungs: closed masks, nodules included.
    left: voxels of the left lung. window: the same cut-out on the fine grid.
    hila: where the vessels of each lung gather at its medial side, on this grid.
    """

    hu: NDArray[np.float32]
    lungs: Mask
    left: Mask
    window: tuple[slice, ...]
    hila: tuple[NDArray[np.float64], ...] = ()

    @cached_property
    def edge(self) -> KDTree:
        """The voxels just outside of the lungs: of all outside, the nearest is one of these."""
        beside = np.zeros(self.lungs.shape, bool)
        for axis in range(3):
            low, high = (
                tuple(part if one == axis else slice(None) for one in range(3))
                for part in (slice(None, -1), slice(1, None))
            )
            beside[low] |= self.lungs[high]
            beside[high] |= self.lungs[low]
        beside &= ~self.lungs
        return KDTree(np.argwhere(beside), balanced_tree=False, compact_nodes=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A blob: its centre on the ``LungGrid``, its diameter in mm and its contrast in HU."""

    centre: tuple[int, int, int]
    diameter_mm: float
    response_hu: float


def lung_grid(hu: Hounsfield, labels: NDArray[np.uint8], spacing_mm: Spacing) -> LungGrid:
    """The lungs of a (z, y, x) volume, resampled linearly; labels: as ``lung_masks`` gives them."""
    found = box_of(labels > 0) or ()
    margins = [int(np.ceil(MARGIN_MM / step)) for step in spacing_mm]
    window = tuple(
        slice(max(part.start - margin, 0), part.stop + margin)
        for part, margin in zip(found, margins, strict=True)
    )
    zoom = tuple(step / STEP_MM for step in spacing_mm)
    part = part_of(hu, window)
    size = zoomed_shape(part.shape, zoom)
    cubes, inside, left = np.empty(size, np.float32), np.empty(size, bool), np.empty(size, bool)
    parts = (
        zoomed_planes(part, zoom, lambda plane: np.clip(plane, FLOOR_HU, CEILING_HU)),
        zoomed_planes(labels[window], zoom, lambda plane: plane > 0),
        zoomed_planes(labels[window], zoom, lambda plane: plane == LEFT_LABEL),
    )
    for z, (values, lung, left_lung) in enumerate(zip(*parts, strict=True)):
        cubes[z] = values
        inside[z] = lung.astype(np.float32) > 0.5
        left[z] = inside[z] & (left_lung.astype(np.float32) > 0.5)
    return LungGrid(cubes, inside, left, window, _hila(cubes, inside, left))


def _hila(cubes: NDArray[np.float32], lungs: Mask, left: Mask) -> tuple[NDArray[np.float64], ...]:
    """The middle (median) of the tissue in the medial half of each lung."""
    sides = [np.argwhere(side & (cubes > VESSEL_HU)) for side in (left, lungs & ~left)]
    whole = [np.argwhere(side[::4, ::4, ::4])[:, 2] * 4.0 for side in (left, lungs & ~left)]
    if any(len(one) == 0 for one in (*sides, *whole)):
        return tuple(np.median(one, axis=0) for one in sides if len(one))
    middles = [float(np.median(one)) for one in whole]
    medial = [
        (side[:, 2] - middle) * (other - middle) > 0
        for side, middle, other in zip(sides, middles, middles[::-1], strict=True)
    ]
    return tuple(
        np.median(side[near], axis=0)
        for side, near in zip(sides, medial, strict=True)
        if near.any()
    )


def candidates(grid: LungGrid, device: str) -> list[Candidate]:
    """The strongest blobs in the lungs, none within half its diameter of a stronger one."""
    response, scale = _blobs(grid.hu, device)
    peaks = _peaks(response, grid.lungs)
    places = np.argwhere(peaks)
    strength = response[peaks]
    del response
    kept: list[Candidate] = []
    centres = np.empty((0, 3))
    reaches = np.empty(0)
    for index in np.argsort(-strength, kind="stable"):
        place = places[index]
        size = float(np.float32(DIAMETERS_MM[scale[tuple(place)]]))
        if len(kept) and np.any(
            np.linalg.norm(centres - place, axis=1) <= 0.5 * np.maximum(reaches, size)
        ):
            continue
        z, y, x = (int(v) for v in place)
        kept.append(Candidate((z, y, x), size, float(strength[index])))
        centres, reaches = np.vstack([centres, place]), np.append(reaches, size)
        if len(kept) == MOST_CANDIDATES:
            break
    return kept


def _peaks(response: NDArray[np.float32], lungs: Mask) -> Mask:
    """Where in the lungs the response is strong, and not weaker than round about."""
    peaks = (response > LEAST_RESPONSE_HU) & lungs
    reach = PEAK_VOXELS // 2
    for first in range(0, len(peaks), PLANES_AT_ONCE):
        before = max(first - reach, 0)
        here = slice(first, first + PLANES_AT_ONCE)
        near = ndimage.maximum_filter(response[before : here.stop + reach], PEAK_VOXELS)
        near = near[first - before :][: len(peaks[here])]
        peaks[here] &= response[here] == near
    return peaks


def _blobs(hu: NDArray[np.float32], device: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Strongest response over all scales, and the number of the scale at which it was found."""
    response = np.full(hu.shape, -np.inf, np.float32)
    scale = np.zeros(hu.shape, np.uint8)
    sigmas = [size / 2 / np.sqrt(3) / STEP_MM for size in DIAMETERS_MM]
    narrow = _blur(hu, float(sigmas[0]), device)
    for done, sigma in enumerate(sigmas):
        reached(done, len(DIAMETERS_MM))
        wide = _blur(hu, float(RATIO * sigma), device)
        for z, here in enumerate(narrow):
            here -= wide[z]
            here /= np.float32(RATIO - 1)
            stronger = here > response[z]
            np.maximum(response[z], here, out=response[z])
            np.copyto(scale[z], np.uint8(done), where=stronger)
        narrow = wide
    return response, scale


def _blur(hu: NDArray[np.float32], sigma: float, device: str) -> NDArray[np.float32]:
    sigmas = (sigma, sigma, sigma)
    if device.startswith("cuda"):
        return blur_on_device(hu, sigmas, device)
    return blur_on_cpu(hu.copy(), sigmas)
