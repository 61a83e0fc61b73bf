"""Derived images: pixels, rescale, identity, refusals."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import MRImageStorage, PositronEmissionTomographyImageStorage

from analyzers.contract import DerivedImage
from node.results.errors import DerivedUnsupported, FindingsContradictImages
from node.results.objects import derived
from node.series.source import Source
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, enhanced_source


def image(values: NDArray[Any]) -> DerivedImage:
    return DerivedImage(values, "Smoothed", sources.BLUR, "Gaussian, sigma 1.5 mm")


def values_of(dataset: Any) -> NDArray[np.float64]:
    stored = np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns)
    slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    return stored * float(slope) + float(intercept)


def made(source: Source, values: NDArray[Any]) -> list[Any]:
    return list(derived.instances(source, image(values), PROVENANCE, FIRST))


def test_hounsfield_units_come_through_exactly_with_the_rescale_of_the_source() -> None:
    source = ct_source()
    assert source.volume is not None
    values = source.volume.values()[:, ::-1]
    for dataset, plane in zip(made(source, values), values, strict=True):
        assert (float(dataset.RescaleSlope), float(dataset.RescaleIntercept)) == (1, -1024)
        assert dataset.RescaleType == "HU"
        np.testing.assert_array_equal(values_of(dataset), plane)


def test_values_between_the_steps_of_the_source_are_rounded_to_the_nearest() -> None:
    source = ct_source()
    assert source.volume is not None
    values = source.volume.values() + 0.3
    for dataset, plane in zip(made(source, values), values, strict=True):
        assert np.abs(values_of(dataset) - plane).max() <= 0.5


def test_values_of_a_small_range_get_a_finer_rescale() -> None:
    values = np.random.default_rng(1).random(sources.SHAPE).astype(np.float32)
    for dataset, plane in zip(made(ct_source(), values), values, strict=True):
        assert np.abs(values_of(dataset) - plane).max() < 2e-5


def test_values_beyond_16_bits_get_a_wider_rescale() -> None:
    values = np.random.default_rng(1).normal(0, 1e5, sources.SHAPE)
    span = values.max() - values.min()
    for dataset, plane in zip(made(ct_source(), values), values, strict=True):
        assert np.abs(values_of(dataset) - plane).max() <= span / 65000


def test_pet_keeps_an_intercept_of_zero_and_the_times_that_suv_hangs_on() -> None:
    source = ct_source(
        SOPClassUID=PositronEmissionTomographyImageStorage,
        Modality="PT",
        SeriesDate="20261122",
        SeriesTime="103000",
        Units="BQML",
        RescaleIntercept=0,
    )
    assert source.volume is not None
    slope = np.linspace(0.5, 2, sources.SHAPE[0])
    volume = dataclasses.replace(source.volume, slope=slope, intercept=np.zeros(len(slope)))
    values = np.random.default_rng(1).random(sources.SHAPE) * 2e5
    for dataset, plane in zip(
        made(dataclasses.replace(source, volume=volume), values), values, strict=True
    ):
        assert float(dataset.RescaleIntercept) == 0
        assert np.abs(values_of(dataset) - plane).max() <= 4
        assert (dataset.SeriesDate, dataset.SeriesTime) == ("20261122", "103000")
        assert dataset.ImageType == ["DERIVED", "PRIMARY"]


def test_mr_without_a_rescale_gets_none_where_none_is_needed() -> None:
    source = ct_source(
        SOPClassUID=MRImageStorage, Modality="MR", RescaleSlope=None, RescaleIntercept=None
    )
    assert source.volume is not None
    volume = dataclasses.replace(source.volume, intercept=np.zeros(sources.SHAPE[0]))
    datasets = made(dataclasses.replace(source, volume=volume), volume.stored)
    assert all("RescaleSlope" not in dataset for dataset in datasets)
    np.testing.assert_array_equal(values_of(datasets[3]), volume.stored[3])


def test_each_image_says_what_it_was_made_from_and_how() -> None:
    source = ct_source("oblique")
    for index, dataset in enumerate(made(source, np.zeros(sources.SHAPE, np.int16))):
        header = source.headers[index]
        (item,) = dataset.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"]
        assert dataset.DerivationCodeSequence[0].CodeValue == "113088"
        assert dataset.ImagePositionPatient == header.ImagePositionPatient
        assert dataset.ImageOrientationPatient == header.ImageOrientationPatient
        assert dataset.FrameOfReferenceUID == header.FrameOfReferenceUID
        assert dataset.WindowCenter == header.WindowCenter


def test_all_images_share_a_new_series_and_none_has_an_old_uid() -> None:
    source = ct_source()
    datasets = made(source, np.zeros(sources.SHAPE, np.int16))
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1
    new = {dataset.SOPInstanceUID for dataset in datasets}
    assert len(new) == len(datasets)
    assert not new & {header.SOPInstanceUID for header in source.headers}
    assert datasets[0].SeriesInstanceUID != source.headers[0].SeriesInstanceUID


def test_private_attributes_of_the_source_stay_behind() -> None:
    source = ct_source()
    for header in source.headers:
        header.private_block(0x0021, "VENDOR", create=True).add_new(1, "LO", "secret scaling")
        header.SmallestImagePixelValue = 5
    dataset = made(source, np.zeros(sources.SHAPE, np.int16))[0]
    assert not [element for element in dataset if element.tag.is_private]
    assert "SmallestImagePixelValue" not in dataset


def test_images_numbered_from_zero_keep_their_numbers() -> None:
    source = ct_source()
    for index, header in enumerate(source.headers):
        header.InstanceNumber = index
    datasets = made(source, np.zeros(sources.SHAPE, np.int16))
    assert [int(dataset.InstanceNumber) for dataset in datasets] == list(range(sources.SHAPE[0]))


def test_images_without_a_number_are_numbered_from_one() -> None:
    datasets = made(ct_source(InstanceNumber=None), np.zeros(sources.SHAPE, np.int16))
    assert [int(dataset.InstanceNumber) for dataset in datasets] == [
        *range(1, sources.SHAPE[0] + 1)
    ]


def test_pet_gets_no_rescale_type_of_its_own() -> None:
    source = ct_source(
        SOPClassUID=PositronEmissionTomographyImageStorage, Modality="PT", Units="GML"
    )
    assert "RescaleType" not in made(source, np.zeros(sources.SHAPE, np.int16))[0]


@pytest.mark.parametrize("part", ["CHEST", "WHOLEBODY"])
def test_a_part_of_the_body_without_sides_has_no_laterality(part: str) -> None:
    source = ct_source(BodyPartExamined=part)
    assert "Laterality" not in made(source, np.zeros(sources.SHAPE, np.int16))[0]


@pytest.mark.parametrize(
    ("width", "function", "is_kept"),
    [("0", None, False), ("0.5", None, False), ("0.5", "SIGMOID", True), ("1", "LINEAR", True)],
)
def test_a_window_that_none_can_apply_is_left_out(
    width: str, function: str | None, is_kept: bool
) -> None:
    source = ct_source(WindowWidth=width)
    for header in source.headers:
        if function:
            header.VOILUTFunction = function
    dataset = made(source, np.zeros(sources.SHAPE, np.int16))[0]
    assert ("WindowWidth" in dataset, "WindowCenter" in dataset) == (is_kept, is_kept)


def test_enhanced_images_are_refused_by_name() -> None:
    with pytest.raises(DerivedUnsupported, match="Enhanced MR"):
        made(enhanced_source(), np.zeros(sources.SHAPE, np.int16))


def test_values_that_are_not_finite_are_refused() -> None:
    values = np.zeros(sources.SHAPE, np.float32)
    values[3, 4, 5] = np.nan
    with pytest.raises(FindingsContradictImages, match="not finite"):
        made(ct_source(), values)


def test_images_are_made_one_at_a_time() -> None:
    stream = derived.instances(ct_source(), image(np.zeros(sources.SHAPE)), PROVENANCE, FIRST)
    first, second = next(stream), next(stream)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert len(list(stream)) == sources.SHAPE[0] - 2
