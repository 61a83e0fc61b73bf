"""Which structures of a segmentation are there, and where: those that have a voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Labels, Segment, Segmentation
from node.results.errors import FindingsContradictImages

Presence = Mapping[int, Sequence[Segment]]
"""The structures that have a voxel, by the index of their segmentation among the findings."""

_FEW = 24
"""Up to so many structures, one comparison each is faster than a histogram."""


def present_segments(segmentation: Segmentation) -> tuple[Segment, ...]:
    """The segments that have a voxel, in the order in which the object numbers them from 1.

    Raises ``FindingsContradictImages`` for labels that no segment describes, and for two segments
    with one number or one key.
    """
    voxels = areas(segmentation).sum(axis=0).tolist()
    return tuple(one for one, count in zip(segmentation.segments, voxels, strict=True) if count)


def areas(segmentation: Segmentation) -> NDArray[np.int64]:
    """(slices, segments): how many voxels of each structure lie on each slice.

    Raises ``FindingsContradictImages``, as ``present_segments``.
    """
    numbers = np.array([segment.number for segment in segmentation.segments], np.int64)
    keys = {segment.key for segment in segmentation.segments}
    if len(set(numbers.tolist())) < len(numbers) or len(keys) < len(numbers):
        raise FindingsContradictImages("two segments have the same number or key")
    if not all(0 < number < 65536 for number in numbers):
        raise FindingsContradictImages("a segment has a number outside of 1 to 65535")
    found = np.zeros((len(segmentation.labels), len(numbers)), np.int64)
    for layer in segmentation.layers:
        for index, plane in enumerate(layer):
            found[index] += _counted(plane, numbers)
    return found


def _counted(plane: Labels, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The voxels of each number on a slice; one slice at a time keeps memory small."""
    labelled = np.count_nonzero(plane)
    if not labelled:
        return np.zeros(len(numbers), np.int64)
    if len(numbers) <= _FEW:
        counts = np.array([np.count_nonzero(plane == one) for one in numbers.tolist()], np.int64)
    else:
        counts = np.bincount(plane.ravel(), minlength=int(numbers.max()) + 1)[numbers]
    if counts.sum() != labelled:
        others = set(np.unique(plane).tolist()) - {0, *numbers.tolist()}
        raise FindingsContradictImages(f"labels without a segment: {sorted(others)}")
    return counts
