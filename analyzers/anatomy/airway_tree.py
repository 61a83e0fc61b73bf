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


@dataclass(frozen=True, slots=True, eq=False)
class AirwayTree:
    """mask: lumen on the input grid. threshold_hu: where growing stopped."""

    mask: Mask
    threshold_hu: int


def airway_tree(hu: NDArray[np.int16], spacing_mm: Spacing) -> AirwayTree | None:
    """The airways; None where the images show no trachea or main bronchi between lungs."""
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    chest = find_chest_air(mean, grid.spacing_mm)
    central = central_airways(chest, grid.spacing_mm)
    if central is None:
        return None
    window = _window(central | chest.lungs, grid, hu.shape)
    smooth = np.stack([_smoothed(plane, spacing_mm) for plane in hu[window]])
    near = dilate(central | chest.lungs, SURROUNDINGS_MM, grid.spacing_mm)
    allowed = _enlarged(near, grid, hu.shape)[window]
    seed = _enlarged(central, grid, hu.shape)[window] & (smooth < THRESHOLDS_HU[0])
    if not seed.any():
        return None
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    lumen, threshold = _grown(smooth, seed, allowed, voxel_ml)
    dark = allowed & (smooth < float(np.median(mean[chest.lungs])) - BELOW_LUNG_HU)
    tree = _with_thin_bronchi(smooth, lumen, dark, spacing_mm)
    out = np.zeros(hu.shape, bool)
    out[window] = _to_the_wall(smooth, _filled(tree), spacing_mm)
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
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    return tuple(
        slice(max((part.start - 4) * factor, 0), min((part.stop + 4) * factor, size))
        for part, factor, size in zip(box, grid.factors, shape, strict=True)
    )


def _enlarged(mask: Mask, grid: CoarseGrid, shape: tuple[int, ...]) -> Mask:
    labels = mask.view(np.uint8)
    fine: Mask = np.stack([grid.nearest_plane(labels, z) for z in range(shape[0])]).astype(bool)
    return fine


def _smoothed(plane: NDArray[np.int16], spacing_mm: Spacing) -> NDArray[np.float32]:
    sigma = (SMOOTHING_MM / spacing_mm[2], SMOOTHING_MM / spacing_mm[1])
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    return np.asarray(smooth, np.float32)


def _joined(candidates: Mask, seed: Mask) -> Mask:
    """The part of the candidates that is joined to the seed face to face."""
    labels = cc3d.connected_components(candidates | seed, connectivity=6)
    touched = np.unique(labels[seed])
    keep = np.zeros(int(labels.max()) + 1, bool)
    keep[touched[touched > 0]] = True
    kept: Mask = keep[labels]
    return kept


def _grown(
    smooth: NDArray[np.float32], seed: Mask, allowed: Mask, voxel_ml: float
) -> tuple[Mask, int]:
    """The region under the last threshold that added no more than a bronchus would."""
    lumen, reached = seed, THRESHOLDS_HU[0]
    for threshold in THRESHOLDS_HU:
        grown = _joined((smooth < threshold) & allowed, seed)
        before, after = (np.count_nonzero(one) * voxel_ml for one in (lumen, grown))
        if threshold > THRESHOLDS_HU[0] and after - before > max(STEP_ML, STEP_SHARE * before):
            break
        lumen, reached = grown, threshold
    return lumen, reached


# --- thin bronchi ---------------------------------------------------------------------------------


def _with_thin_bronchi(
    smooth: NDArray[np.float32], lumen: Mask, dark: Mask, spacing_mm: Spacing
) -> Mask:
    """The tree with joined twigs: darker than the lung, and than their surroundings in a plane."""
    residue = _closing_residue(smooth, spacing_mm)
    most = LARGEST_TWIG_ML * 1000.0 / float(np.prod(spacing_mm))
    tree = lumen
    for level in RESIDUES_HU:
        added = _joined(dark & (residue > level), tree) & ~tree
        pieces = cc3d.connected_components(added, connectivity=26)
        small = np.bincount(pieces.ravel()) <= most
        small[0] = False
        tree = tree | small[pieces]
    return tree


def _to_the_wall(smooth: NDArray[np.float32], tree: Mask, spacing_mm: Spacing) -> Mask:
    """Wide airways grown by a voxel, up to half-way between air and wall."""
    wide = opened(tree, WIDE_MM, spacing_mm)
    rim = dilate(wide, 1.01 * max(spacing_mm[1:]), spacing_mm) & (smooth < WALL_HU)
    return tree | rim


def _closing_residue(smooth: NDArray[np.float32], spacing_mm: Spacing) -> NDArray[np.float32]:
    """How far the wall round a voxel rises above it: grey closing by discs in the three planes."""
    residue = np.zeros(smooth.shape, np.float32)
    for axis in range(3):
        rows, columns = (spacing_mm[other] for other in range(3) if other != axis)
        if max(rows, columns) > RADII_MM[0]:
            continue
        image, out = np.moveaxis(smooth, axis, 0), np.moveaxis(residue, axis, 0)
        for plane, target in zip(image, out, strict=True):
            flat = np.ascontiguousarray(plane)
            for radius in RADII_MM:
                shut = cv2.morphologyEx(flat, cv2.MORPH_CLOSE, _disc(radius, rows, columns))
                np.maximum(target, shut - flat, out=target)
    return residue


def _disc(radius_mm: float, row_mm: float, column_mm: float) -> NDArray[np.uint8]:
    reach = (max(1, round(radius_mm / column_mm)), max(1, round(radius_mm / row_mm)))
    disc: NDArray[np.uint8] = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * reach[0] + 1, 2 * reach[1] + 1)
    ).astype(np.uint8)
    return disc


def _filled(lumen: Mask) -> Mask:
    """Specks of noise inside the lumen closed, plane by plane."""
    return np.stack([ndimage.binary_fill_holes(plane) for plane in lumen])
