"""From stored values to what is shown of a greyscale image (PS3.3 C.11.1, C.11.2; PS3.4 N.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from node.errors import NodeError
from storage.header import values
from storage.header.guarded import DAMAGED
from storage.header.values import Unknown

GREYS = 255


class WindowFunction(StrEnum):
    """VOI LUT Function (PS3.3 C.11.2.1.2, C.11.2.1.3), as PS3.18 8.3.5.1.4 spells it."""

    LINEAR = "linear"
    LINEAR_EXACT = "linear-exact"
    SIGMOID = "sigmoid"


class SenselessWindow(NodeError):
    """A window whose width lets nothing through."""


@dataclass(frozen=True, slots=True)
class Window:
    """What of the values is shown, in their units after rescaling."""

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR

    def __post_init__(self) -> None:
        least = 1 if self.function is WindowFunction.LINEAR else 0
        if not (np.isfinite(self.center) and np.isfinite(self.width)):
            raise SenselessWindow("a window's center and width are finite numbers")
        if self.width < least or self.width == 0:
            raise SenselessWindow(
                f"the width of a {self.function} window is {'at least 1' if least else 'above 0'}"
            )

    def shares(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """0 for black to 1 for white."""
        given = array.astype(np.float32)
        if self.function is WindowFunction.SIGMOID:
            steps = np.clip(-4 * (given - self.center) / self.width, -80, 80)
            return np.asarray(1 / (1 + np.exp(steps)), np.float32)
        if self.function is WindowFunction.LINEAR_EXACT:
            low, extent = self.center - self.width / 2, self.width
        else:
            low, extent = self.center - 0.5 - (self.width - 1) / 2, self.width - 1
        if not extent:
            return (given > low).astype(np.float32)
        return np.asarray(np.clip((given - low) / extent, 0, 1), np.float32)


def groups_of(header: Dataset, frame: int) -> list[Dataset]:
    """Where attributes of a frame may stand: its functional groups, the shared ones, the top."""
    own = values.items(header, "PerFrameFunctionalGroupsSequence")
    shared = values.item(header, "SharedFunctionalGroupsSequence")
    return [*(own[frame - 1 : frame]), shared, header]


def shown(
    array: NDArray[Any], header: Dataset, frame: int, window: Window | None
) -> NDArray[np.uint8]:
    """The greys of a frame, counted from 1, in a window; without one, as the header says."""
    groups = groups_of(header, frame)
    padding = padding_of(array, header)
    after = _rescaled(array, groups)
    if window is None:
        window = window_said(header, frame, is_real=array.dtype.kind == "f")
    shares = _without_window(after, header, padding) if window is None else window.shares(after)
    if padding is not None:
        shares = np.where(padding, np.float32(0), shares)
    if is_inverse(header):
        shares = 1 - shares
    return (shares * GREYS + 0.5).astype(np.uint8)


def is_inverse(header: Dataset) -> bool:
    """MONOCHROME1, or Presentation LUT Shape, which says the same (PS3.3 C.11.6)."""
    shape = values.text(header, "PresentationLUTShape")
    return values.text(header, "PhotometricInterpretation") == "MONOCHROME1" or shape == "INVERSE"


def padding_of(array: NDArray[Any], header: Dataset) -> NDArray[np.bool_] | None:
    """Pixels that are none (PS3.3 C.7.5.1.1.2)."""
    first = values.known(values.whole(header, "PixelPaddingValue"))
    if first is None:
        return None
    limit = values.known(values.whole(header, "PixelPaddingRangeLimit"))
    low, high = sorted((first, first if limit is None else limit))
    return np.asarray((array >= low) & (array <= high))


@dataclass(frozen=True, slots=True)
class Line:
    """How stored values become those that windows are given in. kind: Rescale Type."""

    slope: float = 1.0
    intercept: float = 0.0
    kind: str = ""
    is_given: bool = False


def rescale_of(header: Dataset, frame: int) -> Line | None:
    """The rescale of a frame; None where a Modality LUT is in its place."""
    return _line(groups_of(header, frame))


def _line(groups: list[Dataset]) -> Line | None:
    if values.items(groups[-1], "ModalityLUTSequence"):
        return None
    for holder in _holders(groups, "PixelValueTransformationSequence"):
        slope = values.known(values.number(holder, "RescaleSlope"))
        intercept = values.known(values.number(holder, "RescaleIntercept"))
        if slope and intercept is not None:
            return Line(slope, intercept, values.text(holder, "RescaleType").upper(), True)
    return Line()


def rescaled(array: NDArray[Any], header: Dataset, frame: int) -> NDArray[Any]:
    """The values of a frame after Modality LUT or rescale."""
    return _rescaled(array, groups_of(header, frame))


def _rescaled(array: NDArray[Any], groups: list[Dataset]) -> NDArray[Any]:
    line = _line(groups)
    if line is None and array.dtype.kind in "iu":
        try:
            return np.asarray(apply_modality_lut(array, groups[-1]))
        except DAMAGED:
            return array
    if line is None or not line.is_given:
        return array
    return array.astype(np.float32) * np.float32(line.slope) + np.float32(line.intercept)


def _holders(groups: list[Dataset], keyword: str) -> Iterator[Dataset]:
    """The items of a functional group, own before shared; last the top of the header."""
    for group in groups[:-1]:
        yield from values.items(group, keyword)
    yield groups[-1]


def window_said(header: Dataset, frame: int, is_real: bool) -> Window | None:
    """The first window that the header holds; none where it has tables instead."""
    groups = groups_of(header, frame)
    if values.items(groups[-1], "VOILUTSequence"):
        return None
    windows = (_window_of(one, is_real) for one in _holders(groups, "FrameVOILUTSequence"))
    return next((one for one in windows if one is not None), None)


def _without_window(
    array: NDArray[Any], header: Dataset, padding: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    if array.dtype.kind in "iu" and values.items(header, "VOILUTSequence"):
        try:
            return _whole_range(np.asarray(apply_voi(array, header)))
        except DAMAGED:
            pass
    return _whole_range(array, array if padding is None or padding.all() else array[~padding])


def _whole_range(array: NDArray[Any], inside: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """From the least to the greatest, where nobody says what is to be seen."""
    finite = array if inside is None else inside
    finite = finite[np.isfinite(finite)] if finite.dtype.kind == "f" else finite
    if not finite.size:
        return np.zeros(array.shape, np.float32)
    low, high = float(finite.min()), float(finite.max())
    given = np.nan_to_num(array.astype(np.float32), nan=low, posinf=high, neginf=low)
    return np.asarray(np.clip((given - low) / ((high - low) or 1), 0, 1), np.float32)


def _window_of(holder: Dataset, is_real: bool) -> Window | None:
    """is_real: of floating-point pixels, for which LINEAR has no meaning (C.11.2.1.2.1)."""
    centers, widths = (values.numbers(holder, f"Window{word}") for word in ("Center", "Width"))
    if isinstance(centers, Unknown) or isinstance(widths, Unknown):
        return None
    spelt = values.text(holder, "VOILUTFunction").lower().replace("_", "-")
    known = spelt in tuple(WindowFunction)
    try:
        function = WindowFunction(spelt) if known else WindowFunction.LINEAR
        if is_real and function is WindowFunction.LINEAR:
            function = WindowFunction.LINEAR_EXACT
        return Window(centers[0], widths[0], function)
    except (SenselessWindow, IndexError):
        return None
