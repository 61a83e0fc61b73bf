"""Gaussian blur of whole numbers some planes at a time: the same values as of all planes at once.

In floats are held the planes that are made and those that their blur reaches, no others.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Volume
from analyzers.grid.blur import COLUMNS_AT_ONCE, gaussian_kernel
from analyzers.grid.field import LEAST_WEIGHT
from analyzers.grid.value_planes import at_once, raw_planes
from analyzers.grid.whole_values import has_whole_values
from analyzers.threads import bands, for_each

Floats = NDArray[np.float32]
PLANES_AT_ONCE = 24


def blurred_whole(volume: Volume, sigmas: tuple[float, float, float]) -> NDArray[np.int16] | None:
    """The blurred values, rounded; None where not all are whole or fit into int16.

    sigmas: in voxels along (slice, row, column). Padding is left out of sum and weight alike, as
    ``field.smoothed`` does, and is 0.
    """
    if not has_whole_values(volume):
        return None
    lowest, highest, middle = _range(volume)
    limits = np.iinfo(np.int16)
    if lowest < limits.min or highest > limits.max:
        return None
    made = _Blurring(volume, sigmas, middle)
    for first in range(0, len(volume.stored), made.step):
        made.go_on(slice(first, min(first + made.step, len(volume.stored))))
    return made.out


def _range(volume: Volume) -> tuple[float, float, np.float32]:
    """The lowest, the highest and the mean of the values that were measured."""
    lowest, highest, total, count = np.inf, -np.inf, 0.0, 0
    for z in range(len(volume.stored)):
        values = _plane(volume, z).astype(np.float64)
        if volume.valid is not None:
            values = values[volume.valid[z]]
        lowest = min(lowest, float(values.min(initial=np.inf)))
        highest = max(highest, float(values.max(initial=-np.inf)))
        total, count = total + float(values.sum()), count + values.size
    return lowest, highest, np.float32(total / max(count, 1))


def _plane(volume: Volume, z: int) -> Floats:
    """A slice of ``Volume.values``, padding as it was stored."""
    plane: Floats = raw_planes(volume, slice(z, z + 1))[0]
    return plane


class _Blurring:
    """``out`` fills from the first plane on, ``step`` planes at a time."""

    def __init__(
        self, volume: Volume, sigmas: tuple[float, float, float], middle: np.float32
    ) -> None:
        self._volume, self._middle = volume, middle
        self._across, self._down, self._along = (gaussian_kernel(sigma) for sigma in sigmas)
        self._reach = self._across.size // 2
        self.step = at_once(len(volume.stored), self._reach, PLANES_AT_ONCE)
        self.out = np.empty(volume.shape, np.int16)
        self._begin, self._end = 0, 0
        """The planes that are held, blurred within themselves."""
        most = min(self.step + 2 * self._reach, len(volume.stored))
        self._values = np.empty((most, *volume.shape[1:]), np.float32)
        self._weights = None if volume.valid is None else np.empty_like(self._values)

    def go_on(self, planes: slice) -> None:
        """Make these planes, which follow on those made before."""
        begin = max(planes.start - self._reach, 0)
        self._hold(begin, min(planes.stop + self._reach, len(self._volume.stored)))

        def between(columns: slice) -> None:
            self._finish(planes, columns)

        for_each(between, bands(self._values[0].size, COLUMNS_AT_ONCE))

    def _hold(self, begin: int, end: int) -> None:
        kept = slice(begin - self._begin, self._end - self._begin)
        values, weights = self._values, self._weights
        for held in (values,) if weights is None else (values, weights):
            held[: kept.stop - kept.start] = held[kept]

        def within(z: int) -> None:
            plane = _plane(self._volume, z)
            if weights is not None and self._volume.valid is not None:
                weight = self._volume.valid[z].astype(np.float32)
                plane -= self._middle
                plane *= weight
                weights[z - begin] = self._within(weight)
            values[z - begin] = self._within(plane)

        for_each(within, range(self._end, end))
        self._begin, self._end = begin, end

    def _within(self, plane: Floats) -> Floats:
        return np.asarray(
            cv2.sepFilter2D(plane, -1, self._along, self._down, borderType=cv2.BORDER_REFLECT),
            np.float32,
        )

    def _finish(self, planes: slice, columns: slice) -> None:
        values = self._between(self._values, planes, columns)
        if self._weights is not None and self._volume.valid is not None:
            weights = self._between(self._weights, planes, columns)
            np.divide(values, np.maximum(weights, LEAST_WEIGHT), out=values)
            values += self._middle
            valid = _flat(self._volume.valid)[planes, columns]
            np.copyto(values, np.float32(0), where=~valid)
        _flat(self.out)[planes, columns] = np.rint(values, out=values)

    def _between(self, held: Floats, planes: slice, columns: slice) -> Floats:
        strip = np.ascontiguousarray(_flat(held)[: self._end - self._begin, columns])
        if self._reach:
            none = np.ones(1, np.float32)
            strip = np.asarray(
                cv2.sepFilter2D(strip, -1, none, self._across, borderType=cv2.BORDER_REFLECT),
                np.float32,
            )
        return strip[planes.start - self._begin : planes.stop - self._begin]


def _flat(planes: NDArray[Any]) -> NDArray[Any]:
    return planes.reshape(len(planes), -1)
