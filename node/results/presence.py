"""Which structures of a segmentation are there: those that have a voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Segment, Segmentation
from node.results.errors import FindingsContradictImages

Presence = Mapping[int, Sequence[Segment]]
"""The structures that have a voxel, by the index of their segmentation among the findings."""


def present_segments(segmentation: Segmentation) -> tuple[Segment, ...]:
    """The segments that have a voxel, in the order in which the object numbers them from 1.

    Raises ``FindingsContradictImages`` for labels that no segment describes, and for two segments
    with one number or one key.
    """
    counts = _voxel_counts(segmentation.labels)
    numbers = [segment.number for segment in segmentation.segments]
    keys = [segment.key for segment in segmentation.segments]
    if len(set(numbers)) < len(numbers) or len(set(keys)) < len(keys):
        raise FindingsContradictImages("two segments have the same number or key")
    undescribed = set(np.flatnonzero(counts).tolist()) - {0} - set(numbers)
    if undescribed or not all(0 < number < 256 for number in numbers):
        raise FindingsContradictImages(f"labels without a segment: {sorted(undescribed)}")
    return tuple(segment for segment in segmentation.segments if counts[segment.number])


def _voxel_counts(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Voxels of each of the 256 labels; slice by slice, so that memory stays small."""
    counts = np.zeros(256, np.int64)
    for plane in labels:
        if plane.any():
            counts += np.bincount(plane.ravel(), minlength=256)
        else:
            counts[0] += plane.size
    return counts
