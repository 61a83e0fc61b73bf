"""Neighbourhood grey tone difference (NGTDM): how a voxel differs from the mean of those round
it. IBSI section 3.10; Amadasun & King 1989, DOI 10.1109/21.44046.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analyzers.classification.radiomics.grid import (
    Features,
    Levels,
    Matrix,
    neighbours,
    over_slices,
    shifted,
)

SMOOTHEST = 1e6
"""Coarseness of a region in which nothing differs (IBSI QCDE)."""


def tone_features(levels: Levels) -> Mapping[str, Features]:
    """The five features for ``2D``, ``2_5D`` and ``3D``."""
    count = int(levels.max(initial=0))
    return over_slices(levels, lambda part: tone_differences(part, count), describe)


def tone_differences(levels: Levels, count: int) -> Matrix:
    """``(level - 1, 2)``: number of voxels with a neighbour in the region, sum of differences."""
    around = np.zeros(levels.shape, np.int64)
    total = np.zeros(levels.shape, np.int64)
    for step in neighbours(2 if levels.shape[0] == 1 else 3):
        other = shifted(levels, step)
        around += other > 0
        total += other
    valid = (levels > 0) & (around > 0)
    level = levels[valid]
    apart = np.abs(level - total[valid] / around[valid])
    number = np.bincount(level - 1, minlength=count)
    summed = np.bincount(level - 1, apart, minlength=count)
    return np.stack([number, summed], axis=1).astype(np.float64)


def describe(matrix: Matrix) -> Features:
    """Coarseness, contrast, busyness, complexity and strength (IBSI 3.10.1 – 3.10.5)."""
    present = matrix[:, 0] > 0
    level = 1.0 + np.flatnonzero(present)
    number, summed = matrix[present].T
    total = number.sum()
    p = number / total
    weighted = float((p * summed).sum())
    step = level[:, None] - level[None, :]
    both = p[:, None] + p[None, :]
    kinds = len(level)
    spread = float((p[:, None] * p[None, :] * step**2).sum())
    change = float(np.abs((level * p)[:, None] - (level * p)[None, :]).sum())
    each = (p * summed)[:, None] + (p * summed)[None, :]
    differs = float(summed.sum())
    pairs = kinds * (kinds - 1)
    return {
        "coarseness": 1 / weighted if weighted > 0 else SMOOTHEST,
        "contrast": spread / pairs * differs / total if pairs else 0.0,
        "busyness": weighted / change if change > 0 else 0.0,
        "complexity": float((np.abs(step) * each / both).sum() / total),
        "strength": float((both * step**2).sum() / differs) if differs > 0 else 0.0,
    }
