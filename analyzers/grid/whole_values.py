"""Whole numbers stay whole: whether the values of a series are, and how a result is made so."""

from __future__ import annotations

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
    limits = np.iinfo(np.int16)
    fits = np.rint(values.min()) >= limits.min and np.rint(values.max()) <= limits.max
    rounded = np.empty(values.shape, np.int16 if fits else np.int32)
    for index, plane in enumerate(values):
        rounded[index] = np.rint(plane)
    return rounded
