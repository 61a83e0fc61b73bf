"""The lines round a structure on one slice: every part of it, and every hole in it.

Coordinates are those of PS3.3 C.18.6.1.2 and C.10.5.1.2: column and row in pixels, 0 at the outer
corner of the first pixel, so that 0.5 is its centre.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One connected part of a structure: the line round it, and those round its holes."""

    outer: Line
    holes: tuple[Line, ...] = ()


def around(mask: NDArray[np.bool_]) -> list[Line]:
    """Closed lines round all parts and holes, as ``parts`` gives them."""
    return [line for part in parts(mask) for line in (part.outer, *part.holes)]


def parts(mask: NDArray[np.bool_], most_points: int | None = MOST_POINTS) -> list[Part]:
    """The parts, each with closed lines a quarter of a pixel within the structure's edge.

    Each pixel is drawn as 2 by 2, and the lines go through the centres of the outermost ones: a
    single pixel has a line too, and neighbours have two that do not touch. Pixels that meet at a
    corner are one part; an island in a hole is a part of its own. A line
    of more than ``most_points`` is drawn coarser than that; with None, all are as exact.
    """
    top, left, inside = _cut_out(mask)
    if not inside.size:
        return []
    doubled = inside.repeat(2, axis=0).repeat(2, axis=1)
    found, (tree,) = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    placed = [_placed(line, top, left, most_points) for line in found]
    return [
        Part(line, tuple(placed[hole] for hole in _children(tree, index)))
        for index, line in enumerate(placed)
        if tree[index][_PARENT] < 0
    ]


def is_coarsened(mask: NDArray[np.bool_]) -> bool:
    """Whether a line has more points than are drawn."""
    exact = parts(mask, most_points=None)
    return any(len(line) > MOST_POINTS for one in exact for line in (one.outer, *one.holes))


_NEXT, _FIRST_CHILD, _PARENT = 0, 2, 3


def _children(tree: NDArray[Any], index: int) -> Iterator[int]:
    child = int(tree[index][_FIRST_CHILD])
    while child >= 0:
        yield child
        child = int(tree[child][_NEXT])


def filled(lines: Sequence[Line], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(rows, columns): the pixels whose centres lie inside of an odd number of closed lines."""
    rows, columns = shape
    ends = [line.astype(np.float64) - 0.5 for line in lines]
    begin = np.vstack([np.zeros((0, 2)), *(line[:-1] for line in ends)])
    end = np.vstack([np.zeros((0, 2)), *(line[1:] for line in ends)])
    edge, at = _rows_crossed(begin[:, 1], end[:, 1], rows)
    (x0, y0), (x1, y1) = begin[edge].T, end[edge].T
    x = x0 + (at - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(x), 0, columns).astype(np.int64)
    width = columns + 1
    times = np.bincount(at * width + column, minlength=rows * width).reshape(rows, width)
    inside: NDArray[np.bool_] = np.logical_xor.accumulate(times % 2 == 1, axis=1)[:, :columns]
    return inside


def _rows_crossed(
    y0: NDArray[np.float64], y1: NDArray[np.float64], rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edge and row of each crossing of an edge with the middle of a row."""
    low = np.maximum(np.ceil(np.minimum(y0, y1)), 0).astype(np.int64)
    high = np.minimum(np.ceil(np.maximum(y0, y1)), rows).astype(np.int64)
    count = np.maximum(high - low, 0)
    edge = np.repeat(np.arange(len(count)), count)
    first = np.repeat(np.cumsum(count) - count, count)
    return edge, low[edge] + np.arange(len(edge)) - first


def _cut_out(mask: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.uint8]]:
    """The part of the slice that holds the structure, and where it begins: rows and columns."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0, 0, np.zeros((0, 0), np.uint8)
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return top, left, part.astype(np.uint8)


def _placed(found: NDArray[Any], top: int, left: int, most: int | None) -> Line:
    line = (_simplified(found, most).reshape(-1, 2) + 0.5) / 2 + (left, top)
    closed: Line = np.vstack([line, line[:1]]).astype(np.float32)
    return closed


def _simplified(found: NDArray[Any], most: int | None) -> NDArray[Any]:
    tolerance = SMOOTHED_PX
    line: NDArray[Any] = cv2.approxPolyDP(found, tolerance, closed=True)
    while most is not None and len(line) >= most:
        tolerance *= 2
        line = cv2.approxPolyDP(found, tolerance, closed=True)
    return line
