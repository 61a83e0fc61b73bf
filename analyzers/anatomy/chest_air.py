"""Finds air inside the chest on a coarse CT grid: lungs, apart from airways, bowel and outer air.

Works on block means of about 2 mm, axes (z, y, x). The steps follow Hu, Hoffman and Reinhardt
(DOI 10.1109/42.929615): an attenuation threshold taken from the image itself, then connectivity.
What tells lung from other air is texture: aerated tissue is uniformly denser than gas, while gas in
bowel, sinuses and tables is pure inside and dense only at its rim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.grid.balls import Mask, Spacing, dilate, opened, within
from analyzers.grid.binary import box_of
from analyzers.grid.texture import local_mean_and_spread

TISSUE_HU = -500.0
OUTER_AIR_HU = -950.0
OUTER_AIR_SHARE = 0.08
PARENCHYMA_HU = (-965.0, -520.0)
PARENCHYMA_SPREAD_HU = 130.0
THRESHOLD_RANGE_HU = (-500.0, -320.0)

LEAST_PARENCHYMA_ML = 4.0
LEAST_PARENCHYMA_SHARE = 0.15
LEAST_WALL_SHARE = 0.78
WALL_MM = 12.0
"""Nothing round a body of air is looked at farther from it."""
BODY_HU = -200.0
SKIN_MM = 4.0
"""Half the thickness below which a layer of tissue counts as table, pad or cloth."""


@dataclass(frozen=True, slots=True, eq=False)
class ChestAir:
    """Coarse masks of the lungs (both sides in one) and of airways and bowel gas."""

    lungs: Mask
    gas: Mask
    threshold_hu: float
    """Attenuation half-way between lung and the soft tissue around it."""


def find_chest_air(hu: NDArray[np.float32], spacing_mm: Spacing) -> ChestAir:
    """The aerated lungs of a coarse CT volume; empty where it shows none."""
    inside = enclosed_air(hu)
    found = ChestAir(np.zeros(hu.shape, bool), np.zeros(hu.shape, bool), THRESHOLD_RANGE_HU[0])
    box = box_of(inside)
    if box is None:
        return found
    part = widened(box, hu.shape, WALL_MM, spacing_mm)
    near, inside = np.ascontiguousarray(hu[part]), np.ascontiguousarray(inside[part])
    parenchyma = parenchyma_like(near, spacing_mm) & inside
    threshold = lung_threshold(near, parenchyma)
    air = inside & (near < threshold)
    gas = foreign_gas(near, air, parenchyma, spacing_mm)
    candidates = air & ~dilate(gas, GAS_RIM_MM, spacing_mm)
    found.gas[part] = gas
    found.lungs[part] = keep_lungs(
        candidates, parenchyma, lambda: body_tissue(hu, spacing_mm)[part], spacing_mm
    )
    return replace(found, threshold_hu=threshold)


def enclosed_air(hu: NDArray[np.float32]) -> Mask:
    """Air that, within its axial plane, has no way to the air around the patient.

    What meets the edge of the plane is outside only if it is pure air there: lung cut by the
    field of view is kept.
    """
    air = hu < TISSUE_HU
    inside = air.copy()
    ring = np.zeros(hu.shape[1:], bool)
    ring[[0, -1], :] = True
    ring[:, [0, -1]] = True
    for z, plane in enumerate(air):
        count, labels = cv2.connectedComponents(plane.view(np.uint8), connectivity=4)
        edge = ring & plane
        met = np.bincount(labels[edge], minlength=count)
        pure = np.bincount(labels[edge & (hu[z] < OUTER_AIR_HU)], minlength=count)
        outside = (met > 0) & (pure >= OUTER_AIR_SHARE * met)
        inside[z] &= ~outside[labels]
    return inside


def parenchyma_like(hu: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    """Voxels whose surroundings of about 6 mm have the even attenuation of aerated lung."""
    mean, spread = local_mean_and_spread(hu, 3.0, spacing_mm)
    low, high = PARENCHYMA_HU
    even: Mask = (mean > low) & (mean < high) & (spread < PARENCHYMA_SPREAD_HU)
    return even


def lung_threshold(hu: NDArray[np.float32], parenchyma: Mask) -> float:
    """The attenuation half-way between this patient's lung and soft tissue, within limits."""
    if not parenchyma.any():
        return THRESHOLD_RANGE_HU[0]
    middle = (float(np.median(hu[parenchyma])) + 30.0) / 2
    return float(np.clip(middle, *THRESHOLD_RANGE_HU))


