"""Padding is told from measured values: where it stands, how it is written, what it may mean."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from analyzers.contract import Volume
from node.series.geometry import NothingMeasured, UnreadableHeader
from node.series.padding import Padding, padding_of
from node.series.read import read_series

Edit = Callable[[Dataset, NDArray[Any]], None]


def signed(image: Dataset) -> None:
    image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 15, 1


def volume_of(paths: list[Path], folder: Path, edit: Edit, dtype: str = "<i2") -> Volume:
    """The volume of copies whose headers and pixels were edited."""
    copies = []
    for path in paths:
        image = pydicom.dcmread(path)
        pixels = image.pixel_array.astype(dtype)
        edit(image, pixels)
        image.PixelData = pixels.tobytes()
        copies.append(folder / path.name)
        image.save_as(copies[-1])
    volume = read_series(copies).volume
    assert volume is not None
    return volume


def disc(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    middle = [(size - 1) / 2 for size in shape]
    inside: NDArray[np.bool_] = (
        np.hypot(rows - middle[0], (columns - middle[1]) * shape[0] / shape[1]) <= shape[0] / 2
    )
    return inside


def test_outside_a_round_field_of_view_nothing_was_measured(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        signed(image)
        image.add_new("PixelPaddingValue", "SS", -2000)
        pixels[~disc(pixels.shape)] = -2000

    volume = volume_of(phantom_paths[:3], tmp_path, edit)
    assert volume.valid is not None
    assert not volume.valid.flags.writeable
    assert all(np.array_equal(plane, disc(plane.shape)) for plane in volume.valid)
    assert volume.values()[~volume.valid].max() <= -1000
    assert volume.values()[~volume.valid].min() > -1100


def test_a_series_without_padding_has_no_mask(phantom_paths: list[Path], tmp_path: Path) -> None:
    assert volume_of(phantom_paths[:2], tmp_path, lambda image, pixels: None, "<u2").valid is None

    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        signed(image)
        image.add_new("PixelPaddingValue", "SS", -2000)

    assert volume_of(phantom_paths[:2], tmp_path, edit).valid is None


@pytest.mark.parametrize(
    ("vr", "written", "stored"),
    [("US", 63536, -2000), ("SS", -2000, -2000), ("US", 32768, -32768), ("SS", -1, -1)],
)
def test_the_sign_of_padding_is_that_of_the_pixels_whatever_its_vr(
    vr: str, written: int, stored: int
) -> None:
    header = Dataset()
    header.BitsStored, header.PixelRepresentation = 16, 1
    header.add_new("PixelPaddingValue", vr, written)
    assert padding_of(header) == Padding(stored)
    header.PixelRepresentation = 0
    assert padding_of(header) == Padding(stored % 65536)


def test_padding_counts_in_the_bits_that_are_stored() -> None:
    header = Dataset()
    header.BitsStored, header.PixelRepresentation = 12, 1
    header.add_new("PixelPaddingValue", "US", 63536)
    assert padding_of(header) == Padding(-2000)
    header["PixelPaddingValue"] = DataElement("PixelPaddingValue", "UN", struct.pack("<h", -2000))
    assert padding_of(header) == Padding(-2000)


@pytest.mark.parametrize("limit", [-1900, -2100])
def test_a_range_is_padding_from_one_end_to_the_other(
    limit: int, phantom_paths: list[Path], tmp_path: Path
) -> None:
    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        signed(image)
        image.add_new("PixelPaddingValue", "SS", -2000)
        image.add_new("PixelPaddingRangeLimit", "SS", limit)
        pixels[:4] = -2000
        pixels[4:6] = (limit - 2000) // 2
        pixels[6:8] = limit
        pixels[8:10] = -1800

    volume = volume_of(phantom_paths[:2], tmp_path, edit)
    assert volume.valid is not None
    assert not volume.valid[:, :8].any()
    assert volume.valid[:, 8:].all()


@pytest.mark.parametrize("value", [0, 1064])
def test_padding_that_the_scanner_measures_too_is_none_inside_the_patient(
    value: int, phantom_paths: list[Path], tmp_path: Path
) -> None:
    """0 on MR and 0 HU on CT are declared by vendors; only what meets the edge is padding."""

    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        image.add_new("PixelPaddingValue", "US", value)
        pixels[pixels == value] += 1
        pixels[:5] = value
        pixels[30:34, 20:24] = value

    volume = volume_of(phantom_paths[:2], tmp_path, edit, "<u2")
    assert volume.valid is not None
    assert not volume.valid[:, :5].any()
    assert volume.valid[:, 5:].all()


def test_padding_apart_from_all_measured_values_is_padding_inside_the_patient_too(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        image.BitsStored, image.HighBit = 16, 15
        image.add_new("PixelPaddingValue", "US", 65535)
        pixels[30:34, 20:24] = 65535

    volume = volume_of(phantom_paths[:2], tmp_path, edit, "<u2")
    assert volume.valid is not None
    assert not volume.valid[:, 30:34, 20:24].any()
    assert np.count_nonzero(~volume.valid) == 2 * 16
    assert volume.values().max() < 4000


def test_each_image_has_padding_of_its_own(phantom_paths: list[Path], tmp_path: Path) -> None:
    values = iter((-2000, -3000, None))

    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        signed(image)
        pixels[:3] = -3000
        pixels[3:6] = -2000
        value = next(values)
        if value is not None:
            image.add_new("PixelPaddingValue", "SS", value)

    volume = volume_of(phantom_paths[:3], tmp_path, edit)
    assert volume.valid is not None
    padded = [set(volume.stored[i][~volume.valid[i]].tolist()) for i in range(3)]
    assert padded[0] <= {-2000}
    assert padded[1:] == [{-3000}, set()]


def test_a_series_of_nothing_but_padding_is_refused_by_name(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    def edit(image: Dataset, pixels: NDArray[Any]) -> None:
        image.add_new("PixelPaddingValue", "US", 0)
        image.add_new("PixelPaddingRangeLimit", "US", 4095)

    with pytest.raises(NothingMeasured, match="padding"):
        volume_of(phantom_paths[:2], tmp_path, edit, "<u2")


@pytest.mark.parametrize("value", [[1, 2], "a lot"])
def test_padding_that_is_no_whole_number_is_refused_by_name(value: object) -> None:
    header = Dataset()
    header.BitsStored, header.PixelRepresentation = 16, 0
    header["PixelPaddingValue"] = DataElement("PixelPaddingValue", "OB", b"")
    header["PixelPaddingValue"]._value = value
    with pytest.raises(UnreadableHeader, match="PixelPaddingValue"):
        padding_of(header)
