"""Parts with holes as one closed line each, as those want them who know no holes (PS3.3 C.8.8.6.3).

Each hole is reached, and left, by a channel without width from the nearest point of what is there
already: outermost line first, then the holes from the left. The time it takes grows with the number
of points, however many holes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from node.results.modules.contours import Line, Part

_NEAR = 16
"""So many of the nearest points are looked at first."""

_Numbers = NDArray[np.int64]


def joined(part: Part) -> Line:
    """One closed line: walked in both directions, a channel encloses nothing."""
    holes = sorted((_from_the_left(one) for one in part.holes), key=_first)
    rings = [part.outer[:-1], *holes]
    points = np.vstack(rings)
    if holes:
        points = points[_walk(rings, points)]
    closed: Line = np.vstack([points, points[:1]])
    return closed


def _from_the_left(hole: Line) -> Line:
    """The points of a hole from its leftmost one on, each once."""
    rolled: Line = np.roll(hole[:-1], -int(hole[:-1, 0].argmin()), axis=0)
    return rolled


def _first(line: Line) -> tuple[float, float]:
    return float(line[0, 0]), float(line[0, 1])


def _walk(rings: Sequence[Line], points: Line) -> _Numbers:
    """The numbers of the points in the order of the line; those at both ends of a channel twice."""
    starts = np.cumsum([0, *map(len, rings)])
    owner = np.repeat(np.arange(len(rings)), [len(one) for one in rings])
    copies = np.arange(len(points) + 2 * (len(rings) - 1))
    after = copies + 1
    after[starts[1:] - 1] = starts[:-1]  # each ring is closed
    channels = zip(starts[1:-1], starts[2:], _nearest(points, owner, starts[1:-1]), strict=True)
    for number, (start, end, there) in enumerate(channels):
        back = len(points) + 2 * number
        on = back + 1
        after[on], after[back] = after[there], on
        after[there], after[end - 1] = start, back
        copies[back], copies[on] = start, there
    return copies[_order(after)]


def _order(after: _Numbers) -> _Numbers:
    following = after.tolist()
    found, here = [0], following[0]
    while here:
        found.append(here)
        here = following[here]
    return np.array(found, np.int64)


def _nearest(points: Line, owner: _Numbers, starts: _Numbers) -> list[int]:
    """For the first point of each hole the nearest of the rings that come before it."""
    tree: Any = cKDTree(points)
    near = np.atleast_2d(tree.query(points[starts], k=min(_NEAR, len(points)))[1])
    return [
        _before(tree, points[start], owner, int(owner[start]), numbers)
        for start, numbers in zip(starts, near, strict=True)
    ]


def _before(
    tree: Any, point: NDArray[np.float32], owner: _Numbers, ring: int, near: _Numbers
) -> int:
    while True:
        earlier = near[owner[near] < ring]
        if earlier.size:
            return int(earlier[0])
        near = tree.query(point, k=min(4 * len(near), len(owner)))[1]
