"""Which voxels were measured, and which are padding (PS3.3 C.7.5.1.1.2).

Owns what Pixel Padding Value (0028,0120) and Pixel Padding Range Limit (0028,0121) mean: stored
values, before any rescale, that fill a round or moved field of view up to a rectangle.

Vendors also declare values that the scanner measures as well (0 on MR, 0 HU on CT). A value that
lies apart from all others is padding wherever it stands; one among the others is padding only
where it reaches the edge of its slice, and is a measured value inside the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from node.series.geometry import NothingMeasured, UnreadableHeader
from storage.header import values
from storage.header.values import Unknown

Mask = NDArray[np.bool_]

APART = 1 / 32
"""Share of the range of measured values by which padding has to lie beyond it to be apart."""


@dataclass(frozen=True, slots=True)
class Padding:
    """Stored values from Pixel Padding Value to Pixel Padding Range Limit, both included."""

    value: int
    limit: int | None = None

    @property
    def lowest(self) -> int:
        return self.value if self.limit is None else min(self.value, self.limit)

    @property
    def highest(self) -> int:
        return self.value if self.limit is None else max(self.value, self.limit)


def padding_of(header: Dataset) -> Padding | None:
    """What an image declares as padding; None: nothing.

    The values are of the pixels' own type whatever their value representation says: files hold
    63536 for -2000 (US for SS), and the reverse.

    Raises
    ------
    UnreadableHeader
        A value is no whole number.
    """
    value = _whole_number(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = _whole_number(header, "PixelPaddingRangeLimit")
    return Padding(_as_stored(value, header), None if limit is None else _as_stored(limit, header))


def measured_voxels(stored: NDArray[Any], paddings: Sequence[Padding | None]) -> Mask | None:
    """Read-only, True where a value was measured; None: everywhere.

    ``paddings``: one a slice of ``stored``.

    Raises
    ------
    NothingMeasured
        All is padding.
    """
    if not any(paddings):
        return None
    padding = np.zeros(stored.shape, np.bool_)
    for plane, one, out in zip(stored, paddings, padding, strict=True):
        if one is not None:
            np.logical_and(plane >= one.lowest, plane <= one.highest, out=out)
    if not padding.any():
        return None
    reach = _measured_range(stored, padding)
    for one, out in zip(paddings, padding, strict=True):
        if one is not None and not _lies_apart(one, reach):
            out[...] = _reaching_the_edge(out)
    if not padding.any():
        return None
    valid = ~padding
    if not valid.any():
        raise NothingMeasured
    valid.setflags(write=False)
    return valid


def _whole_number(header: Dataset, keyword: str) -> int | None:
    value = values.value(header, keyword)
    if isinstance(value, bytes):
        return int.from_bytes(value, "little")
    number = values.whole(header, keyword)
    if isinstance(number, Unknown):
        if number.is_given:
            raise UnreadableHeader(f"{keyword} is not a whole number")
        return None
    return number


def _as_stored(value: int, header: Dataset) -> int:
    """The number that these bits of a pixel are."""
    bits = int(header.BitsStored)
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if header.PixelRepresentation == 1 and low >> (bits - 1) else low


def _measured_range(stored: NDArray[Any], padding: Mask) -> tuple[int, int] | None:
    """The lowest and the highest of the other values; None: there are none."""
    lowest, highest = [], []
    for plane, marked in zip(stored, padding, strict=True):
        others = plane[~marked]
        if others.size:
            lowest.append(int(others.min()))
            highest.append(int(others.max()))
    return (min(lowest), max(highest)) if lowest else None


def _lies_apart(padding: Padding, reach: tuple[int, int] | None) -> bool:
    if reach is None:
        return True
    lowest, highest = reach
    gap = max(lowest - padding.highest, padding.lowest - highest)
    return gap > max(1, APART * (highest - lowest))


def _reaching_the_edge(padding: Mask) -> Mask:
    """The connected parts of one slice that meet its edge."""
    labels, count = ndimage.label(padding)
    meets = np.zeros(count + 1, np.bool_)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        meets[edge] = True
    meets[0] = False
    found: Mask = meets[labels]
    return found
