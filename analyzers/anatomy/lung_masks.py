"""Full-grid lung masks from the coarse ones.

Coarse steps say what is lung and on which side; the voxels themselves are decided on the full grid
by the patient's own threshold, plane by plane, so no copy of the volume is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.chest_air import GAS_RIM_MM, find_chest_air
from analyzers.anatomy.lung_sides import (
    LEFT_LABEL,
    RIGHT_LABEL,
    flood,
    part_sides,
)
from analyzers.grid.balls import Mask, Spacing, closed, dilate, opened
from analyzers.grid.binary import box_of, filled
from analyzers.grid.hounsfield import Hounsfield
from analyzers.grid.patient_grid import CoarseGrid, Window, coarse_grid, reduce_to

COARSE_MM = 2.0
BRIDGE_MM = 3.0
CLOSING_MM = 9.0
"""Radius of the ball: vessels, the hilum and nodules up to twice this belong to the lung."""
SMOOTHING_MM = 0.6
FINE_CLOSING_MM = 2.0
JUNCTION_MM = 3.0
"""Half the width of the band in which the border between touching lungs is looked for."""
ROOM_MM = 8.0
"""Smoothing and closing of a plane look no farther."""
FILL_LEVEL = 0.75
"""Interpolated coarse fill counts from here on: half a coarse voxel inside its outline."""


@dataclass(frozen=True, slots=True, eq=False)
class _Coarse:
    """What the coarse steps found; fields are uint8 or bool on the coarse grid."""

    grid: CoarseGrid
    reach: NDArray[np.uint8]
    """Side labels, one voxel beyond the aerated lung: where the full grid may find lung."""
    filled: tuple[Mask, Mask]
    """Right and left lung with vessels, hilum and nodules filled."""
    gas: Mask
    threshold_hu: float


def lung_masks(hu: Hounsfield, spacing_mm: Spacing) -> NDArray[np.uint8]:
    """Labels ``RIGHT_LABEL`` and ``LEFT_LABEL`` on the (z, y, x) grid; all 0 where no lung is."""
    out = np.zeros(hu.shape, np.uint8)
    coarse = _coarse_lungs(hu, spacing_mm)
    if coarse is None:
        return out
    used = (coarse.reach > 0) | coarse.filled[0] | coarse.filled[1]
    for z in range(len(hu)):
        window = _window(used[coarse.grid.beside(z)], coarse.grid, spacing_mm)
        if window is not None:
            out[z][window] = _plane(hu[z, *window], z, coarse, window, spacing_mm)
    return out


def _coarse_lungs(hu: Hounsfield, spacing_mm: Spacing) -> _Coarse | None:
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    chest = find_chest_air(mean, grid.spacing_mm)
    if not chest.lungs.any():
        return None
    sides = part_sides(mean, chest.lungs, grid.spacing_mm)
    airways = dilate(opened(chest.gas, 3.5, grid.spacing_mm), GAS_RIM_MM, grid.spacing_mm)
    right, left = (
        _filled(sides == side, sides, airways, grid.spacing_mm)
        for side in (RIGHT_LABEL, LEFT_LABEL)
    )
    return _Coarse(
        grid=grid,
        reach=_reach(sides, grid.spacing_mm),
        filled=(right, left & ~right),
        gas=dilate(chest.gas, GAS_RIM_MM, grid.spacing_mm),
        threshold_hu=chest.threshold_hu,
    )


def _filled(side: Mask, sides: NDArray[np.uint8], airways: Mask, spacing_mm: Spacing) -> Mask:
    """One lung with its vessels, the hilar recesses and nodules up to the closing's size."""
    bridged = filled(closed(side, BRIDGE_MM, spacing_mm))
    full = closed(bridged, CLOSING_MM, spacing_mm)
    lung: Mask = full & ~airways & ((sides == 0) | side)
    return lung


