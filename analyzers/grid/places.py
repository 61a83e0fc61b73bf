"""Points that a person gives in patient coordinates, and where they lie on the grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analyzers.contract import InvalidParameters, NotApplicable, Volume

if TYPE_CHECKING:
    from analyzers.grid.patient_grid import PatientGrid

Index = tuple[int, int, int]


def require_point(name: str, point_mm: Sequence[float]) -> None:
    """Accept an empty sequence (no point) or three finite numbers.

    Raises
    ------
    InvalidParameters
    """
    numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in point_mm)
    if len(point_mm) not in (0, 3) or not numbers:
        raise InvalidParameters(f"{name} is {point_mm!r}: x, y and z in mm (LPS) are needed")


def index_of(volume: Volume, grid: PatientGrid, point_mm: Sequence[float]) -> Index:
    """The (z, y, x) index of the voxel that holds a point given in patient LPS mm.

    Raises
    ------
    NotApplicable
        The point lies outside the images.
    """
    inverse = np.linalg.inv(volume.affine)
    stored = np.rint((inverse @ np.array([*point_mm, 1.0]))[:3]).astype(int)
    if (stored < 0).any() or (stored >= np.array(volume.shape)).any():
        place = ", ".join(f"{one:g}" for one in point_mm)
        raise NotApplicable(f"The point ({place}) mm lies outside the images.")
    places = []
    for axis, reverse in zip(grid.order, grid.reverse, strict=True):
        last = volume.shape[axis] - 1
        places.append(int(last - stored[axis] if reverse else stored[axis]))
    return places[0], places[1], places[2]
