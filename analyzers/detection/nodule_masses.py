"""Dense tissue too wide for a nodule, inside a lung's outline: a mass, consolidation or fluid.

Two places are looked at: what the filled lung holds, and what the lung bends round at the chest
wall (inside the convex outline of an axial plane, on the far side from the mediastinum). Where
neither holds any, it is what has taken the place of lung inside the ribs (``anatomy.unaerated``).
What lies against mediastinum or diaphragm cannot be told from heart and liver, and is not looked
for.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.unaerated import space, unaerated
from analyzers.detection.nodule_candidates import STEP_MM, LungGrid
from analyzers.grid.balls import Mask, Spacing, dilate, within
from analyzers.grid.binary import box_of
from analyzers.grid.hounsfield import Hounsfield

STRIDE = 2
DENSE_HU, BONE_HU = -200.0, 200.0
LEAST_RADIUS_MM = 12.0
"""A ball of this radius fits in: nothing that the blob detector measures well is as wide."""
LEAST_ML = 10.0
LEAST_SHARE_ABOVE_LUNG = 0.5


@dataclass(frozen=True, slots=True)
class Mass:
    """About how much dense tissue, and in which lung."""

    ml: float
    left: bool

    def words(self) -> str:
        side = "left" if self.left else "right"
        return (
            f"About {self.ml:.0f} mL of dense tissue in the outline of the {side} lung: a mass,"
            " consolidation or fluid too large for this method, which is not marked."
        )


def masses(
    grid: LungGrid, hu: Hounsfield, labels: NDArray[np.uint8], spacing_mm: Spacing
) -> list[Mass]:
    """Large dense regions of both lungs, the largest first; labels: as ``lung_masks`` gives."""
    return _in_outlines(grid) or _among_lungs(hu, labels, spacing_mm)


def _among_lungs(hu: Hounsfield, labels: NDArray[np.uint8], spacing_mm: Spacing) -> list[Mass]:
    """On the side of the nearer half of the chest."""
    where = space(hu, labels, spacing_mm)
    found = unaerated(where, hu, labels) if where else None
    if found is None:
        return []
    ml = float(np.count_nonzero(found.mask)) * float(np.prod(spacing_mm)) / 1000
    columns = np.flatnonzero((labels > 0).any(axis=(0, 1)))
    left = float(np.nonzero(found.mask)[2].mean()) > float(columns[[0, -1]].mean())
    return [Mass(ml, left)] if ml >= LEAST_ML else []


def _in_outlines(grid: LungGrid) -> list[Mass]:
    steps = (slice(None, None, STRIDE),) * 3
    hu, lungs, left = grid.hu[steps], grid.lungs[steps], grid.left[steps]
    found: list[Mass] = []
    for is_left in (True, False):
        side = left if is_left else lungs & ~left
        region = (hu > DENSE_HU) & (side | (_bent_round(side, lungs) & (hu < BONE_HU)))
        found += [Mass(ml, is_left) for ml in _wide(region, side)]
    return sorted(found, key=lambda one: -one.ml)


def _bent_round(side: Mask, lungs: Mask) -> Mask:
    """What the convex outline of a lung's planes holds beside lung, on the lateral side."""
    out = np.zeros(side.shape, np.bool_)
    other = lungs & ~side
    if not side.any() or not other.any():
        return out
    outward = np.sign(np.argwhere(side)[:, 2].mean() - np.argwhere(other)[:, 2].mean())
    columns = np.arange(side.shape[2])
    for z, plane in enumerate(side):
        points = np.argwhere(plane)
        if len(points) < 3:
            continue
        filled = np.zeros(plane.shape, np.uint8)
        hull = cv2.convexHull(np.ascontiguousarray(points[:, ::-1].astype(np.int32)))
        cv2.fillConvexPoly(filled, hull, 1)
        lateral = (columns - np.median(points[:, 1])) * outward > 0
        out[z] = (filled > 0) & ~lungs[z] & lateral
    return out


def _wide(region: Mask, lung: Mask) -> list[float]:
    """Volumes in mL of the parts that a ball of ``LEAST_RADIUS_MM`` fits in, opened by it.

    Only what has lung below it: liver and spleen lift the base of a lung in the same way.
    """
    step = STRIDE * STEP_MM
    cubes = (step, step, step)
    cores = np.zeros(region.shape, bool)
    if (box := box_of(region)) is not None:
        around = within(~np.pad(region[box], 1), LEAST_RADIUS_MM, cubes, nearer=True)
        cores[box] = ~around[1:-1, 1:-1, 1:-1]
    if not cores.any():
        return []
    grown = region & dilate(cores, LEAST_RADIUS_MM, cubes)
    labels, count = ndimage.label(grown)
    sizes: list[float] = []
    for number in range(1, count + 1):
        part = labels == number
        ml = float(np.count_nonzero(part)) * step**3 / 1000
        if ml >= LEAST_ML and _share_above_lung(part, lung) >= LEAST_SHARE_ABOVE_LUNG:
            sizes.append(ml)
    return sizes


def _share_above_lung(part: Mask, lung: Mask) -> float:
    """Share of the part's columns (towards the feet) that meet aerated lung below it."""
    columns = part.any(axis=0)
    lowest = np.argmax(part, axis=0)
    heights = np.arange(len(part))[:, None, None]
    below = (lung & ~part & (heights < lowest)).any(axis=0)
    return float(np.mean(below[columns]))
