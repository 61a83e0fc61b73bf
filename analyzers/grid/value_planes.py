"""The values of a volume a part at a time: most steps look at one plane, no copy of all is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import AIR_HU, Volume

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
LEAST_PARTS = 6
"""A series is worked on in so many parts, however few its slices are."""


def at_once(count: int, reach: int, most: int) -> int:
    """How many of ``count`` slices are made in one go, where each looks ``reach`` slices far.

    Those that are looked at are part of what is held; but no more is looked at twice than once.
    """
    return max(min(most, count // LEAST_PARTS - 2 * reach), 2 * reach, 1)


def raw_planes(volume: Volume, place: slice) -> Floats:
    """Some slices of ``Volume.values`` as a new array, padding as it was stored."""
    part = replace(
        volume,
        stored=volume.stored[place],
        slope=volume.slope[place],
        intercept=volume.intercept[place],
        valid=None,
    )
    values: Floats = part.values(np.float32)
    return values


class ValuePlanes:
    """What ``Volume.values`` gives in float32, made anew for each part that is asked for.

    Parts are new arrays, named by the number of a slice or a range of slices.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.shape = volume.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: int | slice) -> Floats:
        if not isinstance(place, slice):
            plane: Floats = self._some(slice(place, place + 1))[0]
            return plane
        return self._some(place)

    def __iter__(self) -> Iterator[Floats]:
        return (self[z] for z in range(len(self)))

    @cached_property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        found = np.array([(plane.min(), plane.max()) for plane in self])
        return float(found[:, 0].min()), float(found[:, 1].max())

    def inside(self, mask: Mask) -> Floats:
        """The values of the voxels of a mask, one after the other."""
        found = np.empty(np.count_nonzero(mask), np.float32)
        done = 0
        for plane, here in zip(self, mask, strict=True):
            values = plane[here]
            found[done : done + values.size] = values
            done += values.size
        return found

    def _some(self, place: slice) -> Floats:
        values = raw_planes(self._volume, place)
        if self._volume.valid is not None:
            np.copyto(values, self._blank, where=~self._volume.valid[place])
        return values

    @cached_property
    def _blank(self) -> np.float32:
        """What ``Volume.blank_padding`` writes over padding."""
        valid = self._volume.valid
        assert valid is not None
        planes = (raw_planes(self._volume, slice(z, z + 1))[0] for z in range(len(self)))
        extremes = np.array(
            [
                (plane.min(where=here, initial=np.inf), plane.max())
                for plane, here in zip(planes, valid, strict=True)
            ]
        )
        lowest = min(extremes[:, 0].min(), extremes[:, 1].max())
        return np.float32(min(lowest, AIR_HU) if self._volume.modality == "CT" else lowest)
