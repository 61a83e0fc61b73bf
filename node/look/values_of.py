"""The numbers of a frame as a pointer reads them: stored values, and how they become HU or SUV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.results.words.numbers import on_screen
from node.retrieve import grey
from node.retrieve.grey import Line
from node.retrieve.opened import OpenFrames
from node.series.uptake import uptake
from storage.header import values

SUV = "SUV"
STORED = "(stored)"
_PET_UNITS = {"BQML": "Bq/mL", "GML": SUV, "CNTS": "counts", "CPS": "counts/s", "PCNT": "%"}


@dataclass(frozen=True, slots=True)
class Scale:
    """value = stored * slope + intercept, in ``unit``."""

    slope: float
    intercept: float
    unit: str


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A greyscale frame: (row, column) stored values, and what they mean.

    is_negative: the lowest is shown brightest. padding: pixels that were not measured, as the
    lowest and the highest of their stored values; None where there are none.
    """

    array: NDArray[Any]
    scale: Scale
    is_negative: bool
    padding: tuple[float, float] | None


def numbers_of(opened: OpenFrames, frame: int) -> Numbers | None:
    """None where the frame is in colour.

    Raises
    ------
    NoSuchFrame, UnreadablePixels, UnreadableInstance, OSError
    """
    samples, header = opened.samples(frame), opened.header
    if samples.array.ndim != 2 or samples.photometric == "PALETTE COLOR":
        return None
    line = grey.rescale_of(header, frame)
    array = samples.array
    padding = _padding(header)
    if line is None:
        array = grey.rescaled(array, header, frame).astype(np.float32)
        line, padding = Line(is_given=True), None
    return Numbers(_plain(array), scale_of(header, frame, line), grey.is_inverse(header), padding)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """In a form that browsers have arrays of."""
    if array.dtype.kind == "f" or array.dtype.itemsize > 4:
        real: NDArray[Any] = np.nan_to_num(array.astype("<f4"))
        return real
    plain: NDArray[Any] = array.astype(array.dtype.newbyteorder("<"))
    return plain


def _padding(header: Dataset) -> tuple[float, float] | None:
    first = values.known(values.whole(header, "PixelPaddingValue"))
    if first is None:
        return None
    limit = values.known(values.whole(header, "PixelPaddingRangeLimit"))
    low, high = sorted((first, first if limit is None else limit))
    return low, high


def scale_of(header: Dataset, frame: int, line: Line) -> Scale:
    """In HU, SUV, or what else the header says that the values are; else as they are stored."""
    mapped = _real_world(header, frame)
    if mapped is not None:
        return mapped
    modality = values.text(header, "Modality")
    if modality == "PT" and line.is_given:
        factor = uptake([header]).factor
        if factor is not None:
            return Scale(line.slope * factor, line.intercept * factor, SUV)
        unit = _PET_UNITS.get(values.text(header, "Units").upper(), "")
        return Scale(line.slope, line.intercept, unit if unit != SUV else "g/mL")
    if not line.is_given:
        return Scale(1.0, 0.0, STORED)
    is_ct = modality == "CT" and line.kind in ("", "HU")
    unit = "HU" if is_ct or line.kind == "HU" else "" if line.kind == "US" else line.kind
    return Scale(line.slope, line.intercept, unit)


def _real_world(header: Dataset, frame: int) -> Scale | None:
    """Of a map: Real World Value Mapping (PS3.3 C.7.6.16.2.11)."""
    for group in grey.groups_of(header, frame):
        for mapping in values.items(group, "RealWorldValueMappingSequence"):
            slope = values.known(values.number(mapping, "RealWorldValueSlope"))
            intercept = values.known(values.number(mapping, "RealWorldValueIntercept"))
            if slope:
                units = values.item(mapping, "MeasurementUnitsCodeSequence")
                return Scale(slope, intercept or 0.0, on_screen(values.text(units, "CodeValue")))
    return None
