"""Bone on CT by attenuation, apart from table, contrast agent and metal.

Coarse steps (block means of about 2 mm) say where the body is and where contrast agent is; the
voxels are decided on the full grid by hysteresis: bright enough, and joined to compact bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing, dilate, opened
from analyzers.grid.patient_grid import CoarseGrid, coarse_grid, reduce_to
from analyzers.grid.texture import local_mean_and_spread

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
    allowed: NDArray[np.float32]
    """1 in the body and away from contrast agent."""
    low_hu: float


def bone_mask(hu: NDArray[np.int16], spacing_mm: Spacing) -> Mask:
    """Bone with its marrow on the (z, y, x) grid."""
    coarse = _coarse_bone(hu, spacing_mm)
    low, compact = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    for z, plane in enumerate(hu):
        smooth = _smoothed(plane, spacing_mm)
        allowed = coarse.grid.plane(coarse.allowed, z) > 0.5
        low[z] = (smooth > coarse.low_hu) & allowed
        compact[z] = (smooth > COMPACT_HU) & low[z]
    bone = _joined_to_compact(low, compact, hu, spacing_mm)
    for z, plane in enumerate(bone):
        if plane.any():
            bone[z] = _with_marrow(plane, hu[z], spacing_mm)
    bone &= hu < METAL_HU
    return bone


def _coarse_bone(hu: NDArray[np.int16], spacing_mm: Spacing) -> _Coarse:
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    body = _body(mean, grid.spacing_mm)
    soft = mean[body & (mean > 0) & (mean < 150)]
    tissue = float(np.median(soft)) if soft.size else 40.0
    agent = _contrast_agent(mean, body, grid.spacing_mm)
    allowed = body & ~dilate(agent, CONTRAST_RIM_MM, grid.spacing_mm)
    low_hu = float(np.clip(tissue + ABOVE_TISSUE_HU, *LOW_RANGE_HU))
    return _Coarse(grid, allowed.astype(np.float32), low_hu)


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
        distance = ndimage.distance_transform_edt(~core, sampling=spacing_mm)
        rim = near[(distance > 1.5) & (distance < 5.0)]
        if rim.size and np.median(rim) < np.median(near[core]) - CONTRAST_STEP_HU:
            found[window] |= core
    return found


def _smoothed(plane: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.float32]:
    sigma = (0.6 / spacing_mm[2], 0.6 / spacing_mm[1])
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(smooth, np.float32)


def _joined_to_compact(
    low: Mask, compact: Mask, hu: NDArray[np.int16], spacing_mm: Spacing
) -> Mask:
    """Bodies of bright voxels that hold compact bone: no calcification, no filled bowel."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    labels = cc3d.connected_components(low, connectivity=26)
    stats = cc3d.statistics(labels)
    size_ml = stats["voxel_counts"] * voxel_ml
    seeds_ml = np.bincount(labels[compact], minlength=len(size_ml)) * voxel_ml
    keep = (seeds_ml >= LEAST_COMPACT_ML) & (size_ml >= LEAST_BONE_ML)
    keep[0] = False
    for label in np.flatnonzero(keep & (size_ml < LARGEST_FILLING_ML)):
        box = stats["bounding_boxes"][label]
        keep[label] = not _is_filling(labels[box] == label, hu[box], spacing_mm)
    kept = np.zeros(low.shape, bool)
    kept[low] = keep[labels[low]]
    return kept


def _is_filling(body: Mask, hu: NDArray[np.int16], spacing_mm: Spacing) -> bool:
    """Brightest inside, as contrast agent in bowel, kidney or vessel is; bone has a cortex."""
    padded = np.pad(body, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    rind_mm, core_mm = FILLING_DEPTH_MM
    core, rind = hu[depth >= core_mm], hu[body & (depth < rind_mm)]
    if not rind.size or core.size < LEAST_CORE_SHARE * np.count_nonzero(body):
        return False
    inside = float(np.median(core))
    return inside < FILLING_HU and float(np.percentile(rind, 90)) <= inside


def _with_marrow(bone: Mask, hu: NDArray[np.int16], spacing_mm: Spacing) -> Mask:
    """One axial plane with gaps in the cortex closed and marrow filled; brain and canal are not."""
    reach = [max(1, round(MARROW_CLOSING_MM / step)) for step in (spacing_mm[2], spacing_mm[1])]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1))
    shut = cv2.morphologyEx(bone.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - shut, connectivity=4)
    area = stats[:, cv2.CC_STAT_AREA] * spacing_mm[1] * spacing_mm[2]
    filled = shut.astype(bool)
    for hole in range(1, count):
        if area[hole] > LARGEST_HOLE_MM2:
            continue
        inside = labels == hole
        if _is_marrow(float(np.median(hu[inside])), float(area[hole])):
            filled |= inside
    return filled


def _is_marrow(median_hu: float, area_mm2: float) -> bool:
    if median_hu < AIR_HU:
        return False
    return area_mm2 < SMALL_HOLE_MM2 or median_hu < FAT_HU or median_hu > CANCELLOUS_HU
