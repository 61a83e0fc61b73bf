"""Shapes that stand in objects as points, drawn on slices.

Points are columns and rows of an image, 0 at the outer corner of its first pixel (PS3.3 C.10.5.1.2,
C.18.6.1.2), or places in the patient in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.look.canvas import Canvas, Rgb
from node.look.stack import Slice

_CORNERS = 72
"""Of a drawn circle or ellipse."""
_THIN_MM = 1.0
"""So far from a slice a place in the patient still lies on it, where nothing says how thick it is.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """kind: Graphic Type. points: (n, 2), or (n, 3) in mm. closed: where the kind leaves it open.

    sop_instance_uid, frames: the images that it lies on; without frames, all of the instance;
    without an instance, wherever the slice's plane goes through the points.
    """

    kind: str
    points: NDArray[np.float64]
    entry: int
    sop_instance_uid: str = ""
    frames: frozenset[int] = frozenset()
    filled: bool = False
    words: str = ""

    @property
    def is_in_space(self) -> bool:
        return len(self.points[0]) == 3

    def lies_on(self, shown: Slice) -> bool:
        if not self.is_in_space:
            is_instance = self.sop_instance_uid in ("", shown.held.sop_instance_uid)
            return is_instance and (not self.frames or shown.frame in self.frames)
        if shown.place is None:
            return False
        apart = np.abs((self.points - shown.place.position) @ shown.place.normal)
        return bool(apart.max() <= _THIN_MM)

    def on(self, shown: Slice) -> NDArray[np.float64]:
        """The points as columns and rows of a slice."""
        if self.is_in_space and shown.place is not None:
            return shown.place.pixels(self.points)
        return self.points

    def area(self, shown: Slice) -> float:
        """Of the box round it, in pixels."""
        extent = np.ptp(_drawn(self.kind, self.on(shown))[0], axis=0)
        return float(extent[0] * extent[1])

    def draw(self, canvas: Canvas, shown: Slice, rgb: Rgb) -> None:
        points = self.on(shown)
        if self.kind in ("POINT", "MULTIPOINT"):
            for point in points:
                canvas.cross(point, rgb)
        else:
            line, closed = _drawn(self.kind, points)
            canvas.line(line, rgb, closed, self.filled)
        if self.words:
            line, _ = _drawn(self.kind, points)
            canvas.text(line[np.lexsort((line[:, 0], line[:, 1]))[0]], self.words, rgb)


def points_of(data: Any, dimensions: int) -> NDArray[np.float64] | None:
    """Graphic Data as points; None where they are none."""
    if data is None or len(data) < dimensions or len(data) % dimensions:
        return None
    return np.asarray(data, np.float64).reshape(-1, dimensions)


def _drawn(kind: str, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    if kind == "CIRCLE" and len(points) == 2:
        centre, radius = points[0], float(np.linalg.norm(points[1] - points[0]))
        return _ellipse(centre, np.array([radius, 0.0]), np.array([0.0, radius])), True
    if kind in ("ELLIPSE", "ELLIPSOID") and len(points) >= 4:
        centre = (points[0] + points[1]) / 2
        return _ellipse(centre, (points[1] - points[0]) / 2, (points[3] - points[2]) / 2), True
    is_closed = kind == "POLYGON" or (len(points) > 2 and bool(np.allclose(points[0], points[-1])))
    return points, is_closed


def _ellipse(
    centre: NDArray[np.float64], major: NDArray[np.float64], minor: NDArray[np.float64]
) -> NDArray[np.float64]:
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)[:, None]
    made: NDArray[np.float64] = centre + np.cos(turn) * major + np.sin(turn) * minor
    return made
