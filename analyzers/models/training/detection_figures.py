"""Figures of a detector with their uncertainty: average precision, FROC, operating point.

A mark is right when it overlaps a box that no higher mark took. Knows no image and no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from analyzers.models.boxes import Boxes, overlaps
from analyzers.models.training.figures import Interval

OVERLAP = 0.4
"""Intersection over union from which a mark is right, as in the RSNA challenge's lowest step."""
DRAWS = 1000
Item = TypeVar("Item")
RATES = (0.125, 0.25, 0.5, 1.0)
"""False marks per image at which sensitivity is read."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Marks of one image, the highest score first: their scores, which are right; which boxes a
    mark took."""

    score: NDArray[np.float64]
    right: NDArray[np.bool_]
    taken: NDArray[np.bool_]

    @property
    def boxes(self) -> int:
        """How many there were to find."""
        return len(self.taken)


@dataclass(frozen=True, slots=True)
class BoxPoint:
    """A threshold on the score and what it reached on patients not used to choose it."""

    threshold: float
    sensitivity: float
    """Share of the boxes found."""
    false_per_image: float


def judged(marks: Boxes, score: NDArray[np.float64], truth: Boxes) -> Judged:
    """Marks matched to boxes greedily by falling score."""
    order = np.argsort(-score, kind="stable")
    overlap = overlaps(marks[order], truth)
    free = np.ones(len(truth), np.bool_)
    right = np.zeros(len(order), np.bool_)
    for row in range(len(order)):
        near = np.where(free, overlap[row], 0.0)
        if near.size and near.max() >= OVERLAP:
            free[near.argmax()] = False
            right[row] = True
    return Judged(score[order], right, ~free)


def average_precision(images: Sequence[Judged]) -> float:
    """Area under precision (made to fall, Everingham et al. 2010) over recall; 0 without a mark.

    Marks of one score count together: their order says nothing.
    """
    steps, boxes = _steps(images), sum(one.boxes for one in images)
    if not len(steps.right) or not boxes:
        return 0.0
    precision = steps.right / (steps.right + steps.wrong)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float((falling * np.diff(steps.right, prepend=0)).sum() / boxes)


def sensitivity_at(images: Sequence[Judged], rate: float) -> float:
    """Share of the boxes found with at most ``rate`` false marks per image."""
    steps, boxes = _steps(images), sum(one.boxes for one in images)
    found = steps.right[steps.wrong <= rate * len(images)]
    return float(found[-1] / boxes) if boxes and len(found) else 0.0


def interval(
    images: Sequence[Item],
    patient: NDArray[np.str_],
    figure: Callable[[Sequence[Item]], float],
    seed: int = 0,
) -> Interval:
    """A figure with its 95 % interval; whole patients are drawn, with replacement.

    images: what is judged of each, or pairs of it for the figure of a difference.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(patient == one) for one in np.unique(patient)]
    drawn = []
    for _ in range(DRAWS):
        pick = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        drawn.append(figure([images[i] for i in pick]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(figure(images), float(low), float(high))


def operating_point(images: Sequence[Judged], patient: NDArray[np.str_], rate: float) -> BoxPoint:
    """The lowest threshold with at most ``rate`` false marks per image; what it reaches on others.

    Five parts of the patients: each is judged by the threshold of the other four.
    """
    part = np.unique(patient, return_inverse=True)[1] % 5
    found = wrong = 0
    for one in range(5):
        threshold = _threshold(
            [image for image, p in zip(images, part, strict=True) if p != one], rate
        )
        for image, p in zip(images, part, strict=True):
            if p == one:
                said = image.score >= threshold
                found += int((said & image.right).sum())
                wrong += int((said & ~image.right).sum())
    boxes = max(sum(one.boxes for one in images), 1)
    return BoxPoint(_threshold(images, rate), found / boxes, wrong / len(images))


def _threshold(images: Sequence[Judged], rate: float) -> float:
    steps = _steps(images)
    allowed = steps.wrong <= rate * len(images)
    if allowed.all():
        return 0.0
    first = int(np.argmin(allowed))
    above = steps.score[first - 1] if first else 1.0
    return float((steps.score[first] + above) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Marks counted down to each score, the highest score first."""

    score: NDArray[np.float64]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]


def _steps(images: Sequence[Judged]) -> _Steps:
    score = np.concatenate([one.score for one in images])
    order = np.argsort(-score, kind="stable")
    ranked, right = score[order], np.concatenate([one.right for one in images])[order]
    last = np.flatnonzero(np.diff(ranked, append=-1.0))
    return _Steps(ranked[last], np.cumsum(right)[last], np.cumsum(~right)[last])
