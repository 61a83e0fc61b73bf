"""HU of a volume a part at a time: most steps look at one plane, no copy of all is held."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import AIR_HU, Volume
from analyzers.grid.patient_grid import (
    CEILING_HU,
    FLOOR_HU,
    PatientGrid,
    hounsfield,
    is_whole,
    measured_here,
    whole_hounsfield,
)

Mask: TypeAlias = NDArray[np.bool_]
Place: TypeAlias = int | slice | tuple[int | slice, ...]


class HounsfieldPlanes:
    """What ``hounsfield`` gives, axes (z, y, x), made anew for each part that is asked for.

    Parts are new int16 arrays, named as parts of an array are: by numbers and slices.
    """

    def __init__(
        self, stored: NDArray[Any], intercept: int, valid: Mask | None, blank_hu: int | None = None
    ) -> None:
        """stored, valid: axes (z, y, x). blank_hu: of padding; None: as of the whole volume."""
        self._stored, self._intercept, self._valid = stored, intercept, valid
        if blank_hu is None:
            blank_hu = AIR_HU if valid is None else self._lowest(valid)
        self._blank_hu = np.int16(blank_hu)
        depth, height, width = stored.shape
        self.shape: tuple[int, int, int] = (depth, height, width)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, place: Place) -> NDArray[np.int16]:
        hu = self._measured(place)
        if self._valid is not None:
            np.copyto(hu, self._blank_hu, where=~self._valid[place])
        return hu

    def part(self, window: tuple[slice, ...]) -> HounsfieldPlanes:
        """The same of a part, still not made."""
        valid = None if self._valid is None else self._valid[window]
        return HounsfieldPlanes(self._stored[window], self._intercept, valid, int(self._blank_hu))

    def _measured(self, place: Place) -> NDArray[np.int16]:
        return whole_hounsfield(self._stored[place], self._intercept)

    def _lowest(self, valid: Mask) -> int:
        """What ``Volume.blank_padding`` writes over padding."""
        lowest, highest = CEILING_HU, FLOOR_HU
        for z, measured in enumerate(valid):
            plane = self._measured(z)
            highest = max(highest, int(plane.max(initial=FLOOR_HU)))
            lowest = min(lowest, int(plane.min(where=measured, initial=CEILING_HU)))
        return min(lowest, highest, AIR_HU)


Hounsfield: TypeAlias = NDArray[np.int16] | HounsfieldPlanes
"""An array of HU, axes (z, y, x), or what gives its parts."""


def hounsfield_planes(volume: Volume, grid: PatientGrid) -> Hounsfield:
    """The HU of a volume without a copy of it, where axial slices hold whole values.

    Elsewhere the array itself: planes across the slices would be gathered over and over.
    """
    as_stored = grid.order[0] == 0 and bool(np.all(volume.intercept == volume.intercept[0]))
    if as_stored and all(is_whole(volume, index) for index in range(len(volume.stored))):
        valid = measured_here(volume, grid)
        return HounsfieldPlanes(grid.view(volume.stored), int(volume.intercept[0]), valid)
    return hounsfield(volume, grid)


def part_of(hu: Hounsfield, window: tuple[slice, ...]) -> Hounsfield:
    """A part, which takes no memory."""
    return hu.part(window) if isinstance(hu, HounsfieldPlanes) else hu[window]
