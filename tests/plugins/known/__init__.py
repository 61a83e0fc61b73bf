"""Analyzers that find what is known before, as shares of the grid, installed as a third party's."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analyzers.contract import (
    Code,
    Detection,
    Findings,
    InputContract,
    Limits,
    NoParameters,
    ParametricMap,
    Volume,
)

Place = tuple[slice, slice, slice]
Shape = tuple[int, ...]
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LIVER = Code("10200004", "SCT", "Liver")
NODULE = Code("27925004", "SCT", "Nodule")
QUANTITY = Code("evidence", "99TEST", "Evidence")
NO_UNIT = Code("1", "UCUM", "no units")


def place_in(shape: Shape) -> Place:
    """Where the map has values and the box lies: off the middle of every axis."""
    slices, rows, columns = shape
    return (
        slice(slices // 5, slices // 5 + 4),
        slice(rows // 5, rows // 2),
        slice(columns * 3 // 5, columns * 4 // 5),
    )


class Known:
    version: ClassVar[str] = "1.0"
    inputs: ClassVar[InputContract] = InputContract(modalities=frozenset({"CT"}))
    limits: ClassVar[Limits] = Limits(time_s=60, memory_mb=2048)
    parameters: ClassVar[type] = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device


class Mapped(Known):
    """A map with two values, side by side at the known place, and with nothing elsewhere."""

    name: ClassVar[str] = "mapped"
    title: ClassVar[str] = "Mapped"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        values = np.zeros(volume.shape, np.float32)
        there = values[place_in(volume.shape)]
        there[:] = 40
        there[:, :, there.shape[2] // 2 :] = 20
        return Findings((ParametricMap(values, "Evidence", QUANTITY, NO_UNIT),))


class Boxed(Known):
    """A nodule in a box at the known place."""

    name: ClassVar[str] = "boxed"
    title: ClassVar[str] = "Boxed"

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        first, last = zip(*((at.start, at.stop - 1) for at in place_in(volume.shape)), strict=True)
        return Findings((Detection("nodule", NODULE, ABNORMAL, first, last, 0.9),))
