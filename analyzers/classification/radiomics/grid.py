"""Grey levels on a grid: discretisation, neighbours and the aggregation over slices and directions.

After the Image Biomarker Standardisation Initiative (IBSI), reference manual version 11,
arXiv:1612.07003, sections 2.7 and 3.6. A level array holds 1 … N inside the region and 0 outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.int64]
Matrix = NDArray[np.float64]
Offset = tuple[int, int, int]
Features = dict[str, float]


def directions(dimensions: int) -> tuple[Offset, ...]:
    """One of each pair of opposite neighbour offsets: 4 within a slice, 13 in space."""
    reach = (0,) if dimensions == 2 else (-1, 0, 1)
    every = [step for step in product(reach, (-1, 0, 1), (-1, 0, 1)) if step > (0, 0, 0)]
    return tuple(every)


def neighbours(dimensions: int) -> tuple[Offset, ...]:
    """All offsets at Chebyshev distance 1: 8 within a slice, 26 in space."""
    half = directions(dimensions)
    return half + tuple((-a, -b, -c) for a, b, c in half)


def shifted(levels: NDArray[np.int64], offset: Offset) -> NDArray[np.int64]:
    """What stands ``offset`` away from every voxel; 0 beyond the edge."""
    out = np.zeros_like(levels)
    to, source = [], []
    for step, length in zip(offset, levels.shape, strict=True):
        to.append(slice(max(0, -step), length - max(0, step)))
        source.append(slice(max(0, step), length - max(0, -step)))
    out[tuple(to)] = levels[tuple(source)]
    return out


def fixed_bin_number(
    values: NDArray[np.floating], mask: NDArray[np.bool_], bins: int
) -> NDArray[np.int64]:
    """``bins`` levels of equal width from the region's minimum to its maximum (IBSI K15C)."""
    inside = values[mask].astype(np.float64)
    levels = np.zeros(values.shape, np.int64)
    if inside.size == 0:
        return levels
    low, span = inside.min(), np.ptp(inside)
    scaled = (inside - low) / span if span > 0 else np.zeros_like(inside)
    levels[mask] = np.minimum(np.floor(bins * scaled).astype(np.int64) + 1, bins)
    return levels


def fixed_bin_size(
    values: NDArray[np.floating], mask: NDArray[np.bool_], width: float, low: float
) -> NDArray[np.int64]:
    """Levels of ``width`` units each, the first from ``low`` on; below it: level 1 (IBSI Q3RU)."""
    levels = np.zeros(values.shape, np.int64)
    inside = values[mask].astype(np.float64)
    levels[mask] = np.maximum(np.floor((inside - low) / width).astype(np.int64) + 1, 1)
    return levels


def mean_of(rows: Iterable[Features]) -> Features:
    """The mean of each feature; empty when there is nothing to average."""
    gathered = list(rows)
    if not gathered:
        return {}
    return {name: float(np.mean([row[name] for row in gathered])) for name in gathered[0]}


def by_slice(levels: Levels) -> list[Levels]:
    """The slices that hold a part of the region, each as a volume of one slice."""
    return [levels[index : index + 1] for index in range(levels.shape[0]) if levels[index].any()]


def over_directions(
    levels: Levels,
    matrix: Callable[[Levels, Offset], Matrix],
    describe: Callable[[Matrix], Features],
) -> Mapping[str, Features]:
    """Features of a direction-wise matrix in the six ways of IBSI: ``2D_avg`` … ``3D_comb``.

    2D: slice by slice; 2.5D: matrices summed over slices; comb: summed over directions first.
    """
    slices = by_slice(levels)
    flat = [[matrix(plane, step) for step in directions(2)] for plane in slices]
    deep = [matrix(levels, step) for step in directions(3)]
    along = [sum_of(row[index] for row in flat) for index in range(4)] if flat else []
    return {
        "2D_avg": mean_of(describe(one) for row in flat for one in row if one.any()),
        "2D_comb": mean_of(describe(sum_of(row)) for row in flat if sum_of(row).any()),
        "2_5D_avg": mean_of(describe(one) for one in along if one.any()),
        "2_5D_comb": _of(describe, sum_of(along)),
        "3D_avg": mean_of(describe(one) for one in deep if one.any()),
        "3D_comb": _of(describe, sum_of(deep)),
    }


def over_slices(
    levels: Levels, matrix: Callable[[Levels], Matrix], describe: Callable[[Matrix], Features]
) -> Mapping[str, Features]:
    """Features of a matrix without direction: ``2D`` (mean over slices), ``2_5D`` and ``3D``."""
    flat = [matrix(plane) for plane in by_slice(levels)]
    return {
        "2D": mean_of(describe(one) for one in flat if one.any()),
        "2_5D": _of(describe, sum_of(flat)),
        "3D": _of(describe, matrix(levels)),
    }


def sum_of(matrices: Iterable[Matrix]) -> Matrix:
    """Their sum; an empty matrix when there is none. Narrower ones are widened with zeros."""
    gathered = list(matrices)
    if not gathered:
        return np.zeros((0, 0))
    total = np.zeros((gathered[0].shape[0], max(one.shape[1] for one in gathered)))
    for one in gathered:
        total[:, : one.shape[1]] += one
    return total


def _of(describe: Callable[[Matrix], Features], matrix: Matrix) -> Features:
    return describe(matrix) if matrix.any() else {}
