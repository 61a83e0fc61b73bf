"""What lies over a slice, as one transparent picture: areas, lines, texts and shades.

It has square pixels, whatever those of the image are, and lies on the image from edge to edge.
OpenCV is loaded by the first thing that is drawn: a node that shows nothing holds none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from node.look.stack import Slice

Rgb = tuple[int, int, int]

FILL = 90
"""Of 255: how much of a filled area's colour is seen; its edge is seen whole."""
LINE_PX = 2
_SHIFT = 4
"""OpenCV takes points in sixteenths of a pixel."""
LEAST, MOST = 512, 1024
"""Pixels of the longer side."""
_LONGEST_TEXT = 200
_EDGE = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Style:
    """filled: areas, not their outlines alone. without: entries that are not drawn, by
    the row of their object and their number."""

    filled: bool = True
    without: frozenset[tuple[int, int]] = frozenset()


def size_of(shown: Slice, longest: int | None = None) -> tuple[int, int]:
    """Height and width of a slice's picture in square pixels."""
    rows_mm, columns_mm = shown.pixel_mm or (1.0, 1.0)
    height, width = shown.rows * rows_mm, shown.columns * columns_mm
    if longest is None:
        longest = min(max(shown.rows, shown.columns, LEAST), MOST)
    scale = longest / max(height, width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


class Canvas:
    """For one slice. Later things lie above earlier ones."""

    def __init__(self, shown: Slice, size: tuple[int, int]) -> None:
        self.height, self.width = size
        self.rgba: NDArray[np.uint8] = np.zeros((*size, 4), np.uint8)
        self._per_pixel = np.array([self.width / shown.columns, self.height / shown.rows])

    @property
    def to_slice(self) -> NDArray[np.float64]:
        """2x3: from pixels here to (column, row) of the slice, both by their centres."""
        across, down = 1 / self._per_pixel
        return np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5]])

    def sampled(
        self, plane: NDArray[Any], to_plane: NDArray[np.float64] | None
    ) -> NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]:
        """A plane's values at each pixel here, 0 beyond it. to_plane: 2x3, from (column, row, 1)
        of the slice; None where it is the slice's own grid."""
        import cv2

        matrix = self.to_slice
        if to_plane is not None:
            square = np.vstack([matrix, [0, 0, 1]])
            matrix = to_plane @ square
        return cv2.warpAffine(  # type: ignore[return-value]
            np.ascontiguousarray(plane),
            matrix,
            (self.width, self.height),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0,
        )

    def area(self, mask: NDArray[np.bool_], rgb: Rgb, filled: bool) -> None:
        """A structure: its edge, and its inside paler."""
        import cv2

        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return
        cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        part = mask[cut].astype(np.uint8)
        inner = cv2.erode(
            part, np.ones((3, 3), np.uint8), iterations=LINE_PX, borderType=cv2.BORDER_CONSTANT,
            borderValue=0,
        )  # fmt: skip
        here = self.rgba[cut]
        if filled:
            here[inner > 0] = (*rgb, FILL)
        here[(part > 0) & (inner == 0)] = (*rgb, 255)

    def shades(self, rgba: NDArray[np.uint8]) -> None:
        """Colours of every pixel, over what is transparent so far."""
        free = self.rgba[..., 3] == 0
        self.rgba[free] = rgba[free]

    def line(self, points: NDArray[Any], rgb: Rgb, closed: bool, filled: bool = False) -> None:
        """points: (n, 2) columns and rows of the slice, 0 at its outer corner."""
        import cv2

        placed = np.asarray(points, np.float64).reshape(-1, 2) * self._per_pixel - 0.5
        far = 4.0 * max(self.width, self.height)
        placed = np.clip(np.nan_to_num(placed, nan=-far), -far, far)
        whole = np.rint(placed * 2**_SHIFT).astype(np.int32)
        colour = (*rgb, 255)
        if filled and closed:
            cv2.fillPoly(self.rgba, [whole], (*rgb, FILL), cv2.LINE_8, _SHIFT)
        cv2.polylines(self.rgba, [whole], closed, colour, LINE_PX, cv2.LINE_8, _SHIFT)

    def cross(self, point: Sequence[float], rgb: Rgb) -> None:
        """A mark at a point of the slice."""
        column, row = (float(one) for one in point[:2])
        arm = 6 / self._per_pixel
        for ends in (
            [(column - arm[0], row), (column + arm[0], row)],
            [(column, row - arm[1]), (column, row + arm[1])],
        ):
            self.line(np.array(ends), rgb, closed=False)

    def text(self, point: Sequence[float], words: str, rgb: Rgb, anchor: str = "ls") -> None:
        """Beside a point of the slice; within the picture as far as it fits."""
        words = words[:_LONGEST_TEXT].strip()
        if not words:
            return
        x, y = (float(one) for one in np.asarray(point[:2], np.float64) * self._per_pixel)
        image = Image.fromarray(self.rgba)
        pen = ImageDraw.Draw(image)
        font = ImageFont.load_default(max(13, round(max(self.width, self.height) / 56)))
        left, top, right, bottom = pen.multiline_textbbox((x, y), words, font, anchor[:1] + "a")
        x += min(0.0, self.width - 4 - right) - min(0.0, left - 4)
        y = y - (bottom - top) - 4 if anchor.endswith("s") else y
        y = min(max(y, 2.0), max(self.height - (bottom - top) - 4.0, 2.0))
        pen.multiline_text(
            (x, y), words, (*rgb, 255), font, anchor[:1] + "a", stroke_width=2,
            stroke_fill=(*_EDGE, 255),
        )  # fmt: skip
        self.rgba = np.array(image)


def laid_over(
    picture: NDArray[np.uint8], rgba: NDArray[np.uint8], opacity: float
) -> NDArray[np.uint8]:
    """(row, column, 3) of both."""
    share = rgba[..., 3:].astype(np.float32) * np.float32(opacity / 255)
    mixed = picture * (1 - share) + rgba[..., :3] * share
    return np.asarray(mixed + 0.5, np.uint8)
