"""Whole numbers stay whole: whether the values of a series are, and how a result is made so."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Volume


def has_whole_values(volume: Volume) -> bool:
    """Whether every value after rescale is a whole number by construction."""
    rescale = np.concatenate([volume.slope, volume.intercept])
    return bool(
        np.issubdtype(volume.stored.dtype, np.integer) and np.all(rescale == np.rint(rescale))
    )


def whole(values: NDArray[Any]) -> NDArray[Any]:
    """Rounded to int16 where the range allows it, else int32; slice by slice to save memory."""
    rounded = np.empty(values.shape, np.int16 if _fits(values) else np.int32)
    for index, plane in enumerate(values):
        rounded[index] = np.rint(plane)
    return rounded


class Gathered:
    """The slices of a result, which come some at a time, in any order and from any thread."""

    def __init__(self, volume: Volume, shape: tuple[int, int, int] | None = None) -> None:
        """Whole numbers where those of the volume are, as ``whole`` makes them; else float32.

        shape: None: that of the volume.
        """
        kind = np.int16 if has_whole_values(volume) else np.float32
        self.values: NDArray[Any] = np.empty(shape or volume.shape, kind)
        self._turn = Lock()

    def put(self, place: slice, made: NDArray[np.float32]) -> None:
        """Write some slices."""
        with self._turn:
            if self.values.dtype == np.int16 and not _fits(made):
                self.values = self.values.astype(np.int32)
            rounds = self.values.dtype != np.float32
            for index, plane in zip(range(place.start, place.stop), made, strict=True):
                self.values[index] = np.rint(plane) if rounds else plane


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """As int16 where all of them fit."""
    return values.astype(np.int16) if values.dtype == np.int32 and _fits(values) else values


def _fits(values: NDArray[Any]) -> bool:
    limits = np.iinfo(np.int16)
    return bool(np.rint(values.min()) >= limits.min and np.rint(values.max()) <= limits.max)
