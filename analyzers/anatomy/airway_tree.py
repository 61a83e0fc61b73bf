"""Grows the airways from the trachea on CT, axes (z, y, x), and stops before they leak.

Two steps, both controlled by the volume they add. First region growing under a rising threshold
(Mori, DOI 10.1109/42.876306): the last threshold before the region explodes into the lung. Then
thin bronchi, where partial volume lifts the lumen above any safe threshold: places darker than
all that surrounds them in a plane (closing residue; Aykac, DOI 10.1109/TMI.2003.815905), as far
as they are joined to the tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.chest_air import ChestAir, find_chest_air
from analyzers.grid.balls import Mask, Spacing, dilate, opened
from analyzers.grid.binary import box_of, filled_plane, sizes_of
from analyzers.grid.growing import NEVER, Growing
from analyzers.grid.hounsfield import Hounsfield, part_of
from analyzers.grid.patient_grid import CoarseGrid, coarse_grid, reduce_to

COARSE_MM = 2.0
LEAST_LUNG_ML = 150.0
LEAST_TRACHEA_MM = 20.0
TRACHEA_AREA_MM2 = (40.0, 800.0)
MIDLINE_MM = 45.0
LEAST_HEIGHT_SHARE = 0.3
"""The centre of the central airways lies above this share of the lungs' height."""

THRESHOLDS_HU = tuple(range(-960, -740, 15))
STEP_ML, STEP_SHARE = 6.0, 0.12
"""A step that adds more than both is a leak."""
RESIDUES_HU = (400, 320, 270, 220, 180, 150)
LARGEST_TWIG_ML = 0.3
"""A piece that a lower residue adds is a twig up to this volume, else a leak."""
BELOW_LUNG_HU = 20.0
WALL_HU, WIDE_MM = -500.0, 2.0
RADII_MM = (1.5, 2.5, 4.0)
SMOOTHING_MM = 0.5
SURROUNDINGS_MM = 6.0
PLANES_AT_ONCE = 16
"""Copied out of the volume together: across its lines a single one takes long."""


@dataclass(frozen=True, slots=True, eq=False)
class AirwayTree:
    """mask: lumen on the input grid. threshold_hu: where growing stopped."""

    mask: Mask
    threshold_hu: int


def airway_tree(hu: Hounsfield, spacing_mm: Spacing) -> AirwayTree | None:
    """The airways; None where the images show no trachea or main bronchi between lungs."""
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    chest = find_chest_air(mean, grid.spacing_mm)
    central = central_airways(chest, grid.spacing_mm)
    if central is None:
        return None
    window = _window(central | chest.lungs, grid, hu.shape)
    part = part_of(hu, window)
    smooth = np.empty(part.shape, np.float32)
    for z, plane in enumerate(smooth):
        plane[:] = _smoothed(part[z], spacing_mm)
    seed = _enlarged(central, grid, window)
    _keep_below(seed, smooth, THRESHOLDS_HU[0])
    if not seed.any():
        return None
    allowed = _enlarged(
        dilate(central | chest.lungs, SURROUNDINGS_MM, grid.spacing_mm), grid, window
    )
    levels = _first_passed(smooth, allowed)
    dark = allowed
    _keep_below(dark, smooth, float(np.median(mean[chest.lungs])) - BELOW_LUNG_HU)
    ranks = _ranks(smooth, dark, spacing_mm)
    del smooth, dark, allowed  # the widest of all, and what follows needs none of them
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    lumen, threshold = _grown(levels, seed, voxel_ml)
    del levels, seed
    _add_thin_bronchi(lumen, ranks, spacing_mm)
    del ranks
    out = np.zeros(hu.shape, bool)
    out[window] = _to_the_wall(part, _filled(lumen), spacing_mm)
    return AirwayTree(out, threshold)


