"""In which shades a series is shown first, and which others are a click away.

In the units that the pointer reads: HU, SUV, or what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.look.values_of import SUV, Numbers
from node.results.pictures import windows
from node.results.pictures.windows import Window
from node.retrieve import grey
from node.retrieve.grey import WindowFunction

_CT = (
    ("Soft tissue", windows.SOFT_TISSUE),
    ("Lung", windows.LUNG),
    ("Mediastinum", Window.around(50, 350)),
    ("Bone", windows.BONE),
    ("Brain", windows.BRAIN),
    ("Liver", Window.around(80, 150)),
)
_UPTAKE = tuple(
    (f"SUV 0–{high:g}", Window(0.0, high, is_negative=True, unit=SUV)) for high in (5.0, 10.0, 20.0)
)
_AS_GIVEN = frozenset({"CR", "DX", "MG", "US", "XC", "ES", "OT", "IO", "PX", "RG", "XA", "RF"})
"""Modalities whose images come as they are to be seen."""


@dataclass(frozen=True, slots=True)
class Preset:
    """window: None: as the image says itself, with its tables if it has any."""

    name: str
    window: Window | None


@dataclass(frozen=True, slots=True)
class Shades:
    """The windows of a series: the one it is shown in first, and those to choose from.

    is_grey: whether windows mean anything. unit: of their numbers.
    """

    first: Window | None
    presets: tuple[Preset, ...]
    is_grey: bool
    unit: str


def first(numbers: Numbers, header: Dataset, frame: int, kinds: Sequence[str]) -> Preset:
    """How a series is shown before anybody chooses; ``kinds``: what is found on it, in words."""
    modality = str(header.get("Modality", ""))
    if modality == "CT" and numbers.scale.unit == "HU":
        anatomical = windows.of_anatomy(kinds) if kinds else None
        if anatomical is not None:
            return Preset("", anatomical)
    if modality == "PT":
        return _of_uptake(numbers)
    said = _said(numbers, header, frame)
    if said is not None:
        return Preset("As the image says", said)
    if modality == "CT" and numbers.scale.unit == "HU":
        return Preset("", windows.SOFT_TISSUE)
    if modality in _AS_GIVEN or not numbers.array.size:
        return Preset("As the image says", None)
    return Preset("", _of_values(numbers))


def presets(numbers: Numbers, header: Dataset, frame: int) -> list[Preset]:
    """Windows to choose from, by modality."""
    modality = str(header.get("Modality", ""))
    found: list[Preset] = []
    if modality == "CT" and numbers.scale.unit == "HU":
        found += [Preset(name, window) for name, window in _CT]
    if modality == "PT" and numbers.scale.unit == SUV:
        found += [Preset(name, window) for name, window in _UPTAKE]
    found.append(Preset("As the image says", _said(numbers, header, frame)))
    if numbers.array.size:
        found.append(Preset("By the values", _of_values(numbers)))
        found.append(Preset("Whole range", _whole(numbers)))
    return _different(found)


def _different(found: list[Preset]) -> list[Preset]:
    """Each window once, by its first name."""
    kept: dict[tuple[float, float, bool] | None, Preset] = {}
    for one in found:
        window = one.window
        limits = (window.low, window.high, window.is_negative) if window else None
        kept.setdefault(limits, one)
    return list(kept.values())


def values_shown(numbers: Numbers) -> NDArray[np.float32]:
    """In the units of the scale; what was not measured as low as the lowest that was."""
    scaled = numbers.array.astype(np.float32) * np.float32(numbers.scale.slope)
    scaled += np.float32(numbers.scale.intercept)
    if numbers.padding is not None:
        outside = _outside(numbers)
        if outside.any() and not outside.all():
            scaled[outside] = scaled[~outside].min()
    return scaled


def greys(numbers: Numbers, window: Window) -> NDArray[np.uint8]:
    """The frame in a window, uint8."""
    is_negative = window.is_negative != numbers.is_negative
    low_is_first = Window(window.low, window.high, is_negative, window.unit)
    return low_is_first.grey(values_shown(numbers))


def _outside(numbers: Numbers) -> NDArray[np.bool_]:
    low, high = numbers.padding or (1.0, 0.0)
    return np.asarray((numbers.array >= low) & (numbers.array <= high))


def _measured(numbers: Numbers) -> NDArray[Any]:
    plane = values_shown(numbers)
    outside = _outside(numbers)
    return plane if outside.all() else plane[~outside]


def _of_uptake(numbers: Numbers) -> Preset:
    if numbers.scale.unit == SUV:
        return Preset("", Window(0.0, windows.SUV_SHOWN, is_negative=True, unit=SUV))
    high = float(np.percentile(_measured(numbers), 99.9)) if numbers.array.size else 1.0
    return Preset("", Window(0.0, max(high, 1e-6), is_negative=True))


def _of_values(numbers: Numbers) -> Window:
    return windows.of_values(_measured(numbers))


def _whole(numbers: Numbers) -> Window:
    measured = _measured(numbers)
    low, high = float(measured.min()), float(measured.max())
    return Window(low, max(high, low + 1e-6))


def _said(numbers: Numbers, header: Dataset, frame: int) -> Window | None:
    """The header's window, where a line says it; in the units of the scale."""
    found = grey.window_said(header, frame, is_real=numbers.array.dtype.kind == "f")
    if found is None or found.function is WindowFunction.SIGMOID or found.width <= 0:
        return None
    line = grey.rescale_of(header, frame)
    factor = numbers.scale.slope / line.slope if line is not None else 1.0
    if factor <= 0:
        return None
    shift = numbers.scale.intercept - (line.intercept * factor if line is not None else 0.0)
    low, high = (found.center - found.width / 2, found.center + found.width / 2)
    return Window(low * factor + shift, high * factor + shift)
