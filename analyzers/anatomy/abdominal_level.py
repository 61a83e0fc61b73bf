"""Where the third lumbar vertebra lies on CT, estimated from landmarks, on axes (z, y, x).

No vertebra is counted. The line between the tops of the iliac crests runs through the body of L4 or
the disc below it (Tuffier); without a pelvis, the lowest recess of the lungs lies near T12/L1. Both
vary by a vertebra between people, and the estimate says which one it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage

from analyzers.anatomy.chest_air import find_chest_air
from analyzers.grid.balls import Mask, Spacing
from analyzers.grid.hounsfield import Hounsfield
from analyzers.grid.patient_grid import coarse_grid, reduce_to

COARSE_MM = 3.0
CREST_TO_L3_MM, LUNG_TO_L3_MM = 45.0, 85.0
LATERAL_MM = 40.0
"""Iliac wings lie farther from the midline than this, spine and sacrum nearer."""
LEAST_WING_ML, LEAST_WING_MM = 25.0, 25.0
LEAST_RECESS_MM2 = 300.0
LEAST_LUNG_ML = 150.0
LEAST_SHARE = 0.15
"""Of the larger lung: what is smaller is no lung."""


@dataclass(frozen=True, slots=True)
class LumbarLevel:
    """A plane, counted from the feet, and the sentence that says how it was chosen."""

    plane: float
    basis: str


def third_lumbar(hu: Hounsfield, bone: Mask, spacing_mm: Spacing) -> LumbarLevel | None:
    """The plane of mid L3, possibly outside the images; None without a landmark."""
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    mean = reduce_to(grid, hu)
    lungs = find_chest_air(mean, grid.spacing_mm).lungs
    recess = _recess(lungs, grid.spacing_mm)
    skeleton = reduce_to(grid, bone) > 0.3
    crest = _crests(skeleton, recess, grid.spacing_mm)
    step = grid.spacing_mm[0]
    if crest is not None:
        plane = (crest + CREST_TO_L3_MM / step + 0.5) * grid.factors[0] - 0.5
        return LumbarLevel(plane, "45 mm above the iliac crests, where L3 usually lies")
    if recess is not None:
        plane = (recess - LUNG_TO_L3_MM / step + 0.5) * grid.factors[0] - 0.5
        return LumbarLevel(
            plane, "85 mm below the lowest recess of the lungs, where L3 usually lies"
        )
    return None


def _recess(lungs: Mask, spacing_mm: Spacing) -> int | None:
    """The lowest plane with lung, where the images go on below it.

    Lungs reach lowest behind: what lies in front of their middle, or is small beside them, may be
    gas in stomach or bowel and tells nothing.
    """
    lungs = _without_pockets(lungs)
    rows = np.flatnonzero(lungs.any(axis=(0, 2)))
    if not rows.size:
        return None
    behind = lungs[:, (rows[0] + rows[-1]) // 2 :]
    area = behind.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2]
    planes = np.flatnonzero(area >= LEAST_RECESS_MM2)
    total_ml = float(lungs.sum()) * float(np.prod(spacing_mm)) / 1000.0
    if not planes.size or planes[0] == 0 or total_ml < LEAST_LUNG_ML:
        return None
    return int(planes[0])


def _without_pockets(lungs: Mask) -> Mask:
    labels = cc3d.connected_components(lungs, connectivity=6)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    kept: Mask = (counts >= LEAST_SHARE * max(int(counts.max()), 1))[labels]
    return kept


def _crests(skeleton: Mask, recess: int | None, spacing_mm: Spacing) -> float | None:
    """The mean height of the tops of the two iliac wings; None if either is not shown."""
    below = skeleton[: recess if recess is not None else len(skeleton)]
    if not below.any():
        return None
    x = np.nonzero(below)[2]
    middle = float(np.median(x))
    away = np.abs(np.arange(below.shape[2]) - middle) * spacing_mm[2]
    lateral = below & (away > LATERAL_MM)
    tops = []
    for side in (-1, 1):
        half = lateral & ((np.arange(below.shape[2]) - middle) * side > 0)
        top = _wing_top(half, spacing_mm)
        if top is None:
            return None
        tops.append(top)
    return float(np.mean(tops))


def _wing_top(half: Mask, spacing_mm: Spacing) -> int | None:
    """The top of the largest body of bone of a side, if it has the size of an iliac wing."""
    labels = cc3d.connected_components(half, connectivity=6)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    if not counts.any():
        return None
    label = int(counts.argmax())
    box = ndimage.find_objects(labels)[label - 1][0]
    size_ml = float(counts[label]) * float(np.prod(spacing_mm)) / 1000.0
    tall = (box.stop - box.start) * spacing_mm[0] >= LEAST_WING_MM
    whole = box.stop < half.shape[0]
    return int(box.stop - 1) if size_ml >= LEAST_WING_ML and tall and whole else None
