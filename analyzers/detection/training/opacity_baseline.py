"""What marks without looking: the mean box of each side, with how often there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analyzers.detection.opacity_detector import Marks
from analyzers.detection.opacity_window import SIDE
from analyzers.models.boxes import Boxes


def mean_boxes(boxes: Sequence[Boxes]) -> Marks:
    """The mean box left and right of the middle; score: share of the images with one there."""
    together = np.concatenate(boxes)
    middle = (together[:, 0] + together[:, 2]) / 2
    found = [
        (float(here.sum() / len(boxes)), together[here].mean(0))
        for here in (middle < SIDE / 2, middle >= SIDE / 2)
        if here.any()
    ]
    found.sort(key=lambda one: -one[0])
    return Marks(
        np.array([box for _, box in found]).reshape(-1, 4),
        np.array([share for share, _ in found]),
        np.zeros(len(found)),
    )