def _reach(sides: NDArray[np.uint8], spacing_mm: Spacing) -> NDArray[np.uint8]:
    """The label of the nearest voxel of lung, where one is near."""
    reach_mm = 1.1 * max(spacing_mm[1:])
    near = sides.copy()
    right, left = (
        dilate(sides == side, reach_mm, spacing_mm) & (sides == 0)
        for side in (RIGHT_LABEL, LEFT_LABEL)
    )
    near[right], near[left] = RIGHT_LABEL, LEFT_LABEL
    if (box := box_of(right & left)) is not None:
        margins = [int(reach_mm / step) + 1 for step in spacing_mm]
        part = tuple(
            slice(max(one.start - margin, 0), one.stop + margin)
            for one, margin in zip(box, margins, strict=True)
        )
        nearest = ndimage.distance_transform_edt(
            sides[part] == 0, sampling=spacing_mm, return_distances=False, return_indices=True
        )
        both = (right & left)[part]
        near[part][both] = sides[part][tuple(nearest)][both]
    return near


def _window(used: Mask, grid: CoarseGrid, spacing_mm: Spacing) -> Window | None:
    """The rows and columns that hold all of both lungs in some planes of the coarse grid, with
    room for what looks around."""
    box = box_of(used)
    if box is None:
        return None
    _, rows, columns = (
        slice(
            max((part.start - 2) * factor - int(ROOM_MM / step), 0),
            min((part.stop + 2) * factor + int(ROOM_MM / step), size),
        )
        for part, factor, step, size in zip(
            box, grid.factors, spacing_mm, grid.fine_shape, strict=True
        )
    )
    return rows, columns


def _plane(
    hu: NDArray[np.int16], z: int, coarse: _Coarse, window: Window, spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Labels of the window of one axial plane of the full grid."""
    out = np.zeros(hu.shape, np.uint8)
    reach = coarse.grid.nearest_plane(coarse.reach, z, window)
    air = _smoothed(hu, spacing_mm) < coarse.threshold_hu
    air &= coarse.grid.plane(coarse.gas, z, window) <= 0.5
    for side, field in zip((RIGHT_LABEL, LEFT_LABEL), coarse.filled, strict=True):
        lung = air & (reach == side)
        lung |= coarse.grid.plane(field, z, window) > FILL_LEVEL
        _close_plane(lung, spacing_mm)
        out[lung & (out == 0)] = side
    return _refined_junction(hu, out, spacing_mm)


def _refined_junction(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Where both lungs touch, the border moved onto the brightest line between them."""
    reach = max(2, round(JUNCTION_MM / min(spacing_mm[1:])))
    if _are_apart(labels, 2 * reach):
        return labels
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    right, left = (
        np.asarray(cv2.dilate((labels == side).astype(np.uint8), disc), bool)
        for side in (RIGHT_LABEL, LEFT_LABEL)
    )
    band = right & left & (labels > 0)
    if not band.any():
        return labels
    rows, columns = (np.flatnonzero(band.any(axis=axis)) for axis in (1, 0))
    window = (
        slice(max(rows[0] - 2, 0), rows[-1] + 3),
        slice(max(columns[0] - 2, 0), columns[-1] + 3),
    )
    markers = np.where(band, 0, labels)[window]
    grown = flood(hu[window].astype(np.float32), markers, labels[window] > 0)
    out = labels.copy()
    out[window] = np.where(grown > 0, grown, labels[window])
    return out


def _are_apart(labels: NDArray[np.uint8], least: int) -> bool:
    """Whether all columns of one lung lie farther than that from those of the other."""
    right, left = (
        np.flatnonzero((labels == side).any(axis=0)) for side in (RIGHT_LABEL, LEFT_LABEL)
    )
    if not right.size or not left.size:
        return True
    return bool(max(left[0] - right[-1], right[0] - left[-1]) > least)


def _smoothed(hu: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.float32]:
    sigma = (SMOOTHING_MM / spacing_mm[2], SMOOTHING_MM / spacing_mm[1])
    smooth = cv2.GaussianBlur(hu.astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(smooth, np.float32)


def _close_plane(mask: Mask, spacing_mm: Spacing) -> None:
    """Close, in place, with a disc of ``FINE_CLOSING_MM``: small vessels at the surface, noise."""
    columns = np.flatnonzero(mask.any(axis=0))
    if not columns.size:
        return
    reach = [max(1, round(FINE_CLOSING_MM / step)) for step in (spacing_mm[2], spacing_mm[1])]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1))
    part = mask[:, max(columns[0] - reach[0] - 1, 0) : columns[-1] + reach[0] + 2]
    shut = np.ascontiguousarray(part).view(np.uint8)
    part[:] = cv2.morphologyEx(shut, cv2.MORPH_CLOSE, disc).view(bool)
