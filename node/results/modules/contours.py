"""The lines round a structure on one slice: every part of it, and every hole in it.

Coordinates are those of PS3.3 C.18.6.1.2 and C.10.5.1.2: column and row in pixels, 0 at the outer
corner of the first pixel, so that 0.5 is its centre.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float32]
"""(points, 2): column and row; the last point is the first again."""

SMOOTHED_PX = 0.4
"""A line leaves out points that lie closer to a straight one than this."""
MOST_POINTS = 8000
"""Of a line: as many as an attribute of the value representation FL holds, and some to spare."""


def around(mask: NDArray[np.bool_]) -> list[Line]:
    """Closed lines round all parts and holes, a quarter of a pixel within the structure's edge.

    Each pixel is drawn as 2 by 2, and the lines go through the centres of the outermost ones: a
    single pixel has a line too, and neighbours have two that do not touch.
    """
    top, left, inside = _cut_out(mask)
    if not inside.size:
        return []
    doubled = inside.repeat(2, axis=0).repeat(2, axis=1)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [_placed(line, top, left) for line in found]


def _cut_out(mask: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.uint8]]:
    """The part of the slice that holds the structure, and where it begins: rows and columns."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0, 0, np.zeros((0, 0), np.uint8)
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return top, left, part.astype(np.uint8)


def _placed(found: NDArray[Any], top: int, left: int) -> Line:
    line = (_simplified(found).reshape(-1, 2) + 0.5) / 2 + (left, top)
    closed: Line = np.vstack([line, line[:1]]).astype(np.float32)
    return closed


def _simplified(found: NDArray[Any]) -> NDArray[Any]:
    tolerance = SMOOTHED_PX
    line: NDArray[Any] = cv2.approxPolyDP(found, tolerance, closed=True)
    while len(line) >= MOST_POINTS:
        tolerance *= 2
        line = cv2.approxPolyDP(found, tolerance, closed=True)
    return line
