"""The part of a frontal chest radiograph that a detector sees, and boxes in its pixels and back.

The window follows the mean chest (``chest_frame``) in place and size but is not turned, so that an
upright box stays upright. Owns geometry and grey values only.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.models.boxes import Boxes
from analyzers.radiograph.chest_frame import COARSE, TRIM, ChestFrame, Image, locally_standardised

SIDE = 256
"""Pixels of the detector's input."""
SHARE = 0.9
"""Side of the window as a share of the mean chest's image."""
SURROUNDINGS = 16.0
"""Width in pixels of the Gaussian that tells what is usual round a pixel."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in pixels of the radiograph; it may reach beyond it."""

    left: int
    top: int
    width: int
    height: int

    def view(self, values: NDArray[np.floating]) -> Image:
        """The window of a radiograph ``(row, column)`` as ``(256, 256)``, 2–98 % stretched to 0–1.

        Beyond the radiograph its border is repeated.
        """
        rows = np.clip(np.arange(self.top, self.top + self.height), 0, values.shape[0] - 1)
        columns = np.clip(np.arange(self.left, self.left + self.width), 0, values.shape[1] - 1)
        cut = np.ascontiguousarray(values[np.ix_(rows, columns)], np.float32)
        small = cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        low, high = np.percentile(small, (2, 98))
        out: Image = np.clip((small - low) / (high - low + 1e-6), 0, 1).astype(np.float32)
        return out

    def inward(self, boxes: Boxes) -> Boxes:
        """Boxes of the radiograph in pixels of the view, cut at its border."""
        moved = (boxes - self._corner()) / self._scale()
        return np.clip(moved, 0, SIDE)

    def outward(self, boxes: Boxes) -> Boxes:
        """Boxes of the view in pixels of the radiograph."""
        return boxes * self._scale() + self._corner()

    def laid_back(self, chart: Image, shape: tuple[int, int]) -> Image:
        """A chart of the view on the radiograph of ``shape`` (row, column); 0 beyond the window."""
        wide = cv2.resize(chart, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        out = np.zeros(shape, np.float32)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom = min(self.top + self.height, shape[0])
        right = min(self.left + self.width, shape[1])
        if top < bottom and left < right:
            rows = slice(top - self.top, bottom - self.top)
            columns = slice(left - self.left, right - self.left)
            out[top:bottom, left:right] = wide[rows, columns]
        return out

    def _corner(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], np.float64)

    def _scale(self) -> NDArray[np.float64]:
        across, down = self.width / SIDE, self.height / SIDE
        return np.array([across, down, across, down])


def window(frame: ChestFrame, shape: tuple[int, int]) -> Window:
    """The window of a radiograph of ``shape`` (row, column) that is laid on the mean chest so."""
    matrix = frame.matrix.astype(np.float64)
    centre = matrix @ np.array([COARSE / 2, COARSE / 2, 1.0]) / COARSE
    half = SHARE / 2 * np.linalg.norm(matrix[:, :2], axis=0)
    side = max(shape)
    inner = side * (1 - 2 * TRIM)
    start = np.array([(side - shape[1]) / 2, (side - shape[0]) / 2])
    first = np.rint(side * TRIM + (centre - half) * inner - start).astype(int)
    size = np.maximum(np.rint(2 * half * inner).astype(int), 1)
    return Window(int(first[0]), int(first[1]), int(size[0]), int(size[1]))


def channels(view: Image) -> Image:
    """The view as it is and locally standardised, ``(2, 256, 256)``: opacity is a matter of its
    surroundings."""
    return np.stack([(view - 0.5) / 0.25, locally_standardised(view, SURROUNDINGS)])
