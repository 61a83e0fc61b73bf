"""Matrices of grey level against size: runs (GLRLM), zones (GLSZM), zone distance (GLDZM) and
dependence (NGLDM). One set of formulas serves all four. IBSI sections 3.7, 3.8, 3.9 and 3.11.
"""

from __future__ import annotations

from collections.abc import Mapping

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.classification.radiomics.cooccurrence import entropy
from analyzers.classification.radiomics.grid import (
    Features,
    Levels,
    Matrix,
    Offset,
    neighbours,
    over_directions,
    over_slices,
    shifted,
)


def run_features(levels: Levels) -> Mapping[str, Features]:
    """The 16 run length features by aggregation (``2D_avg`` … ``3D_comb``)."""
    count = int(levels.max(initial=0))
    return over_directions(levels, lambda part, step: run_lengths(part, step, count), describe_runs)


def zone_features(levels: Levels) -> Mapping[str, Features]:
    """The 16 size zone features for ``2D``, ``2_5D`` and ``3D``."""
    count = int(levels.max(initial=0))
    return over_slices(levels, lambda part: zone_sizes(part, count), describe_runs)


def distance_features(levels: Levels) -> Mapping[str, Features]:
    """The 16 distance zone features for ``2D``, ``2_5D`` and ``3D``; the first column of the
    matrix holds the number of voxels of the level (see ``zone_distances``)."""
    count = int(levels.max(initial=0))
    return over_slices(levels, lambda part: zone_distances(part, count), _describe_distances)


def dependence_features(levels: Levels) -> Mapping[str, Features]:
    """The 17 dependence features (coarseness 0, distance 1) for ``2D``, ``2_5D`` and ``3D``."""
    count = int(levels.max(initial=0))
    return over_slices(levels, lambda part: dependences(part, count), _describe_dependences)


def run_lengths(levels: Levels, offset: Offset, count: int) -> Matrix:
    """``(level - 1, length - 1)``: runs of equal level along ``offset``."""
    inside = levels > 0
    follows = inside & (shifted(levels, offset) == levels)
    back = (-offset[0], -offset[1], -offset[2])
    starts = inside & (shifted(levels, back) != levels)
    length = inside.astype(np.int64)
    for _ in range(max(levels.shape)):
        longer = np.where(follows, 1 + shifted(length, offset), length)
        if np.array_equal(longer, length):
            break
        length = longer
    return _counted(levels[starts], length[starts], count)


def zone_sizes(levels: Levels, count: int) -> Matrix:
    """``(level - 1, voxels - 1)``: groups of equal level, 8- or 26-connected."""
    level, voxels, _ = _zones(levels)
    return _counted(level, voxels, count)


def zone_distances(levels: Levels, count: int) -> Matrix:
    """``(level - 1, distance)``: zones by their distance to the border of the region.

    The border voxel has distance 1; steps go over faces (edges in a slice). Column 0 holds the
    number of voxels of each level, which the share of zones needs.
    """
    level, voxels, depth = _zones(levels)
    matrix = _counted(level, depth, count)
    of_level = np.bincount(level - 1, voxels, minlength=count)
    return np.hstack([of_level[:, None], matrix])


def dependences(levels: Levels, count: int) -> Matrix:
    """``(level - 1, dependence - 1)``: a voxel and its neighbours of the same level."""
    inside = levels > 0
    same = inside.astype(np.int64)
    for step in neighbours(2 if levels.shape[0] == 1 else 3):
        same += inside & (shifted(levels, step) == levels)
    return _counted(levels[inside], same[inside], count)


def describe_runs(matrix: Matrix) -> Features:
    """The features of runs or zones, where level and size give the number of voxels."""
    size = np.arange(1, matrix.shape[1] + 1)
    return describe(matrix, voxels=float((matrix * size).sum()))


def describe(matrix: Matrix, voxels: float) -> Features:
    """The 16 features common to all size matrices; the names leave the letters of the kind out.

    Short/long → ``short``/``long``; level → ``low``/``high`` (IBSI 3.7.1 – 3.7.16).
    """
    total = matrix.sum()
    p = matrix / total
    level = np.arange(1, matrix.shape[0] + 1, dtype=np.float64)[:, None]
    size = np.arange(1, matrix.shape[1] + 1, dtype=np.float64)[None, :]
    of_level, of_size = matrix.sum(1), matrix.sum(0)
    mean_level, mean_size = float((level * p).sum()), float((size * p).sum())
    return {
        "short": float((p / size**2).sum()),
        "long": float((p * size**2).sum()),
        "low": float((p / level**2).sum()),
        "high": float((p * level**2).sum()),
        "short_low": float((p / level**2 / size**2).sum()),
        "short_high": float((p * level**2 / size**2).sum()),
        "long_low": float((p * size**2 / level**2).sum()),
        "long_high": float((p * level**2 * size**2).sum()),
        "level_nonuniformity": float((of_level**2).sum() / total),
        "level_nonuniformity_norm": float((of_level**2).sum() / total**2),
        "size_nonuniformity": float((of_size**2).sum() / total),
        "size_nonuniformity_norm": float((of_size**2).sum() / total**2),
        "share": float(total / voxels),
        "level_variance": float(((level - mean_level) ** 2 * p).sum()),
        "size_variance": float(((size - mean_size) ** 2 * p).sum()),
        "entropy": entropy(p),
    }


def _describe_distances(matrix: Matrix) -> Features:
    return describe(matrix[:, 1:], voxels=float(matrix[:, 0].sum()))


def _describe_dependences(matrix: Matrix) -> Features:
    p = matrix / matrix.sum()
    return describe(matrix, voxels=float(matrix.sum())) | {"energy": float((p**2).sum())}


def _zones(
    levels: Levels,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Level, number of voxels and distance to the border of every zone."""
    flat = levels.shape[0] == 1
    image = (levels[0] if flat else levels).astype(np.uint32)
    labels, number = cc3d.connected_components(image, connectivity=8 if flat else 26, return_N=True)
    padded = np.pad(image > 0, 1)
    depth = ndimage.distance_transform_cdt(padded, metric="taxicab")
    depth = depth[tuple(slice(1, -1) for _ in range(depth.ndim))]
    index = np.arange(1, number + 1)
    voxels = np.bincount(labels.ravel(), minlength=number + 1)[1:]
    level = np.asarray(ndimage.maximum(image, labels, index)).astype(np.int64)
    near = np.asarray(ndimage.minimum(depth, labels, index)).astype(np.int64)
    return level, voxels.astype(np.int64), near


def _counted(level: NDArray[np.int64], size: NDArray[np.int64], count: int) -> Matrix:
    width = int(size.max(initial=1))
    flat = (level - 1) * width + size - 1
    return np.bincount(flat, minlength=count * width).reshape(count, width).astype(np.float64)
