"""Grey level co-occurrence (GLCM): how often two levels are neighbours. IBSI section 3.6."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analyzers.classification.radiomics.grid import (
    Features,
    Levels,
    Matrix,
    Offset,
    over_directions,
    shifted,
)


def cooccurrence_features(levels: Levels) -> Mapping[str, Features]:
    """The 25 features by aggregation (``2D_avg``, ``2D_comb``, ``2_5D_avg`` … ``3D_comb``)."""
    count = int(levels.max(initial=0))
    return over_directions(levels, lambda part, step: cooccurrence(part, step, count), describe)


def cooccurrence(levels: Levels, offset: Offset, count: int) -> Matrix:
    """Symmetric ``(count, count)`` matrix of pairs at ``offset`` with both ends in the region."""
    other = shifted(levels, offset)
    pair = (levels > 0) & (other > 0)
    flat = (levels[pair] - 1) * count + other[pair] - 1
    matrix = np.bincount(flat, minlength=count * count).reshape(count, count).astype(np.float64)
    return matrix + matrix.T


def describe(matrix: Matrix) -> Features:
    """The 25 features of one symmetric matrix of counts (IBSI 3.6.1 – 3.6.25)."""
    p = matrix / matrix.sum()
    count = len(p)
    level = np.arange(1, count + 1, dtype=np.float64)
    row, column = level[:, None], level[None, :]
    apart, together = np.abs(row - column), row + column
    mean = float((row * p).sum())
    variance = float(((row - mean) ** 2 * p).sum())
    difference = np.zeros(count)
    np.add.at(difference, apart.astype(int), p)
    total = np.zeros(2 * count + 1)
    np.add.at(total, together.astype(int), p)
    return {
        "joint_max": float(p.max()),
        "joint_avg": mean,
        "joint_var": variance,
        "joint_entr": entropy(p),
        **_of_distribution("diff", difference),
        **_of_distribution("sum", total),
        "energy": float((p**2).sum()),
        "contrast": float((apart**2 * p).sum()),
        "dissimilarity": float((apart * p).sum()),
        "inv_diff": float((p / (1 + apart)).sum()),
        "inv_diff_norm": float((p / (1 + apart / count)).sum()),
        "inv_diff_mom": float((p / (1 + apart**2)).sum()),
        "inv_diff_mom_norm": float((p / (1 + apart**2 / count**2)).sum()),
        "inv_var": float((p[apart > 0] / apart[apart > 0] ** 2).sum()),
        "corr": float(((row * column * p).sum() - mean**2) / variance) if variance > 0 else 1.0,
        "auto_corr": float((row * column * p).sum()),
        "clust_tend": float(((together - 2 * mean) ** 2 * p).sum()),
        "clust_shade": float(((together - 2 * mean) ** 3 * p).sum()),
        "clust_prom": float(((together - 2 * mean) ** 4 * p).sum()),
        **_information(p),
    }


def entropy(p: NDArray[np.float64]) -> float:
    """Shannon entropy in bits; cells without probability count nothing."""
    some = p[p > 0]
    return float(-(some * np.log2(some)).sum())


def _of_distribution(name: str, p: NDArray[np.float64]) -> dict[str, float]:
    at = np.arange(p.size)
    mean = float((at * p).sum())
    return {
        f"{name}_avg": mean,
        f"{name}_var": float(((at - mean) ** 2 * p).sum()),
        f"{name}_entr": entropy(p),
    }


def _information(p: Matrix) -> dict[str, float]:
    marginal = p.sum(1)
    product = marginal[:, None] * marginal[None, :]
    some = product > 0
    joint, alone = entropy(p), entropy(marginal)
    crossed = float(-(p[some] * np.log2(product[some])).sum())
    independent = entropy(product)
    return {
        "info_corr1": (joint - crossed) / alone if alone > 0 else 0.0,
        "info_corr2": float(np.sqrt(max(0.0, 1 - np.exp(-2 * (independent - joint))))),
    }
