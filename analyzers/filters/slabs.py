"""Filters some slices at a time: in floats are held those that are made and what they look at.

The same values as of all slices at once, where a filter looks no farther than its reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Volume
from analyzers.filters.derived import Floats
from analyzers.grid.field import LEAST_WEIGHT
from analyzers.grid.value_planes import ValuePlanes, at_once
from analyzers.grid.whole_values import Gathered
from analyzers.threads import bands

SLICES_AT_ONCE = 32


class Slices(Protocol):
    """Gives slices as new float32 arrays."""

    shape: tuple[int, int, int]

    def __getitem__(self, place: slice, /) -> Floats: ...


def in_slabs(
    volume: Volume,
    slices: Slices,
    work: Callable[[Floats], Floats],
    *,
    reach: int = 0,
    device: str = "cpu",
) -> NDArray[Any]:
    """What ``work`` makes of the slices, whole numbers where those of the volume are.

    work: gets the slices of a slab and ``reach`` more on either side, may write to them, and gives
    as many. On a CUDA device all slices are one slab: it has the memory, and fewer starts.
    """
    count = slices.shape[0]
    out = Gathered(volume)
    is_one = device.startswith("cuda")
    for place in bands(count, count if is_one else at_once(count, reach, SLICES_AT_ONCE)):
        first = max(place.start - reach, 0)
        made = work(slices[first : place.stop + reach])[place.start - first :]
        out.put(place, made[: place.stop - place.start])
    return out.values


def smoothed_in_slabs(
    volume: Volume, smooth: Callable[[Floats], Floats], *, reach: int, device: str
) -> NDArray[Any]:
    """As ``field.smoothed``, some slices at a time."""
    slices = ValuePlanes(volume)
    if volume.valid is None:
        return in_slabs(volume, slices, smooth, reach=reach, device=device)
    weighted = _Weighted(volume, smooth)
    return in_slabs(volume, weighted, weighted.smoothed, reach=reach, device=device)


class _Weighted:
    """Values off their middle, 0 where nothing was measured; ``smoothed`` is of what was given
    last."""

    def __init__(self, volume: Volume, smooth: Callable[[Floats], Floats]) -> None:
        assert volume.valid is not None
        self._slices, self._valid, self._smooth = ValuePlanes(volume), volume.valid, smooth
        self.shape = volume.shape
        total = count = 0.0
        for plane, here in zip(self._slices, volume.valid, strict=True):
            total += float(plane.sum(where=here, dtype=np.float64))
            count += np.count_nonzero(here)
        self._middle = np.float32(total / max(count, 1))
        self._place = slice(0, 0)

    def __getitem__(self, place: slice, /) -> Floats:
        values = self._slices[place]
        values -= self._middle
        values *= self._valid[place]
        self._place = place
        return values

    def smoothed(self, values: Floats) -> Floats:
        weight = self._smooth(self._valid[self._place].astype(np.float32))
        values = self._smooth(values)
        np.divide(values, np.maximum(weight, LEAST_WEIGHT), out=values)
        values += self._middle
        return values
