"""Where a frame lies in the patient, and what follows from it: its depth, its letters, its pixels.

All lengths in mm, in the patient's coordinates (LPS). PS3.3 C.7.6.2.1.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

PARALLEL = math.cos(math.radians(2))
"""From this cosine between their normals on two planes are drawn over each other."""
_OBLIQUE = 0.35
"""A direction cosine from which an axis is named beside the main one: 20 degrees."""
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_UPWARDS = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, -1.0]])
"""In which direction stacks go: to the left, to the back, to the feet."""
_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The first pixel's centre, where columns and rows rise to, and how far pixels lie apart.

    spacing: between rows, between columns.
    """

    position: Vector
    along_columns: Vector
    along_rows: Vector
    spacing: tuple[float, float]

    @property
    def normal(self) -> Vector:
        """Across the plane, in the direction in which a stack of such is looked through."""
        across = np.cross(self.along_columns, self.along_rows)
        axis = int(np.abs(across).argmax())
        return np.asarray(across if across @ _UPWARDS[axis] > 0 else -across)

    @property
    def depth(self) -> float:
        return float(self.position @ self.normal)

    @property
    def counted(self) -> float:
        """Along the normal of its rows and columns, as the slices of a report are counted."""
        return float(self.position @ np.cross(self.along_columns, self.along_rows))

    @property
    def plane(self) -> str:
        """The anatomical plane that it is nearest to."""
        return _PLANES[int(np.abs(self.normal).argmax())]

    def is_parallel(self, other: Place) -> bool:
        return abs(float(self.normal @ other.normal)) >= PARALLEL

    def letters(self) -> tuple[str, str, str, str]:
        """The patient's sides at the left, right, top and bottom."""
        right, bottom = named(self.along_columns), named(self.along_rows)
        return opposite(right), right, opposite(bottom), bottom

    def pixels(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 3) points as (n, 2) columns and rows, 0 at the first pixel's outer corner."""
        offsets = np.asarray(points, np.float64) - self.position
        columns = offsets @ self.along_columns / self.spacing[1]
        rows = offsets @ self.along_rows / self.spacing[0]
        return np.stack([columns, rows], axis=1) + 0.5

    def from_pixels_of(self, other: Place) -> NDArray[np.float64]:
        """2x3: from (column, row, 1) of a parallel plane to column and row here; whole numbers
        are centres of pixels."""
        corner = self.pixels(other.position[None])[0] - 0.5
        steps = [
            [other.along_columns * other.spacing[1], other.along_rows * other.spacing[0]],
        ]
        matrix = np.empty((2, 3))
        for index, step in enumerate(steps[0]):
            matrix[0, index] = step @ self.along_columns / self.spacing[1]
            matrix[1, index] = step @ self.along_rows / self.spacing[0]
        matrix[:, 2] = corner
        return matrix


def place_of(
    position: Sequence[float] | None,
    orientation: Sequence[float] | None,
    spacing: Sequence[float] | None,
) -> Place | None:
    """The place that a header's numbers give; None where they give none."""
    if not _are_numbers(position, 3) or not _are_numbers(orientation, 6):
        return None
    if not _are_numbers(spacing, 2):
        return None
    cosines = np.asarray(orientation, np.float64).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    between = np.asarray(spacing, np.float64)
    if lengths.min() < 0.5 or between.min() <= 0:
        return None
    unit = cosines / lengths[:, None]
    if np.linalg.norm(np.cross(unit[0], unit[1])) < 0.5:
        return None
    pair = (float(between[0]), float(between[1]))
    return Place(np.asarray(position, np.float64), unit[0], unit[1], pair)


def _are_numbers(given: Sequence[float] | None, count: int) -> bool:
    return (
        isinstance(given, Sequence)
        and len(given) == count
        and all(isinstance(one, int | float) and math.isfinite(one) for one in given)
    )


def named(direction: Vector) -> str:
    """ "L" or "LA": towards which sides a direction goes, the nearest first."""
    order = np.argsort(-np.abs(direction), kind="stable")
    return "".join(
        ("RL", "AP", "FH")[axis][int(direction[axis] > 0)]
        for axis in order
        if axis == order[0] or abs(direction[axis]) >= _OBLIQUE
    )


def opposite(sides: str) -> str:
    return "".join(_OPPOSITE.get(one, "") for one in sides)


def given_letters(orientation: Sequence[str]) -> tuple[str, str, str, str]:
    """The same of what Patient Orientation says (PS3.3 C.7.6.1.1.1); empty where it says nothing
    that can be shown."""
    sides = [one.upper() for one in orientation]
    if len(sides) != 2 or not all(one and set(one) <= set(_OPPOSITE) for one in sides):
        return "", "", "", ""
    right, bottom = sides
    return opposite(right), right, opposite(bottom), bottom
