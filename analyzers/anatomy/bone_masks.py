"""Bone on CT by attenuation, apart from table, contrast agent and metal.

Coarse steps (block means of about 2 mm) say where the body is and where contrast agent is; the
voxels are decided on the full grid by hysteresis: bright enough, and joined to compact bone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing, dilate, opened, within
from analyzers.grid.binary import bodies, box_of, sizes_of
from analyzers.grid.hounsfield import Hounsfield, part_of
from analyzers.grid.patient_grid import CoarseGrid, coarse_grid, reduce_to
from analyzers.grid.texture import local_mean_and_spread

Window = tuple[slice, slice]

COARSE_MM = 2.0
BODY_HU = -200.0
SKIN_MM = 4.0
LEAST_BODY_SHARE = 0.01

ABOVE_TISSUE_HU = 105.0
LOW_RANGE_HU = (130.0, 200.0)
COMPACT_HU = 300.0
METAL_HU = 3000.0
LEAST_COMPACT_ML = 0.03
LEAST_BONE_ML = 0.25

CONTRAST_HU = 130.0
CONTRAST_SPREAD_HU = 45.0
CONTRAST_RADIUS_MM = 3.5
CONTRAST_STEP_HU = 60.0
CONTRAST_RIM_MM = 3.0

LARGEST_FILLING_ML = 150.0
FILLING_DEPTH_MM = (3.0, 4.0)
LEAST_CORE_SHARE = 0.05
FILLING_HU = 900.0

MARROW_CLOSING_MM = 2.5
SMALL_HOLE_MM2 = 60.0
LARGEST_HOLE_MM2 = 2000.0
AIR_HU, FAT_HU, CANCELLOUS_HU = -200.0, 0.0, 70.0
"""A hole in bone is marrow if its median is that of fat or of cancellous bone."""


@dataclass(frozen=True, slots=True, eq=False)
class _Coarse:
    grid: CoarseGrid
    allowed: Mask
    """1 in the body and away from contrast agent."""
    low_hu: float


def bone_mask(hu: Hounsfield, spacing_mm: Spacing) -> Mask:
    """Bone with its marrow on the (z, y, x) grid."""
    coarse = _coarse_bone(hu, spacing_mm)
    bone = np.zeros(hu.shape, bool)
    compact = []
    for z, plane in enumerate(bone):
        smooth = _smoothed(hu[z], spacing_mm)
        plane[:] = (smooth > coarse.low_hu) & (coarse.grid.plane(coarse.allowed, z) > 0.5)
        compact.append(z * plane.size + np.flatnonzero((smooth > COMPACT_HU) & plane))
    del coarse
    _keep_joined_to_compact(bone, np.concatenate(compact), hu, spacing_mm)
    for z, plane in enumerate(bone):
        if plane.any():
            values = hu[z]
            plane[:] = _with_marrow(plane, values, spacing_mm) & (values < METAL_HU)
    return bone


def _coarse_bone(hu: Hounsfield, spacing_mm: Spacing) -> _Coarse:
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    body = _body(mean, grid.spacing_mm)
    soft = mean[body & (mean > 0) & (mean < 150)]
    tissue = float(np.median(soft)) if soft.size else 40.0
    agent = _contrast_agent(mean, body, grid.spacing_mm)
    allowed = body & ~dilate(agent, CONTRAST_RIM_MM, grid.spacing_mm)
    low_hu = float(np.clip(tissue + ABOVE_TISSUE_HU, *LOW_RANGE_HU))
    return _Coarse(grid, allowed, low_hu)


def _body(mean: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    """Bodies of tissue thicker than a table's skin, and what lies within a few mm of them."""
    thick = opened(mean > BODY_HU, SKIN_MM, spacing_mm)
    labels = cc3d.connected_components(thick, connectivity=6)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    large = np.flatnonzero((counts >= LEAST_BODY_SHARE * counts.max()) & (counts > 0))
    return dilate(np.isin(labels, large), SKIN_MM, spacing_mm)


def _contrast_agent(mean: NDArray[np.float32], body: Mask, spacing_mm: Spacing) -> Mask:
    """Vessels, heart and kidneys filled with contrast agent: even and bright, without a cortex.

    Cancellous bone is as even and as bright, but what surrounds it is brighter still.
    """
    local, spread = local_mean_and_spread(mean, 2.0, spacing_mm)
    even = body & (local > CONTRAST_HU) & (spread < CONTRAST_SPREAD_HU)
    labels = cc3d.connected_components(opened(even, CONTRAST_RADIUS_MM, spacing_mm), connectivity=6)
    found = np.zeros_like(body)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        window = tuple(slice(max(part.start - 6, 0), part.stop + 6) for part in box)
        core, near = labels[window] == label, mean[window]
        rim = near[within(core, 5.0, spacing_mm, nearer=True) & ~within(core, 1.5, spacing_mm)]
        if rim.size and np.median(rim) < np.median(near[core]) - CONTRAST_STEP_HU:
            found[window] |= core
    return found


def _smoothed(plane: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.float32]:
    sigma = (0.6 / spacing_mm[2], 0.6 / spacing_mm[1])
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(smooth, np.float32)


