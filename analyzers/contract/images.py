"""Findings that are images, or a way to show some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract.code import Code


@dataclass(frozen=True, slots=True, eq=False)
class DerivedImage:
    """A new image on the input grid, ``values`` in the units of the input after rescale.

    role: made from this companion, whose modality and units it has; empty: from the input.
    """

    values: NDArray[Any]
    title: str
    derivation: Code
    """From CID 7203 (Image Derivation)."""
    remarks: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ColorImage:
    """A colour image on the input grid: ``values`` is uint8 ``(slice, row, column, 3)``, sRGB."""

    values: NDArray[np.uint8]
    title: str
    derivation: Code
    remarks: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ParametricMap:
    """A computed quantity on the input grid: ``values`` is float32 in ``unit``."""

    values: NDArray[np.float32]
    title: str
    quantity: Code
    unit: Code


@dataclass(frozen=True, slots=True, eq=False)
class CompressedImage:
    """The stored pixels of the series in another encoding: one code stream per slice.

    transfer_syntax: its UID. ratio: bytes before over bytes after. method: defined term of
    (0028,2114) when lossy (ISO_15444_1, ISO_14495_1 …), empty when the pixels are unchanged.
    """

    frames: tuple[bytes, ...]
    transfer_syntax: str
    ratio: float
    method: str
    title: str
    remarks: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where a companion lies: ``matrix`` (4×4 float64, rigid) maps its LPS mm to the input's."""

    role: str
    matrix: NDArray[np.float64]
    title: str


@dataclass(frozen=True, slots=True)
class Shades:
    """Values shown as the lowest and the highest shade, in the units of the image."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Blending:
    """How a companion is shown over the input: the derived image of its ``role``, in colour.

    palette: uint8 ``(256, 3)``, of each channel at least one value above 127. opacity: share of the
    colour, 0–1. under, above: the shades of the input and of the companion.
    """

    role: str
    palette: NDArray[np.uint8]
    opacity: float
    under: Shades
    above: Shades
    title: str


@dataclass(frozen=True, slots=True)
class WindowPreset:
    """A way to show the whole series, its pixels unchanged; ``shades`` in its units."""

    title: str
    shades: Shades
