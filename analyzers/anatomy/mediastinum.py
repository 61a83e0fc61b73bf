"""The space between the lungs on CT, without bone and central airways, on axes (z, y, x).

In an axial plane it is what the convex outline of both lungs encloses and is not lung: heart, great
vessels, nodes, oesophagus. Planes that show one lung only belong to no mediastinum here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.bone_masks import bone_mask
from analyzers.anatomy.lung_masks import lung_masks
from analyzers.anatomy.lung_sides import LEFT_LABEL, RIGHT_LABEL
from analyzers.grid.balls import Mask, Spacing, dilate, opened
from analyzers.grid.binary import box_of
from analyzers.grid.hounsfield import Hounsfield, part_of
from analyzers.grid.patient_grid import CoarseGrid, coarse_grid, reduce_to

COARSE_MM = 2.0
ROOM_MM = 16.0
"""Round the lungs: what is looked at lies no farther from the space between them."""
LEAST_SIDE_MM2 = 500.0
HEART_BASE_MM = 15.0
"""Lungs this far above a plane count for its outline: the heart rests below much of them."""
LUNG_RIM_MM, BONE_RIM_MM = 2.5, 4.0
"""Kernels overshoot by more than 130 HU within this distance of air and bone."""
GAS_RIM_MM = 8.0
"""The wall of the oesophagus, with what sticks to it, lies within this of the gas in it."""
FRONT_MM = 8.0
"""Cartilage and the vessels behind it lie within this of the front of the space."""
RIGHT_MM = 60.0
"""The heart reaches no farther than this to the right of the middle; the liver does."""
HEART_HU, HEART_RADIUS_MM, LEAST_HEART_ML = (0.0, 130.0), 10.0, 100.0
NOISE_MM = 2.0
"""Standard deviation of the neighbourhood in which most have to be blood or muscle."""
WALL_MM = 10.0
"""Walls of heart and great vessels, coronary arteries in their fat among them, lie within this of
what a ball of ``HEART_RADIUS_MM`` reaches in them."""
BEHIND_SPINE_FRONT_MM = 20.0
"""The descending aorta reaches no farther back than this behind the front of the spine."""
SPINE_WIDTH_MM = 40.0
LEAST_SKELETON_ML = 8.0
"""Smaller bone-like bodies may be calcified valves, vessels and nodes; they stay."""
LARGEST_SHARE_BETWEEN = 0.8
GAS_HU, LEAST_GAS_SHARE = -400, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Mediastinum:
    """between: all that lies between the lungs, up to their border. walls: the part of it in which
    calcium of heart and great vessels lies; nowhere without a heart. lungs_ml: of both lungs."""

    between: Mask
    walls: Mask
    lungs_ml: float


def mediastinum(hu: Hounsfield, spacing_mm: Spacing) -> Mediastinum:
    """The space between the lungs; nowhere where there are no two lungs."""
    lungs = lung_masks(hu, spacing_mm)
    lungs_ml = float(np.count_nonzero(lungs)) * float(np.prod(spacing_mm)) / 1000.0
    found = Mediastinum(np.zeros(hu.shape, bool), np.zeros(hu.shape, bool), lungs_ml)
    window = _window(lungs, spacing_mm)
    if window is None:
        return found
    between, region = found.between[window], found.walls[window]
    _enclose(between, lungs[window], spacing_mm)
    if not between.any():
        return found
    there = lungs[window] > 0
    del lungs
    skeleton = _skeleton(bone_mask(hu, spacing_mm), found.between, window, spacing_mm)
    np.copyto(region, between & ~_left_out(part_of(hu, window), there, skeleton, spacing_mm))
    between &= ~there & ~skeleton
    _cut_to_heart(region, between, spacing_mm)
    region &= _near_heart(part_of(hu, window), between, spacing_mm)
    return found


def _window(lungs: NDArray[np.uint8], spacing_mm: Spacing) -> tuple[slice, ...] | None:
    """All planes, of them what holds the lungs with room round, of whole voxels of the coarse
    grid; None without a lung."""
    box = box_of(lungs > 0)
    if box is None:
        return None
    factors = coarse_grid(lungs.shape, spacing_mm, COARSE_MM).factors
    rows, columns = (
        slice(
            max(0, (part.start - int(ROOM_MM / step)) // factor * factor),
            -(-(part.stop + int(ROOM_MM / step)) // factor) * factor,
        )
        for part, factor, step in zip(box[1:], factors[1:], spacing_mm[1:], strict=True)
    )
    return slice(None), rows, columns


def _enclose(between: Mask, lungs: NDArray[np.uint8], spacing_mm: Spacing) -> None:
    """Mark, in place, what the outline of both lungs encloses in planes that show both."""
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    above = 1 + round(HEART_BASE_MM / spacing_mm[0])
    for z, plane in enumerate(lungs):
        sides = [np.count_nonzero(plane == side) * pixel_mm2 for side in (LEFT_LABEL, RIGHT_LABEL)]
        if min(sides) >= LEAST_SIDE_MM2:
            between[z] = _outline(np.maximum.reduce(lungs[z : z + above], axis=0) > 0)


def _skeleton(bone: Mask, between: Mask, window: tuple[slice, ...], spacing_mm: Spacing) -> Mask:
    """Large bodies of bone, in the window, without those that lie between the lungs altogether:
    those are blood with agent. What is behind the spine is cleared, in place, from ``between``."""
    box = box_of(bone)
    if box is None:
        return bone[window]
    labels = cc3d.connected_components(np.ascontiguousarray(bone[box]), connectivity=26)
    counts = np.bincount(labels[bone[box]])
    keep = counts >= int(LEAST_SKELETON_ML * 1000.0 / float(np.prod(spacing_mm)))
    keep[0] = False
    _only(bone[box], labels, keep)
    _cut_behind_spine(between[window], bone[window], spacing_mm)
    inside = np.bincount(labels[(between[box] & bone[box])], minlength=len(counts))
    _only(bone[box], labels, keep & (inside < LARGEST_SHARE_BETWEEN * counts))
    return bone[window]


def _only(bone: Mask, labels: NDArray[np.integer[Any]], keep: NDArray[np.bool_]) -> None:
    for plane, found in zip(bone, labels, strict=True):
        plane[:] = keep[found]


def _cut_to_heart(region: Mask, between: Mask, spacing_mm: Spacing) -> None:
    """Clear, in place, what lies right behind the front, or where only the liver lies."""
    columns = np.flatnonzero(between.any(axis=(0, 1)))
    region[:, :, : max(0, int(columns[[0, -1]].mean() - RIGHT_MM / spacing_mm[2]))] = False
    depth = round(FRONT_MM / spacing_mm[1])
    for plane, space in zip(region, between, strict=True):
        if space.any():
            plane &= np.cumsum(space, axis=0, dtype=np.uint16) > depth


def _near_heart(hu: Hounsfield, between: Mask, spacing_mm: Spacing) -> Mask:
    """Within reach of the large bodies of blood and muscle; no oesophagus, no lone node."""
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    likely = ((mean > HEART_HU[0]) & (mean < HEART_HU[1])).astype(np.float32)
    away = [NOISE_MM / one for one in grid.spacing_mm]
    soft = np.asarray(ndimage.gaussian_filter(likely, away) > 0.5)
    soft &= reduce_to(grid, between) > 0.5
    bodies = opened(soft, HEART_RADIUS_MM, grid.spacing_mm)
    heart = cc3d.dust(
        bodies, threshold=int(LEAST_HEART_ML / grid.voxel_ml), connectivity=6, in_place=False
    ).astype(bool)
    near = dilate(heart, WALL_MM, grid.spacing_mm).view(np.uint8)
    return _enlarged(near, grid)


def _outline(lungs: Mask) -> Mask:
    """The convex hull of a plane's lungs, filled."""
    outlines, _ = cv2.findContours(
        lungs.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    hull = cv2.convexHull(np.concatenate(outlines))
    filled = np.zeros(lungs.shape, np.uint8)
    cv2.fillConvexPoly(filled, hull, 1)
    inside: Mask = filled.astype(bool)
    return inside


def _cut_behind_spine(between: Mask, skeleton: Mask, spacing_mm: Spacing) -> None:
    """Clear, in place, what lies well behind the front of the spine: gutters, canal, ribs."""
    columns = np.flatnonzero(between.any(axis=(0, 1)))
    half = round(SPINE_WIDTH_MM / 2 / spacing_mm[2])
    middle = int(columns[[0, -1]].mean())
    depth = round(BEHIND_SPINE_FRONT_MM / spacing_mm[1])
    for plane, bone in zip(between, skeleton, strict=True):
        rows = np.flatnonzero(plane.any(axis=1))
        if not rows.size:
            continue
        spine = bone[:, max(middle - half, 0) : middle + half]
        spine = np.flatnonzero(spine[int(rows.mean()) :].any(axis=1))
        if spine.size:
            plane[int(rows.mean()) + spine[0] + depth :] = False


def _left_out(hu: Hounsfield, lungs: Mask, skeleton: Mask, spacing_mm: Spacing) -> Mask:
    """Lungs, skeleton and gas (airways, oesophagus) with their rims, on a grid of about 2 mm."""
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    parts = []
    for mask, rim_mm in ((lungs, LUNG_RIM_MM), (skeleton, BONE_RIM_MM)):
        parts.append(dilate(reduce_to(grid, mask) > 0.5, rim_mm, grid.spacing_mm))
    dark = np.empty(lungs.shape, bool)
    for z, plane in enumerate(dark):
        plane[:] = (hu[z] < GAS_HU) & ~lungs[z]
    gas = reduce_to(grid, dark) > LEAST_GAS_SHARE
    parts.append(dilate(gas, GAS_RIM_MM, grid.spacing_mm))
    out = _enlarged((parts[0] | parts[1] | parts[2]).view(np.uint8), grid)
    out |= lungs
    out |= skeleton
    return out


def _enlarged(coarse: NDArray[np.uint8], grid: CoarseGrid) -> Mask:
    fine = np.empty(grid.fine_shape, bool)
    for z, plane in enumerate(fine):
        plane[:] = grid.nearest_plane(coarse, z)
    return fine
