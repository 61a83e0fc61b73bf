"""Series in another encoding: decodable, in place, and honest about what was lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from analyzers.contract import CompressedImage, Findings
from node.results.errors import DerivedUnsupported, FindingsContradictImages, GateRefused
from node.results.gate import gate
from node.results.write import write_results
from node.series.source import Source
from tests.node.results.sources import PROVENANCE, ct_source

JPEG_LS, J2K_LOSSLESS = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
J2K, HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201"


def lossless(source: Source) -> CompressedImage:
    assert source.volume is not None
    frames = tuple(
        imagecodecs.jpeg2k_encode(plane, level=0, codecformat="j2k", reversible=True)
        for plane in source.volume.stored
    )
    return CompressedImage(frames, J2K_LOSSLESS, 1.7, "", "JPEG 2000 lossless")


def lossy(source: Source) -> CompressedImage:
    assert source.volume is not None
    frames = tuple(
        imagecodecs.jpeg2k_encode(
            plane, level=45, codecformat="j2k", reversible=False, resolutions=2
        )
        for plane in source.volume.stored
    )
    return CompressedImage(frames, J2K, 8.25, "ISO_15444_1", "JPEG 2000", "ratio 8.25")


def images(source: Source, item: CompressedImage, folder: Path) -> list[Dataset]:
    results = write_results(source, Findings((item,)), PROVENANCE, folder)
    made = [one for one in results.objects if one.kind == "image"]
    for one in made:
        gate.check_required(folder.parent / one.key, source)
    assert {one.transfer_syntax_uid for one in made} == {item.transfer_syntax}
    return [pydicom.dcmread(folder.parent / one.key) for one in made]


def test_a_lossless_series_holds_the_very_pixels_in_their_place(tmp_path: Path) -> None:
    source = ct_source("oblique")
    assert source.volume is not None
    for index, image in enumerate(images(source, lossless(source), tmp_path / "job")):
        header = source.headers[index]
        assert np.array_equal(image.pixel_array, source.volume.stored[index])
        assert image.ImagePositionPatient == header.ImagePositionPatient
        assert image.RescaleIntercept == header.RescaleIntercept
        assert image.BitsStored == 16
        assert image.SOPInstanceUID != header.SOPInstanceUID
        assert image.SeriesInstanceUID != header.SeriesInstanceUID
        assert "LossyImageCompressionRatio" not in image
        assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID


def test_a_lossy_series_says_so_with_ratio_and_method(tmp_path: Path) -> None:
    source = ct_source()
    for image in images(source, lossy(source), tmp_path / "job"):
        assert image.LossyImageCompression == "01"
        assert image.LossyImageCompressionRatio == 8.25
        assert image.LossyImageCompressionMethod == "ISO_15444_1"
        assert image.DerivationCodeSequence[0].CodeValue == "113040"


def test_earlier_losses_stay_and_come_first(tmp_path: Path) -> None:
    source = ct_source(
        LossyImageCompression="01",
        LossyImageCompressionRatio=[10, 4.5],
        LossyImageCompressionMethod=["ISO_10918_1", "ISO_14495_1"],
    )
    image = images(source, lossy(source), tmp_path / "lossy")[0]
    assert list(image.LossyImageCompressionRatio) == [10, 4.5, 8.25]
    methods = ["ISO_10918_1", "ISO_14495_1", "ISO_15444_1"]
    assert list(image.LossyImageCompressionMethod) == methods
    image = images(source, lossless(source), tmp_path / "lossless")[0]
    assert image.LossyImageCompression == "01"
    assert list(image.LossyImageCompressionRatio) == [10, 4.5]


def test_pixels_that_are_not_those_of_the_image_do_not_leave(tmp_path: Path) -> None:
    source = ct_source()
    turned = dataclasses.replace(lossless(source), frames=lossless(source).frames[::-1])
    with pytest.raises(GateRefused, match="decodes to other pixels"):
        images(source, turned, tmp_path / "job")


def test_a_code_stream_that_does_not_decode_does_not_leave(tmp_path: Path) -> None:
    source = ct_source()
    good = lossless(source)
    cut = dataclasses.replace(good, frames=(good.frames[0][:60], *good.frames[1:]))
    with pytest.raises(GateRefused):
        images(source, cut, tmp_path / "job")


def test_a_code_stream_too_few_is_refused(tmp_path: Path) -> None:
    source = ct_source()
    few = dataclasses.replace(lossless(source), frames=lossless(source).frames[1:])
    with pytest.raises(FindingsContradictImages, match="one code stream"):
        images(source, few, tmp_path / "job")


def test_a_plain_transfer_syntax_is_refused(tmp_path: Path) -> None:
    source = ct_source()
    plain = dataclasses.replace(lossless(source), transfer_syntax="1.2.840.10008.1.2.1")
    with pytest.raises(FindingsContradictImages, match="encapsulates no pixels"):
        images(source, plain, tmp_path / "job")


def test_images_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    source = ct_source(SOPClassUID=DigitalXRayImageStorageForPresentation)
    with pytest.raises(DerivedUnsupported, match="Digital X-Ray"):
        images(source, lossless(source), tmp_path / "job")
