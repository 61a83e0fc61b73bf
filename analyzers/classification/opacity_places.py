"""What a place of a framed chest radiograph looks like: brightness, edges and texture of 12×12
places, each compared with its mirror place, with the whole image and with the training images.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.models.learners import Arrays, Forest
from analyzers.models.stored_model import part_of
from analyzers.radiograph.chest_frame import Image, locally_standardised
from analyzers.radiograph.opacity_features import zone_of

FIELD = slice(20, 220)
"""Rows and columns of the framed image (240×240) that are divided into places: the lungs."""
SIDE = 12
WIDTHS = (40.0, 15.0)
BLURS = (4, 10, 24)
EDGE_WIDTHS = (1.5, 4)


@dataclass(frozen=True, slots=True, eq=False)
class PlaceForest:
    """A forest that gives each place's chance to lie in an opacity.

    mean, deviation: ``(144, features)``, of each feature at each place over the training images.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    forest: Forest

    def chart(self, framed: Image) -> NDArray[np.float64]:
        """The chance at each place of a framed image, ``(12, 12)``."""
        chances = self.forest.decide(compared(places(framed), self.mean, self.deviation))
        return chances.reshape(SIDE, SIDE)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "mean": self.mean.astype(np.float32),
            "deviation": self.deviation.astype(np.float32),
            **{f"forest.{key}": value for key, value in self.forest.arrays().items()},
        }

    @classmethod
    def of(cls, arrays: Arrays) -> PlaceForest:
        """Raises KeyError when an array is missing."""
        return cls(
            np.asarray(arrays["mean"], np.float64),
            np.asarray(arrays["deviation"], np.float64),
            Forest.of(part_of(arrays, "forest.")),
        )


def places(framed: Image) -> NDArray[np.float64]:
    """Features of the places in reading order, ``(144, 57)``: own, less mirror, less mean."""
    charts = [_small(chart) for chart in _charts(framed)]
    own = np.stack(charts, -1)
    parts = [own, own - own[:, ::-1], own - own.mean((0, 1))]
    return np.concatenate(parts, -1).reshape(SIDE * SIDE, -1).astype(np.float64)


def compared(
    features: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Features ``(…, 144, n)`` beside their distance from what is usual at the place, and where it
    is: ``(…, 144, 2 n + 3)``."""
    where = np.broadcast_to(_positions(), (*features.shape[:-1], 3))
    return np.concatenate([(features - mean) / deviation, features, where], -1)


def zones() -> list[str]:
    """The zone of each place in reading order."""
    middle = (FIELD.start + (np.arange(SIDE) + 0.5) * (FIELD.stop - FIELD.start) / SIDE) / 240
    return [zone_of(float(row), float(column)) for row in middle for column in middle]


def shares(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of each place inside a box, from framed boxes ``(n, 240, 240)``: ``(n, 144)``."""
    return np.stack([_small(chart).ravel() for chart in boxes]).astype(np.float64)


def _charts(framed: Image) -> list[Image]:
    charts = []
    for shade in (framed, *(locally_standardised(framed, width) for width in WIDTHS)):
        charts += [shade, *(_blurred(shade, width) for width in BLURS)]
    for width in EDGE_WIDTHS:
        soft = _blurred(framed, width)
        across = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 1, 0), np.float32)
        down = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 0, 1), np.float32)
        charts += [np.hypot(across, down), np.abs(across), np.abs(down)]
    fine = framed - _blurred(framed, 3)
    charts.append(np.sqrt(_blurred(fine**2, 6)))
    return charts


def _blurred(image: Image, width: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), width), np.float32)


def _small(chart: Image) -> Image:
    inner = np.ascontiguousarray(chart[FIELD, FIELD])
    return np.asarray(cv2.resize(inner, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _positions() -> NDArray[np.float64]:
    """Row, column and distance from the midline of each place, ``(144, 3)``."""
    row, column = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    return np.stack([row, column, np.abs(column - 0.5)], -1).reshape(-1, 3)
