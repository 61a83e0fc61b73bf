"""Full-grid lung masks from the coarse ones.

Coarse steps say what is lung and on which side; the voxels themselves are decided on the full grid
by the patient's own threshold, plane by plane, so no second volume of floats is ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.chest_air import GAS_RIM_MM, ChestAir, find_chest_air
from analyzers.anatomy.lung_sides import (
    LEFT_LABEL,
    RIGHT_LABEL,
    flood,
    part_sides,
)
from analyzers.grid.balls import Mask, Spacing, closed, dilate, opened
from analyzers.grid.patient_grid import CoarseGrid, coarse_grid, reduce_to

COARSE_MM = 2.0
BRIDGE_MM = 3.0
CLOSING_MM = 9.0
"""Radius of the ball: vessels, the hilum and nodules up to twice this belong to the lung."""
SMOOTHING_MM = 0.6
FINE_CLOSING_MM = 2.0
JUNCTION_MM = 3.0
"""Half the width of the band in which the border between touching lungs is looked for."""
FILL_LEVEL = 0.75
"""Interpolated coarse fill counts from here on: half a coarse voxel inside its outline."""


@dataclass(frozen=True, slots=True, eq=False)
class _Coarse:
    """What the coarse steps found; fields are uint8 or bool on the coarse grid."""

    grid: CoarseGrid
    reach: NDArray[np.uint8]
    """Side labels, one voxel beyond the aerated lung: where the full grid may find lung."""
    filled: tuple[NDArray[np.float32], NDArray[np.float32]]
    """Right and left lung with vessels, hilum and nodules filled, 0–1."""
    gas: NDArray[np.float32]
    threshold_hu: float


def lung_masks(hu: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.uint8]:
    """Labels ``RIGHT_LABEL`` and ``LEFT_LABEL`` on the (z, y, x) grid; all 0 where no lung is."""
    out = np.zeros(hu.shape, np.uint8)
    coarse = _coarse_lungs(hu, spacing_mm)
    if coarse is None:
        return out
    for z in range(len(hu)):
        out[z] = _plane(hu[z], z, coarse, spacing_mm)
    return out


def _coarse_lungs(hu: NDArray[np.int16], spacing_mm: Spacing) -> _Coarse | None:
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    chest = find_chest_air(mean, grid.spacing_mm)
    if not chest.lungs.any():
        return None
    sides = part_sides(mean, chest.lungs, grid.spacing_mm)
    right, left = (
        _filled(sides == side, sides, chest, grid.spacing_mm) for side in (RIGHT_LABEL, LEFT_LABEL)
    )
    return _Coarse(
        grid=grid,
        reach=_reach(sides, grid.spacing_mm),
        filled=(right.astype(np.float32), (left & ~right).astype(np.float32)),
        gas=dilate(chest.gas, GAS_RIM_MM, grid.spacing_mm).astype(np.float32),
        threshold_hu=chest.threshold_hu,
    )


def _filled(side: Mask, sides: NDArray[np.uint8], chest: ChestAir, spacing_mm: Spacing) -> Mask:
    """One lung with its vessels, the hilar recesses and nodules up to the closing's size."""
    bridged = ndimage.binary_fill_holes(closed(side, BRIDGE_MM, spacing_mm))
    full = closed(bridged, CLOSING_MM, spacing_mm)
    wide = dilate(opened(chest.gas, 3.5, spacing_mm), GAS_RIM_MM, spacing_mm)
    filled: Mask = full & ~wide & ((sides == 0) | side)
    return filled


def _reach(sides: NDArray[np.uint8], spacing_mm: Spacing) -> NDArray[np.uint8]:
    reach_mm = 1.1 * max(spacing_mm[1:])
    distance, nearest = ndimage.distance_transform_edt(
        sides == 0, sampling=spacing_mm, return_indices=True
    )
    near: NDArray[np.uint8] = np.where(distance <= reach_mm, sides[tuple(nearest)], 0)
    return near.astype(np.uint8)


def _plane(
    hu: NDArray[np.int16], z: int, coarse: _Coarse, spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Labels of one axial plane of the full grid."""
    out = np.zeros(hu.shape, np.uint8)
    reach = coarse.grid.nearest_plane(coarse.reach, z)
    fills = [coarse.grid.plane(field, z) > FILL_LEVEL for field in coarse.filled]
    if not reach.any() and not any(fill.any() for fill in fills):
        return out
    air = _smoothed(hu, spacing_mm) < coarse.threshold_hu
    air &= coarse.grid.plane(coarse.gas, z) <= 0.5
    for side, fill in zip((RIGHT_LABEL, LEFT_LABEL), fills, strict=True):
        out[_closed_plane((air & (reach == side)) | fill, spacing_mm) & (out == 0)] = side
    return _refined_junction(hu, out, spacing_mm)


def _refined_junction(
    hu: NDArray[np.int16], labels: NDArray[np.uint8], spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Where both lungs touch, the border moved onto the brightest line between them."""
    reach = max(2, round(JUNCTION_MM / min(spacing_mm[1:])))
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


def _smoothed(hu: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.float32]:
    sigma = (SMOOTHING_MM / spacing_mm[2], SMOOTHING_MM / spacing_mm[1])
    smooth = cv2.GaussianBlur(hu.astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(smooth, np.float32)


def _closed_plane(mask: Mask, spacing_mm: Spacing) -> Mask:
    """Closing with a disc of ``FINE_CLOSING_MM``: small vessels at the surface, and noise."""
    reach = [max(1, round(FINE_CLOSING_MM / step)) for step in (spacing_mm[2], spacing_mm[1])]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1))
    shut = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    whole: Mask = shut.astype(bool)
    return whole
