"""Padding of the source is padding of what is derived from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from analyzers.contract import DerivedImage, Findings
from node.results.objects import derived
from node.results.write import write_results
from node.series.padding import measured_voxels, padding_of
from node.series.read import read_series
from node.series.source import Source
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source

EDGE = np.s_[:, :5]


def padded(value: int, dtype: str = "i2", limit: int | None = None) -> Source:
    """A CT series whose first rows hold a padding value."""
    source = ct_source(
        BitsAllocated=16, BitsStored=16, PixelRepresentation=int(dtype == "i2"), RescaleType="HU"
    )
    assert source.volume is not None
    for header in source.headers:
        header.add_new("PixelPaddingValue", "SS" if dtype == "i2" else "US", value)
        if limit is not None:
            header.add_new("PixelPaddingRangeLimit", "SS", limit)
    stored = np.clip(source.volume.stored, 24, None).astype(dtype)
    stored[EDGE] = value
    valid = measured_voxels(stored, [padding_of(header) for header in source.headers])
    volume = dataclasses.replace(source.volume, stored=stored, valid=valid)
    return dataclasses.replace(source, volume=volume)


def made(source: Source, values: NDArray[Any]) -> list[Any]:
    image = DerivedImage(values, "Smoothed", sources.BLUR, "Gaussian")
    return list(derived.instances(source, image, PROVENANCE, FIRST))


def pixels(dataset: Any) -> NDArray[np.int16]:
    return np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns)


def test_a_derived_series_keeps_the_attribute_and_its_value() -> None:
    source = padded(-2000, limit=-1990)
    assert source.volume is not None
    for dataset, plane in zip(
        made(source, source.volume.values()), source.volume.stored, strict=True
    ):
        assert (dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit) == (-2000, -1990)
        assert dataset["PixelPaddingValue"].VR == "SS"
        assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (1, -1024)
        np.testing.assert_array_equal(pixels(dataset), plane)


def test_padding_has_no_say_in_the_rescale_of_a_derived_series() -> None:
    source = padded(-2000)
    assert source.volume is not None
    values = source.volume.values()
    values[EDGE] = 1e9
    for dataset in made(source, values):
        assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (1, -1024)
        assert (pixels(dataset)[:5] == -2000).all()


def test_padding_that_16_signed_bits_cannot_hold_becomes_the_lowest_they_can() -> None:
    source = padded(65535, "u2")
    assert source.volume is not None
    for dataset in made(source, source.volume.values()):
        assert dataset.PixelPaddingValue == -32768
        assert (pixels(dataset)[:5] == -32768).all()
        assert (pixels(dataset)[5:] > -2000).all()


@pytest.mark.parametrize("change", ["another rescale", "a pixel that came to the value"])
def test_a_padding_value_that_would_mean_something_gives_way(change: str) -> None:
    source = padded(-2000)
    assert source.volume is not None
    values = source.volume.values() * (0.01 if change == "another rescale" else 1.0)
    if change != "another rescale":
        values[:, 10, 10] = -2000 - 1024
    for dataset, plane in zip(made(source, values), values, strict=True):
        assert dataset.PixelPaddingValue == -32768
        stored = pixels(dataset)
        assert ((stored == -32768) == (np.arange(len(stored)) < 5)[:, None]).all()
        back = stored[5:] * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        np.testing.assert_allclose(back, plane[5:], atol=0.5)


def test_a_series_that_declares_no_padding_derives_none() -> None:
    source = ct_source()
    assert source.volume is not None
    assert not any("PixelPaddingValue" in one for one in made(source, source.volume.values()))


def test_what_was_not_measured_is_not_measured_in_the_files_of_a_derived_series(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    paths = []
    for path in phantom_paths:
        image = pydicom.dcmread(path)
        stored = image.pixel_array.astype("<i2")
        stored[:4], stored[:, :3] = -2000, -2000
        image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 15, 1
        image.add_new("PixelPaddingValue", "US", 63536)
        image.PixelData = stored.tobytes()
        paths.append(tmp_path / path.name)
        image.save_as(paths[-1])
    source = read_series(paths)
    assert source.volume is not None
    smooth = DerivedImage(source.volume.values() + 1, "Brighter", sources.BLUR)
    write_results(source, Findings((smooth,)), PROVENANCE, tmp_path / "job")
    again = read_series(sorted((tmp_path / "job").glob("image-*.dcm"))).volume
    assert again is not None
    assert again.valid is not None
    assert source.volume.valid is not None
    np.testing.assert_array_equal(again.valid, source.volume.valid)
    np.testing.assert_array_equal(again.stored[~again.valid], -2000)
    np.testing.assert_array_equal(
        again.values()[again.valid], source.volume.values()[again.valid] + 1
    )
