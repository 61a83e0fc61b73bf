"""How well a Mask R-CNN finds the parts slice by slice: average precision of its masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torchvision.models.detection import MaskRCNN

from analyzers.models.slice_instances import SliceMark, marked
from analyzers.models.training.detection_figures import Judged, average_precision, interval
from analyzers.models.training.figures import Interval
from analyzers.models.training.hippocampus_data import Case
from analyzers.models.training.slice_fit import LEAST_VOXELS, PARTS

OVERLAP = 0.5
"""Intersection over union from which a mask is right."""


def slice_precision(network: MaskRCNN, cases: Sequence[Case], device: str) -> Interval:
    """Average precision over all sagittal slices, with a 95 % interval by bootstrap over crops."""
    slices: list[Judged] = []
    owners: list[str] = []
    for case in cases:
        marks = marked(network, case.image, len(PARTS) + 1, device).marks
        for column in range(case.labels.shape[2]):
            own = [mark for mark in marks if mark.column == column]
            slices.append(judged_slice(own, case.labels[:, :, column]))
            owners.append(case.name)
    return interval(slices, np.array(owners), average_precision)


def judged_slice(marks: Sequence[SliceMark], labels: NDArray[np.uint8]) -> Judged:
    """Marks matched to the parts that a slice ``(z, y)`` shows, by falling score."""
    shown = [part for part in PARTS if np.count_nonzero(labels == part) >= LEAST_VOXELS]
    taken = dict.fromkeys(shown, False)
    ranked = sorted(marks, key=lambda mark: -mark.score)
    right = np.zeros(len(ranked), np.bool_)
    for index, mark in enumerate(ranked):
        if taken.get(mark.part) is False and _overlap(mark, labels) >= OVERLAP:
            taken[mark.part] = right[index] = True
    score = np.array([mark.score for mark in ranked], np.float64)
    return Judged(score, right, np.array(list(taken.values()), np.bool_))


def _overlap(mark: SliceMark, labels: NDArray[np.uint8]) -> float:
    found, truth = mark.mask >= 0.5, labels == mark.part
    either = int(np.count_nonzero(found | truth))
    return int(np.count_nonzero(found & truth)) / max(either, 1)
