"""Finds air inside the chest on a coarse CT grid: lungs, apart from airways, bowel and outer air.

Works on block means of about 2 mm, axes (z, y, x). The steps follow Hu, Hoffman and Reinhardt
(DOI 10.1109/42.929615): an attenuation threshold taken from the image itself, then connectivity.
What tells lung from other air is texture: aerated tissue is uniformly denser than gas, while gas in
bowel, sinuses and tables is pure inside and dense only at its rim.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.segmentation.balls import Mask, Spacing, dilate, opened

TISSUE_HU = -500.0
OUTER_AIR_HU = -940.0
PARENCHYMA_HU = (-965.0, -520.0)
PARENCHYMA_SPREAD_HU = 130.0
THRESHOLD_RANGE_HU = (-500.0, -320.0)

LEAST_PARENCHYMA_ML = 4.0
LEAST_PARENCHYMA_SHARE = 0.15
LEAST_WALL_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ChestAir:
    """Coarse masks of the lungs (both sides in one) and of trachea and main bronchi."""

    lungs: Mask
    airways: Mask
    threshold_hu: float
    """Attenuation half-way between lung and the soft tissue around it."""


def find_chest_air(hu: NDArray[np.float32], spacing_mm: Spacing) -> ChestAir:
    """The aerated lungs of a coarse CT volume; empty where it shows none."""
    inside = enclosed_air(hu)
    parenchyma = parenchyma_like(hu, spacing_mm) & inside
    threshold = lung_threshold(hu, parenchyma)
    air = inside & (hu < threshold)
    airways = find_airways(hu, air, parenchyma, spacing_mm)
    candidates = air & ~dilate(airways, AIRWAY_WALL_MM, spacing_mm)
    lungs = keep_lungs(candidates, parenchyma, hu, spacing_mm)
    if not lungs.any():
        airways = np.zeros_like(airways)
    return ChestAir(lungs, airways, threshold)


def enclosed_air(hu: NDArray[np.float32]) -> Mask:
    """Air that, within its axial plane, has no way to the air around the patient.

    Only border voxels of pure air count as outside, so lung cut by the field of view is kept.
    """
    air = hu < TISSUE_HU
    inside = air.copy()
    ring = np.zeros(hu.shape[1:], bool)
    ring[[0, -1], :] = True
    ring[:, [0, -1]] = True
    for z, plane in enumerate(air):
        labels, _ = ndimage.label(plane)
        outside = np.unique(labels[ring & plane & (hu[z] < OUTER_AIR_HU)])
        inside[z] &= ~np.isin(labels, outside)
    return inside


def parenchyma_like(hu: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    """Voxels whose surroundings of about 6 mm have the even attenuation of aerated lung."""
    size = [max(1, 2 * round(3.0 / step) + 1) for step in spacing_mm]
    mean = ndimage.uniform_filter(hu, size, mode="nearest")
    square = ndimage.uniform_filter(hu * hu, size, mode="nearest")
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    low, high = PARENCHYMA_HU
    even: Mask = (mean > low) & (mean < high) & (spread < PARENCHYMA_SPREAD_HU)
    return even


def lung_threshold(hu: NDArray[np.float32], parenchyma: Mask) -> float:
    """The attenuation half-way between this patient's lung and soft tissue, within limits."""
    if not parenchyma.any():
        return THRESHOLD_RANGE_HU[0]
    middle = (float(np.median(hu[parenchyma])) + 30.0) / 2
    return float(np.clip(middle, *THRESHOLD_RANGE_HU))


# --- airways --------------------------------------------------------------------------------------

AIRWAY_WALL_MM = 2.5
AIRWAY_OPENING_MM = 2.2
AIRWAY_ML = (1.5, 250.0)
AIRWAY_LENGTH_MM = 20.0
AIRWAY_CEILINGS_HU = (-930.0, -950.0, -965.0, -980.0)


def find_airways(
    hu: NDArray[np.float32], air: Mask, parenchyma: Mask, spacing_mm: Spacing
) -> Mask:
    """Trachea and main bronchi: a long, slim body of gas near the midline.

    The ceiling starts half-way between lung and gas and falls until the gas no longer leaks into
    the lung, which in emphysema is nearly as dark as the lumen.
    """
    none = np.zeros_like(air)
    if not parenchyma.any():
        return none
    start = (float(np.median(hu[parenchyma])) - 1000.0) / 2
    for ceiling in [start, *(c for c in AIRWAY_CEILINGS_HU if c < start)]:
        gas = opened(air & (hu < ceiling), AIRWAY_OPENING_MM, spacing_mm)
        found = _airway_bodies(gas, hu, spacing_mm)
        if found.any():
            return found
    return none


def _airway_bodies(gas: Mask, hu: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    labels = cc3d.connected_components(gas, connectivity=6)
    stats = cc3d.statistics(labels)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    keep = []
    for label in range(1, len(stats["voxel_counts"])):
        size_ml = stats["voxel_counts"][label] * voxel_ml
        box = stats["bounding_boxes"][label]
        if AIRWAY_ML[0] <= size_ml <= AIRWAY_ML[1] and _is_airway(
            labels[box] == label, hu[box], spacing_mm
        ):
            keep.append(label)
    found: Mask = np.isin(labels, keep)
    return found


def _is_airway(body: Mask, hu: NDArray[np.float32], spacing_mm: Spacing) -> bool:
    """Long along z and slim on most of its way, as a trachea is and bowel gas seldom."""
    area = body.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2]
    crossed = area[area > 0]
    length = len(crossed) * spacing_mm[0]
    slim = (crossed > 40.0) & (crossed < 700.0)
    return bool(length >= AIRWAY_LENGTH_MM and slim.sum() * spacing_mm[0] >= 0.5 * length)


# --- lungs ----------------------------------------------------------------------------------------


def keep_lungs(
    candidates: Mask, parenchyma: Mask, hu: NDArray[np.float32], spacing_mm: Spacing
) -> Mask:
    """The connected bodies of air that hold lung tissue and lie behind a wall of soft tissue."""
    labels = cc3d.connected_components(candidates, connectivity=6)
    stats = cc3d.statistics(labels)
    counts = stats["voxel_counts"].astype(float)
    tissue = np.bincount(labels.ravel(), weights=parenchyma.ravel(), minlength=len(counts))
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    enough = (tissue * voxel_ml >= LEAST_PARENCHYMA_ML) & (
        tissue >= LEAST_PARENCHYMA_SHARE * counts
    )
    enough[0] = False
    keep = [
        label
        for label in np.flatnonzero(enough)
        if _wall_share(labels == label, hu, spacing_mm) >= LEAST_WALL_SHARE
    ]
    found: Mask = np.isin(labels, keep)
    return found


def _wall_share(body: Mask, hu: NDArray[np.float32], spacing_mm: Spacing) -> float:
    """Share of the shell 4 to 8 mm outside a body that is not air."""
    shell = dilate(body, 8.0, spacing_mm) & ~dilate(body, 4.0, spacing_mm)
    return float((hu[shell] > TISSUE_HU).mean()) if shell.any() else 0.0