# --- gas that is not lung -------------------------------------------------------------------------

GAS_RIM_MM = 2.5
GAS_OPENING_MM = 2.2
LEAST_GAS_ML = 1.0
GAS_WALL_SHARE = 0.6
PURE_GAS_HU = -975.0
LARGEST_AIRWAY_ML = 250.0


def foreign_gas(hu: NDArray[np.float32], air: Mask, parenchyma: Mask, spacing_mm: Spacing) -> Mask:
    """Trachea, main bronchi and bowel gas: bodies of gas with soft tissue around them.

    Dark places inside a lung (emphysema, cysts, pneumothorax) have lung around them and stay. The
    ceiling starts half-way between this lung and gas; a body that leaks into the lung fails the
    test of its surroundings and is tried again with a lower one.
    """
    found = np.zeros_like(air)
    if not parenchyma.any():
        return found
    start = (float(np.median(hu[parenchyma])) - 1000.0) / 2
    for ceiling in (start, start - 15.0, start - 30.0):
        gas = opened(air & (hu < ceiling) & ~found, GAS_OPENING_MM, spacing_mm)
        found |= _walled_bodies(gas, hu, spacing_mm)
    return found


def _walled_bodies(gas: Mask, hu: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    labels = cc3d.connected_components(gas, connectivity=6)
    stats = cc3d.statistics(labels)
    size_ml = stats["voxel_counts"] * float(np.prod(spacing_mm)) / 1000.0
    found = np.zeros_like(gas)
    for label in np.flatnonzero(size_ml >= LEAST_GAS_ML):
        if label == 0:
            continue
        window = widened(stats["bounding_boxes"][label], gas.shape, 10.0, spacing_mm)
        body, near = labels[window] == label, hu[window]
        pure = size_ml[label] < LARGEST_AIRWAY_ML or np.median(near[body]) < PURE_GAS_HU
        wall = near[shell(body, 3.0, 6.0, spacing_mm)] > TISSUE_HU
        if pure and wall.size and wall.mean() >= GAS_WALL_SHARE:
            found[window] |= body
    return found


# --- lungs ----------------------------------------------------------------------------------------


def keep_lungs(
    candidates: Mask, parenchyma: Mask, flesh: Callable[[], Mask], spacing_mm: Spacing
) -> Mask:
    """The connected bodies of air that hold lung tissue and lie behind the wall of the body.

    flesh: gives the tissue of the body; asked for where there is a body of air to be judged.
    """
    labels = cc3d.connected_components(candidates, connectivity=6)
    stats = cc3d.statistics(labels)
    counts = stats["voxel_counts"].astype(float)
    tissue = np.bincount(labels[parenchyma], minlength=len(counts))
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    enough = (tissue * voxel_ml >= LEAST_PARENCHYMA_ML) & (
        tissue >= LEAST_PARENCHYMA_SHARE * counts
    )
    enough[0] = False
    found = np.zeros_like(candidates)
    wall_tissue = flesh() if enough.any() else found
    for label in np.flatnonzero(enough):
        window = widened(stats["bounding_boxes"][label], labels.shape, WALL_MM, spacing_mm)
        body = labels[window] == label
        wall = wall_tissue[window][shell(body, 4.0, 8.0, spacing_mm)]
        if wall.size and wall.mean() >= LEAST_WALL_SHARE:
            found[window] |= body
    return found


def body_tissue(hu: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    """The patient's soft tissue and bone: thicker than the skins of tables and pads."""
    thick = opened(hu > BODY_HU, SKIN_MM, spacing_mm)
    largest: Mask = cc3d.largest_k(thick, k=1, connectivity=6).astype(bool)
    return largest


def shell(body: Mask, first_mm: float, last_mm: float, spacing_mm: Spacing) -> Mask:
    """Voxels outside a body, between two distances from it."""
    return within(body, last_mm, spacing_mm) & ~within(body, first_mm, spacing_mm)


def widened(
    box: tuple[slice, ...], shape: tuple[int, ...], margin_mm: float, spacing_mm: Spacing
) -> tuple[slice, ...]:
    """A bounding box with a margin, inside the array."""
    margins = [int(np.ceil(margin_mm / step)) for step in spacing_mm]
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, margin, size in zip(box, margins, shape, strict=True)
    )