def central_airways(chest: ChestAir, spacing_mm: Spacing) -> Mask | None:
    """Trachea and main bronchi among the bodies of gas: a tube near the midline, between lungs."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    if np.count_nonzero(chest.lungs) * voxel_ml < LEAST_LUNG_ML:
        return None
    heights, _, columns = np.nonzero(chest.lungs)
    low, high = np.percentile(heights, (1, 99))
    middle = (np.percentile(columns, 1) + np.percentile(columns, 99)) / 2
    labels = cc3d.connected_components(chest.gas, connectivity=18)
    best, best_count = 0, 0
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        body = labels[box] == label
        z, _, x = (place + part.start for place, part in zip(np.nonzero(body), box, strict=True))
        areas = body.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2]
        tube = TRACHEA_AREA_MM2[0] <= np.median(areas) <= TRACHEA_AREA_MM2[1]
        long = len(areas) * spacing_mm[0] >= LEAST_TRACHEA_MM
        central = abs(float(np.median(x)) - middle) * spacing_mm[2] <= MIDLINE_MM
        above = z.mean() >= low + LEAST_HEIGHT_SHARE * (high - low)
        if tube and long and central and above and z.size > best_count:
            best, best_count = label, z.size
    return labels == best if best else None


def _window(mask: Mask, grid: CoarseGrid, shape: tuple[int, ...]) -> tuple[slice, ...]:
    box = box_of(mask) or ()
    return tuple(
        slice(max((part.start - 4) * factor, 0), min((part.stop + 4) * factor, size))
        for part, factor, size in zip(box, grid.factors, shape, strict=True)
    )


def _enlarged(mask: Mask, grid: CoarseGrid, window: tuple[slice, ...]) -> Mask:
    labels = mask.view(np.uint8)
    fine = np.empty([part.stop - part.start for part in window], bool)
    for z, plane in enumerate(fine, window[0].start):
        plane[:] = grid.nearest_plane(labels, z, (window[1], window[2]))
    return fine


def _keep_below(mask: Mask, smooth: NDArray[np.float32], limit_hu: float) -> None:
    """Clear a mask, in place, where the values reach a limit."""
    for plane, values in zip(mask, smooth, strict=True):
        plane &= values < limit_hu


def _smoothed(plane: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.float32]:
    sigma = (SMOOTHING_MM / spacing_mm[2], SMOOTHING_MM / spacing_mm[1])
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(smooth, np.float32)


def _grown(levels: NDArray[np.uint8], seed: Mask, voxel_ml: float) -> tuple[Mask, int]:
    """The region under the last threshold that added no more than a bronchus would.

    levels: as ``_first_passed`` gives them.
    """
    region = Growing(levels, seed)
    region.spread(0)
    reached = THRESHOLDS_HU[0]
    for number, threshold in enumerate(THRESHOLDS_HU[1:], 1):
        before = region.places.size * voxel_ml
        if region.spread(number, max(STEP_ML, STEP_SHARE * before) / voxel_ml) is None:
            break
        reached = threshold
    return region.mask(), reached


def _first_passed(smooth: NDArray[np.float32], allowed: Mask) -> NDArray[np.uint8]:
    """The number of the lowest threshold that a voxel lies below; ``NEVER`` where none may be."""
    first, second = THRESHOLDS_HU[:2]
    passed = np.full(smooth.shape, NEVER, np.uint8)
    for plane, values, here in zip(passed, smooth, allowed, strict=True):
        above = np.clip(np.floor((values - first) / (second - first)) + 1, 0, len(THRESHOLDS_HU))
        np.copyto(plane, above.astype(np.uint8), where=here)
    return passed


# --- thin bronchi ---------------------------------------------------------------------------------


def _add_thin_bronchi(tree: Mask, ranks: NDArray[np.uint8], spacing_mm: Spacing) -> None:
    """Add joined twigs, in place: darker than the lung, and than their surroundings in a plane.

    ranks: as ``_ranks`` gives them.
    """
    most = LARGEST_TWIG_ML * 1000.0 / float(np.prod(spacing_mm))
    for number in range(len(RESIDUES_HU)):
        region = Growing(ranks, tree)
        added = region.spread(number)
        assert added is not None
        mask = region.mask_of(added)
        del region
        tree |= _small(mask, most)


def _small(mask: Mask, most: float) -> Mask:
    """Its bodies of up to so many voxels."""
    out = np.zeros(mask.shape, bool)
    if (box := box_of(mask)) is not None:
        bodies = cc3d.connected_components(np.ascontiguousarray(mask[box]), connectivity=26)
        small = sizes_of(bodies) <= most
        small[0] = False
        for plane, found in zip(out[box], bodies, strict=True):
            plane[:] = small[found]
    return out


def _to_the_wall(hu: Hounsfield, tree: Mask, spacing_mm: Spacing) -> Mask:
    """Wide airways grown by a voxel, up to half-way between air and wall."""
    wide = opened(tree, WIDE_MM, spacing_mm)
    rim = dilate(wide, 1.01 * max(spacing_mm[1:]), spacing_mm)
    for z, plane in enumerate(rim):
        if plane.any():
            plane &= _smoothed(hu[z], spacing_mm) < WALL_HU
    rim |= tree
    return rim


def _ranks(smooth: NDArray[np.float32], dark: Mask, spacing_mm: Spacing) -> NDArray[np.uint8]:
    """The number of the first residue of ``RESIDUES_HU`` that a dark voxel exceeds.

    The residue is how far the wall round it rises above it: grey closing by discs in the three
    planes. Where it is too little, and elsewhere, their count.
    """
    ranks = np.full(smooth.shape, len(RESIDUES_HU), np.uint8)
    for axis in range(3):
        rows, columns = (spacing_mm[other] for other in range(3) if other != axis)
        if max(rows, columns) > RADII_MM[0]:
            continue
        discs = [_disc(radius, rows, columns) for radius in RADII_MM]
        image, wanted, out = (np.moveaxis(one, axis, 0) for one in (smooth, dark, ranks))
        for first in range(0, len(image), PLANES_AT_ONCE):
            some = slice(first, first + PLANES_AT_ONCE)
            planes = np.ascontiguousarray(image[some], np.float32)
            found = _plane_ranks(planes, np.ascontiguousarray(wanted[some]), discs)
            np.minimum(out[some], found, out=out[some])
    return ranks


def _plane_ranks(
    planes: NDArray[np.float32], wanted: Mask, discs: list[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    found = np.full(planes.shape, len(RESIDUES_HU), np.uint8)
    reach = max(max(disc.shape) for disc in discs)
    for plane, here, out in zip(planes, wanted, found, strict=True):
        rows, columns = (np.flatnonzero(here.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            continue
        window = tuple(
            slice(max(0, int(one[0]) - reach), int(one[-1]) + reach + 1) for one in (rows, columns)
        )
        flat = np.ascontiguousarray(plane[window])
        shut = [cv2.morphologyEx(flat, cv2.MORPH_CLOSE, disc) for disc in discs]
        residue = np.maximum.reduce(shut) - flat
        exceeded = sum((residue > level).view(np.uint8) for level in RESIDUES_HU)
        np.subtract(len(RESIDUES_HU), exceeded, out=out[window], where=here[window])
    return found


def _disc(radius_mm: float, row_mm: float, column_mm: float) -> NDArray[np.uint8]:
    reach = (max(1, round(radius_mm / column_mm)), max(1, round(radius_mm / row_mm)))
    disc: NDArray[np.uint8] = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1)
    ).astype(np.uint8)
    return disc


def _filled(lumen: Mask) -> Mask:
    """Specks of noise inside the lumen closed, plane by plane."""
    return np.stack([filled_plane(plane) if plane.any() else plane for plane in lumen])
