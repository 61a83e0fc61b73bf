"""The output gate: what is right passes in every orientation, what is wrong is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import Findings, Segmentation
from node.results import prepared
from node.results.errors import GateRefused
from node.results.gate import gate, validator
from node.results.objects import seg
from node.results.report import sr
from node.results.report.sr import Made
from node.series.source import Source
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, enhanced_source, lungs, single


def saved(dataset: Dataset, path: Path) -> Path:
    with path.open("wb") as file:
        prepared.write(file, dataset)
    return path


def tampered(path: Path, change: Callable[[Any], None]) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    return saved(dataset, path)


@pytest.fixture
def source() -> Source:
    return ct_source()


@pytest.fixture
def seg_path(source: Source, tmp_path: Path) -> Path:
    return saved(seg.build(source, lungs(), PROVENANCE, FIRST), tmp_path / "seg.dcm")


@pytest.mark.parametrize("finding", [lungs(), single()], ids=["several segments", "one segment"])
@pytest.mark.parametrize("orientation", list(sources.ORIENTATIONS))
def test_a_right_segmentation_passes(
    orientation: str, finding: Segmentation, tmp_path: Path
) -> None:
    source = ct_source(orientation)
    path = saved(seg.build(source, finding, PROVENANCE, FIRST), tmp_path / "seg.dcm")
    gate.check_segmentation(path, finding, source)
    gate.check_required(path, validate=False)


def test_a_right_segmentation_of_a_multiframe_image_passes(tmp_path: Path) -> None:
    source = enhanced_source()
    path = saved(seg.build(source, lungs(), PROVENANCE, FIRST), tmp_path / "seg.dcm")
    gate.check_segmentation(path, lungs(), source)


def test_segment_identification_is_read_per_frame_and_shared(
    source: Source, tmp_path: Path
) -> None:
    path = saved(seg.build(source, single(), PROVENANCE, FIRST), tmp_path / "seg.dcm")
    before = pydicom.dcmread(path)
    assert "SegmentIdentificationSequence" in before.SharedFunctionalGroupsSequence[0]

    def move(dataset: Any) -> None:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.SegmentIdentificationSequence = shared.SegmentIdentificationSequence
        del shared.SegmentIdentificationSequence

    gate.check_segmentation(tampered(path, move), single(), source)


def _mirror_columns(dataset: Any) -> None:
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    count = dataset.NumberOfFrames * dataset.Rows * dataset.Columns
    frames = bits[:count].reshape(dataset.NumberOfFrames, dataset.Rows, dataset.Columns)
    dataset.PixelData = np.packbits(frames[..., ::-1].ravel(), bitorder="little").tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"


def _shift_one_slice(dataset: Any) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        place[2] = float(place[2]) + 2.5


def _shift_one_pixel(dataset: Any) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        place[0] = float(place[0]) + 1.1


def _turn(dataset: Any) -> None:
    plane = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def _swap_spacing(dataset: Any) -> None:
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = list(reversed(measures.PixelSpacing))


def _swap_segments(dataset: Any) -> None:
    first, second = dataset.SegmentSequence
    first.TrackingID, second.TrackingID = second.TrackingID, first.TrackingID


@pytest.mark.parametrize(
    "change",
    [_mirror_columns, _shift_one_slice, _shift_one_pixel, _turn, _swap_spacing, _swap_segments],
)
def test_a_segmentation_that_lies_elsewhere_is_refused(
    change: Callable[[Any], None], seg_path: Path, source: Source
) -> None:
    with pytest.raises(GateRefused, match="with Dice 0") as refused:
        gate.check_segmentation(tampered(seg_path, change), lungs(), source)
    assert refused.value.kind == "seg"


def test_a_frame_that_names_another_image_is_refused(seg_path: Path, source: Source) -> None:
    def change(dataset: Any) -> None:
        frames = dataset.PerFrameFunctionalGroupsSequence
        items = [frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in frames[:2]]
        items[0].ReferencedSOPInstanceUID = items[1].ReferencedSOPInstanceUID

    with pytest.raises(GateRefused, match="names another image"):
        gate.check_segmentation(tampered(seg_path, change), lungs(), source)


def test_a_frame_that_occurs_twice_is_refused(seg_path: Path, source: Source) -> None:
    def change(dataset: Any) -> None:
        frames = dataset.PerFrameFunctionalGroupsSequence
        frames[1].PlanePositionSequence = frames[0].PlanePositionSequence

    with pytest.raises(GateRefused, match="two frames of segment right_lung"):
        gate.check_segmentation(tampered(seg_path, change), lungs(), source)


def test_another_frame_of_reference_is_refused(seg_path: Path, source: Source) -> None:
    path = tampered(seg_path, lambda dataset: setattr(dataset, "FrameOfReferenceUID", "2.25.1"))
    with pytest.raises(GateRefused, match="frame of reference"):
        gate.check_segmentation(path, lungs(), source)


def test_a_wrong_code_is_refused(seg_path: Path, source: Source) -> None:
    def change(dataset: Any) -> None:
        dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue = "10200004"

    with pytest.raises(GateRefused, match="right_lung has another code"):
        gate.check_segmentation(tampered(seg_path, change), lungs(), source)


@pytest.mark.parametrize("keyword", ["PatientID", "SegmentSequence", "ContentLabel", "StudyDate"])
def test_a_missing_attribute_is_named(keyword: str, seg_path: Path) -> None:
    path = tampered(seg_path, lambda dataset: dataset.__delitem__(keyword))
    with pytest.raises(GateRefused, match=f"{keyword} is missing"):
        gate.check_required(path, validate=False)


def test_a_segment_without_its_algorithm_is_refused(seg_path: Path) -> None:
    def change(dataset: Any) -> None:
        del dataset.SegmentSequence[1].SegmentationAlgorithmIdentificationSequence

    with pytest.raises(GateRefused, match="SegmentationAlgorithmIdentificationSequence"):
        gate.check_required(tampered(seg_path, change), validate=False)


def test_an_object_of_another_kind_is_refused(seg_path: Path) -> None:
    path = tampered(seg_path, lambda dataset: setattr(dataset, "SOPClassUID", "1.2.3"))
    with pytest.raises(GateRefused, match=r"1\.2\.3 is none that the node makes"):
        gate.check_required(path, validate=False)


def test_a_report_that_leads_nowhere_is_refused(source: Source, tmp_path: Path) -> None:
    encoded = seg.build(source, lungs(), PROVENANCE, FIRST)
    document = sr.build(source, Findings((lungs(),)), Made({0: encoded}), PROVENANCE)
    path = saved(document, tmp_path / "report.dcm")
    gate.check_references(path, source, {encoded.SOPInstanceUID: encoded})
    with pytest.raises(GateRefused, match="neither source nor result"):
        gate.check_references(path, source, {})


def test_a_report_that_names_a_segment_too_many_is_refused(source: Source, tmp_path: Path) -> None:
    encoded = seg.build(source, lungs(), PROVENANCE, FIRST)
    document = sr.build(source, Findings((lungs(),)), Made({0: encoded}), PROVENANCE)
    path = saved(document, tmp_path / "report.dcm")
    del encoded.SegmentSequence[1]
    with pytest.raises(GateRefused, match="segment 2 is referred to"):
        gate.check_references(path, source, {encoded.SOPInstanceUID: encoded})


@pytest.mark.interop
@pytest.mark.skipif(validator.program() is None, reason="dciodvfy is not installed")
def test_what_dciodvfy_calls_an_error_is_refused_without_the_value(seg_path: Path) -> None:
    path = tampered(seg_path, lambda dataset: setattr(dataset, "SegmentationType", "SECRET"))
    with pytest.raises(GateRefused, match="SegmentationType") as refused:
        gate.check_required(path)
    assert "SECRET" not in str(refused.value)


@pytest.mark.interop
@pytest.mark.skipif(validator.program() is None, reason="dciodvfy is not installed")
def test_an_error_copied_from_the_images_stops_no_result(tmp_path: Path) -> None:
    source = ct_source()
    dataset = seg.build(source, lungs(), PROVENANCE, FIRST)
    path = saved(dataset, tmp_path / "seg.dcm")
    raw = path.read_bytes()
    long_id = raw.replace(b"SH\x02\x00S1", b"SH\x12\x00S1-LONGER-THAN-16!")
    assert long_id != raw
    path.write_bytes(long_id)
    gate.check_required(path)


def test_pixels_that_end_before_the_last_frame_are_refused(seg_path: Path, source: Source) -> None:
    path = tampered(seg_path, lambda d: setattr(d, "PixelData", d.PixelData[:-20]))
    with pytest.raises(GateRefused, match="end before its last frame"):
        gate.check_segmentation(path, lungs(), source)


def test_frames_that_are_not_described_are_refused(seg_path: Path, source: Source) -> None:
    path = tampered(seg_path, lambda d: d.PerFrameFunctionalGroupsSequence.pop())
    with pytest.raises(GateRefused, match="says to have 9 frames and describes 8"):
        gate.check_segmentation(path, lungs(), source)


def test_a_structure_whose_frames_are_left_out_is_refused(seg_path: Path, source: Source) -> None:
    def drop(dataset: Any) -> None:
        frames = dataset.PerFrameFunctionalGroupsSequence
        left = [one for one in frames if one.FrameContentSequence[0].DimensionIndexValues[0] == 1]
        dataset.PerFrameFunctionalGroupsSequence = left
        dataset.NumberOfFrames = len(left)

    with pytest.raises(GateRefused, match="left_lung overlaps its finding with Dice 0"):
        gate.check_segmentation(tampered(seg_path, drop), lungs(), source)


@pytest.mark.parametrize("overlapping", [False, True])
def test_frames_that_begin_within_a_byte_are_compared_bit_for_bit(
    overlapping: bool, source: Source, tmp_path: Path
) -> None:
    """396 pixels a frame: every second one begins in the middle of a byte."""
    finding = lungs()
    if overlapping:
        masks = [finding.labels > 0, finding.labels == 5]
        finding = Segmentation.of_masks(masks, finding.segments[::2], "Over")
    path = saved(seg.build(source, finding, PROVENANCE, FIRST), tmp_path / "seg.dcm")
    gate.check_segmentation(path, finding, source)

    def empty(dataset: Any) -> None:
        pixels = bytearray(dataset.PixelData)
        pixels[:200] = bytes(200)
        dataset.PixelData = bytes(pixels)

    with pytest.raises(GateRefused, match="right_lung overlaps its finding with Dice 0"):
        gate.check_segmentation(tampered(path, empty), finding, source)
