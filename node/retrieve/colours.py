"""From stored values to the colours that are shown: RGB, YBR, palettes, and segments.

Segments have the colours that their description recommends (PS3.3 C.8.20.2, C.10.7.1.1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from node.retrieve.frames import UnreadablePixels
from node.retrieve.grey import groups_of
from node.retrieve.samples import Samples
from storage.header import values
from storage.header.guarded import DAMAGED

Rgb = tuple[int, int, int]

_YBR = frozenset({"YBR_FULL", "YBR_FULL_422", "YBR_FULL_420"})
_WITHOUT_A_COLOUR: tuple[Rgb, ...] = (
    (230, 90, 70), (80, 170, 230), (120, 200, 90), (240, 190, 60), (180, 110, 220), (70, 200, 180),
)  # fmt: skip
"""For segments that recommend none, by their numbers."""


def is_colour(samples: Samples) -> bool:
    return samples.array.ndim == 3 or samples.photometric == "PALETTE COLOR"


def shown(samples: Samples, header: Dataset) -> NDArray[np.uint8]:
    """(row, column, 3) of a colour frame.

    Raises
    ------
    UnreadablePixels
        The palette is damaged, or the colours are of a kind that nobody uses any more.
    """
    if samples.photometric == "PALETTE COLOR":
        return _of_palette(samples.array, header)
    eight = _eight_bits(samples.array, header)[..., :3]
    if samples.photometric in _YBR:
        return np.asarray(convert_color_space(eight, "YBR_FULL", "RGB"), np.uint8)
    if samples.photometric not in ("RGB", "YBR_RCT", "YBR_ICT"):
        raise UnreadablePixels("its colours are of an unknown kind")
    return eight


def _of_palette(array: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    try:
        table = np.asarray(apply_color_lut(array, header))
    except DAMAGED as error:
        raise UnreadablePixels("the palette of its colours is damaged") from error
    return table if table.dtype == np.uint8 else (table >> 8).astype(np.uint8)


def _eight_bits(array: NDArray[Any], header: Dataset) -> NDArray[np.uint8]:
    stored = values.known(values.whole(header, "BitsStored")) or array.dtype.itemsize * 8
    if stored <= 8:
        return array.astype(np.uint8)
    return (array.astype(np.uint64) >> (stored - 8)).astype(np.uint8)


# --- segments -------------------------------------------------------------------------------------


def is_segmentation(header: Dataset) -> bool:
    return "SegmentSequence" in header


def segments_shown(array: NDArray[Any], header: Dataset, frame: int) -> NDArray[np.uint8]:
    """(row, column, 3): each segment in its colour on black, fractions darker."""
    colours = colours_of(header)
    if values.text(header, "SegmentationType") == "LABELMAP":
        return _labels_shown(array, colours)
    number = _segment_of(header, frame)
    colour = np.array(colours.get(number, spare(number)), np.float32)
    most = values.known(values.whole(header, "MaximumFractionalValue")) or 1
    share = np.clip(array.astype(np.float32) / most, 0, 1)
    return (share[..., None] * colour + 0.5).astype(np.uint8)


def _labels_shown(array: NDArray[Any], colours: dict[int, Rgb]) -> NDArray[np.uint8]:
    picture = np.zeros((*array.shape, 3), np.uint8)
    for number in np.unique(array).tolist():
        if number in colours or number:
            picture[array == number] = colours.get(number, spare(number))
    return picture


def _segment_of(header: Dataset, frame: int) -> int:
    for group in groups_of(header, frame):
        item = values.item(group, "SegmentIdentificationSequence")
        number = values.known(values.whole(item, "ReferencedSegmentNumber"))
        if number is not None:
            return number
    return 1


def spare(number: int) -> Rgb:
    return _WITHOUT_A_COLOUR[(number - 1) % len(_WITHOUT_A_COLOUR)]


def colours_of(header: Dataset) -> dict[int, Rgb]:
    found = {}
    for segment in values.items(header, "SegmentSequence"):
        number = values.known(values.whole(segment, "SegmentNumber"))
        lab = values.known(values.numbers(segment, "RecommendedDisplayCIELabValue"))
        if number is not None and lab is not None and len(lab) == 3:
            found[number] = rgb_of_lab(*lab)
    return found


_WHITE_D50 = np.array([0.9642, 1.0, 0.8249])
_TO_SRGB = np.array(
    [[3.1338561, -1.6168667, -0.4906146],
     [-0.9787684, 1.9161415, 0.0334540],
     [0.0719453, -0.2289914, 1.4052427]]
)  # fmt: skip
"""Linear sRGB from XYZ under D50, by Bradford's adaptation."""


def rgb_of_lab(lightness: float, a: float, b: float) -> Rgb:
    """sRGB of a colour as DICOM writes it: 16 bits for 0 to 100, and for −128 to 127 (C.10.7.1.1).

    CIE 15: the profile connection space of ICC, whose white is D50.
    """
    level = (lightness / 65535 * 100 + 16) / 116
    points = np.array(
        [level + (a / 65535 * 255 - 128) / 500, level, level - (b / 65535 * 255 - 128) / 200]
    )
    cubes = np.where(points > 6 / 29, points**3, 3 * (6 / 29) ** 2 * (points - 4 / 29))
    linear = np.clip(_TO_SRGB @ (cubes * _WHITE_D50), 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(float(one) * 255) for one in curved)
    return red, green, blue