def _keep_joined_to_compact(
    low: Mask, compact: NDArray[np.int64], hu: Hounsfield, spacing_mm: Spacing
) -> None:
    """Clear, in place, bright bodies without compact bone: calcifications, filled bowel.

    compact: flat indices of the voxels of compact bone, all of them low.
    """
    whole = box_of(low)
    if whole is None:
        return
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    labels = bodies(low[whole], LEAST_BONE_ML / voxel_ml - 1, connectivity=26)
    size_ml = sizes_of(labels) * voxel_ml
    place = np.unravel_index(compact, low.shape)
    seeds = labels[tuple(one - part.start for one, part in zip(place, whole, strict=True))]
    seeds_ml = np.bincount(seeds, minlength=len(size_ml)) * voxel_ml
    keep = (seeds_ml >= LEAST_COMPACT_ML) & (size_ml >= LEAST_BONE_ML)
    keep[0] = False
    small = np.flatnonzero(keep & (size_ml < LARGEST_FILLING_ML))
    for label, box in _boxes(labels, small):
        keep[label] = not _is_filling(labels[box] == label, part_of(hu, whole)[box], spacing_mm)
    for plane, found in zip(low[whole], labels, strict=True):
        plane[:] = keep[found]


def _boxes(
    labels: NDArray[np.integer[Any]], wanted: NDArray[np.int64]
) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """The boxes of some of the labels."""
    boxes = ndimage.find_objects(labels, max_label=int(wanted[-1])) if wanted.size else []
    for label in wanted:
        yield int(label), boxes[label - 1]


def _is_filling(body: Mask, hu: NDArray[np.int16], spacing_mm: Spacing) -> bool:
    """Brightest inside, as contrast agent in bowel, kidney or vessel is; bone has a cortex."""
    around = ~np.pad(body, 1)
    inner = (slice(1, -1),) * 3
    rind_mm, core_mm = FILLING_DEPTH_MM
    core = hu[~within(around, core_mm, spacing_mm, nearer=True)[inner]]
    if core.size < LEAST_CORE_SHARE * np.count_nonzero(body):
        return False
    rind = hu[body & within(around, rind_mm, spacing_mm, nearer=True)[inner]]
    if not rind.size:
        return False
    inside = float(np.median(core))
    return inside < FILLING_HU and float(np.percentile(rind, 90)) <= inside


def _with_marrow(bone: Mask, hu: NDArray[np.int16], spacing_mm: Spacing) -> Mask:
    """One axial plane with gaps in the cortex closed and marrow filled; brain and canal are not."""
    reach = [max(1, round(MARROW_CLOSING_MM / step)) for step in (spacing_mm[2], spacing_mm[1])]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1))
    window = _around(bone, margin=max(reach) + 1)
    whole = bone.copy()
    whole[window] = cv2.morphologyEx(bone[window].view(np.uint8), cv2.MORPH_CLOSE, disc)
    labels, small = _holes(whole[window], spacing_mm)
    if small[_outside(labels, window, bone.shape)].any():
        window = (slice(None), slice(None))
        labels, small = _holes(whole, spacing_mm)
    values, part = hu[window].ravel(), whole[window]
    for hole in _grouped(labels, small):
        if _is_marrow(float(np.median(values[hole])), hole.size * spacing_mm[1] * spacing_mm[2]):
            part[np.unravel_index(hole, part.shape)] = True
    return whole


def _holes(bone: Mask, spacing_mm: Spacing) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """What is no bone in a plane, in pieces with numbers, and whether each may hold marrow."""
    _, labels = cv2.connectedComponents((~bone).view(np.uint8), connectivity=4)
    area_mm2 = np.bincount(labels.ravel()) * spacing_mm[1] * spacing_mm[2]
    small = area_mm2 <= LARGEST_HOLE_MM2
    small[0] = False
    return np.asarray(labels, np.int32), small


def _grouped(labels: NDArray[np.int32], wanted: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The flat indices of each of the pieces wanted."""
    places = np.flatnonzero(wanted[labels])
    if not places.size:
        return []
    numbers = labels.ravel()[places]
    order = np.argsort(numbers, kind="stable")
    return np.split(places[order], np.flatnonzero(np.diff(numbers[order])) + 1)


def _around(mask: Mask, margin: int) -> Window:
    """The rows and columns of a plane's mask, and some more."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def _outside(
    labels: NDArray[np.int32], window: Window, shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Labels of a window of a plane that may go on outside of it."""
    rows, columns = window
    edges = [labels[:1] if rows.start else None, labels[:, :1] if columns.start else None]
    edges.append(labels[-1:] if rows.stop < shape[0] else None)
    edges.append(labels[:, -1:] if columns.stop < shape[1] else None)
    met = [np.unique(edge) for edge in edges if edge is not None]
    found = np.unique(np.concatenate(met)) if met else np.empty(0, np.int32)
    return np.asarray(found[found > 0], np.int32)


def _is_marrow(median_hu: float, area_mm2: float) -> bool:
    if median_hu < AIR_HU:
        return False
    return area_mm2 < SMALL_HOLE_MM2 or median_hu < FAT_HU or median_hu > CANCELLOUS_HU
