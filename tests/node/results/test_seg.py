"""Segmentation objects: numbering, identity, place, text."""

import dataclasses
import io
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import Code, Segment
from node.results import prepared
from node.results.errors import EmptySegmentation, FindingsContradictImages
from node.results.objects import seg
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, enhanced_source, lungs, single


def written(dataset: Dataset) -> Any:
    """The object as a reader gets it."""
    buffer = io.BytesIO()
    prepared.write(buffer, dataset)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


def test_a_structure_without_a_voxel_is_dropped_and_the_others_are_numbered_from_one() -> None:
    dataset = written(seg.build(ct_source(), lungs(), PROVENANCE, FIRST))
    named = [(item.SegmentNumber, item.SegmentLabel) for item in dataset.SegmentSequence]
    assert named == [(1, "Right lung"), (2, "Left lung")]


def test_a_segmentation_without_any_voxel_is_refused_by_name() -> None:
    with pytest.raises(EmptySegmentation):
        seg.build(ct_source(), sources.empty(), PROVENANCE, FIRST)


def test_only_frames_with_voxels_are_written() -> None:
    dataset = written(seg.build(ct_source(), lungs(), PROVENANCE, FIRST))
    made = lungs().labels
    wanted = sum(int((plane == number).any()) for plane in made for number in (2, 5))
    assert dataset.NumberOfFrames == wanted < 2 * len(made)


@pytest.mark.parametrize("orientation", list(sources.ORIENTATIONS))
def test_another_reader_finds_every_voxel_where_it_was(orientation: str) -> None:
    source = ct_source(orientation)
    dataset = hd.seg.Segmentation.from_dataset(
        written(seg.build(source, lungs(), PROVENANCE, FIRST)), copy=False
    )
    volume = dataset.get_volume(combine_segments=True)
    assert source.volume is not None
    found = {number: set[tuple[int, ...]]() for number in (1, 2)}
    to_source = np.linalg.inv(source.volume.affine) @ volume.affine
    for number, places in found.items():
        indices = np.argwhere(volume.array == number)
        mapped = (to_source[:3, :3] @ indices.T).T + to_source[:3, 3]
        places |= {tuple(row) for row in np.rint(mapped).astype(int).tolist()}
    made = lungs().labels
    assert found[1] == {tuple(row) for row in np.argwhere(made == 2).tolist()}
    assert found[2] == {tuple(row) for row in np.argwhere(made == 5).tolist()}


def test_a_frame_names_the_image_it_was_drawn_on() -> None:
    source = ct_source()
    dataset = written(seg.build(source, single(), PROVENANCE, FIRST))
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        uid = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        (header,) = [h for h in source.headers if h.SOPInstanceUID == uid]
        assert place == header.ImagePositionPatient


def test_a_frame_of_a_multiframe_source_names_its_frame_number() -> None:
    source = enhanced_source()
    dataset = written(seg.build(source, lungs(), PROVENANCE, FIRST))
    places = source.headers[0].PerFrameFunctionalGroupsSequence
    assert len(dataset.SourceImageSequence) == 1
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        item = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert item.ReferencedSOPClassUID == source.headers[0].SOPClassUID
        origin = places[item.ReferencedFrameNumber - 1].PlanePositionSequence[0]
        assert frame.PlanePositionSequence[0].ImagePositionPatient == origin.ImagePositionPatient


def test_the_algorithm_is_identified_by_the_same_values_everywhere() -> None:
    dataset = written(seg.build(ct_source(), lungs(), PROVENANCE, FIRST))
    (equipment,) = dataset.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    for item in dataset.SegmentSequence:
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == equipment.ManufacturerModelName
        assert algorithm.AlgorithmName == dataset.ManufacturerModelName
        assert algorithm.AlgorithmVersion == equipment.SoftwareVersions
        assert algorithm.AlgorithmVersion == dataset.SoftwareVersions
        assert algorithm.AlgorithmSource == equipment.Manufacturer == dataset.Manufacturer
        assert "threshold_hu=-400" in algorithm.AlgorithmParameters


def test_the_side_stands_with_the_type_and_with_the_region() -> None:
    dataset = written(seg.build(ct_source(), lungs(), PROVENANCE, FIRST))
    right = dataset.SegmentSequence[0]
    kind = right.SegmentedPropertyTypeCodeSequence[0]
    region = right.AnatomicRegionSequence[0]
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Right"
    assert region.AnatomicRegionModifierSequence[0].CodeMeaning == "Right"
    assert "AnatomicRegionModifierSequence" not in kind


def test_a_colour_comes_back_from_the_cielab_value() -> None:
    dataset = written(seg.build(ct_source(), lungs(), PROVENANCE, FIRST))
    value = tuple(dataset.SegmentSequence[1].RecommendedDisplayCIELabValue)
    rgb = hd.color.CIELabColor.from_dicom_value(value).to_rgb()
    assert np.abs(np.array(rgb) - (80, 160, 230)).max() <= 2


def test_content_is_dated_by_the_start_of_the_analysis() -> None:
    source = ct_source(TimezoneOffsetFromUTC="+0200")
    dataset = written(seg.build(source, lungs(), PROVENANCE, FIRST))
    assert (dataset.ContentDate, dataset.ContentTime) == ("20261123", "101530.250000")
    assert dataset.TimezoneOffsetFromUTC == "+0200"


def test_a_header_without_its_type_2_attributes_still_gives_a_result() -> None:
    words: tuple[str, ...] = (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyID",
        "StudyTime",
    )
    without: dict[str, Any] = dict.fromkeys(words)
    dataset = written(
        seg.build(ct_source(AccessionNumber=None, **without), lungs(), PROVENANCE, FIRST)
    )
    assert all(word in dataset and dataset[word].is_empty for word in words)
    assert dataset.AccessionNumber == ""


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^Jürgen=山田^太郎"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ],
)
def test_a_name_comes_through_in_the_character_set_of_the_images(
    charset: str | list[str], name: str
) -> None:
    source = ct_source(SpecificCharacterSet=charset, PatientName=name, ReferringPhysicianName="A^B")
    dataset = written(seg.build(source, lungs(), PROVENANCE, FIRST))
    assert dataset.SpecificCharacterSet == charset
    assert str(dataset.PatientName) == name


def test_a_label_beyond_the_character_set_moves_the_object_to_utf8() -> None:
    finding = single()
    greek = dataclasses.replace(finding.segments[0], label="β-Knoten (原発)")
    source = ct_source()
    dataset = written(
        seg.build(source, dataclasses.replace(finding, segments=(greek,)), PROVENANCE, FIRST)
    )
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert dataset.SegmentSequence[0].SegmentLabel == "β-Knoten (原発)"
    assert str(dataset.PatientName) == "Müller^Jürgen"


def test_labels_that_no_segment_describes_are_refused() -> None:
    finding = lungs()
    part = dataclasses.replace(finding, segments=finding.segments[:2])
    with pytest.raises(FindingsContradictImages, match=r"labels without a segment: \[5\]"):
        seg.build(ct_source(), part, PROVENANCE, FIRST)


def test_labels_on_another_grid_are_refused() -> None:
    other = dataclasses.replace(lungs(), labels=np.ones((2, 3, 4), np.uint8))
    with pytest.raises(FindingsContradictImages, match="grid"):
        seg.build(ct_source(), other, PROVENANCE, FIRST)


def test_thirty_segments_keep_their_numbers() -> None:
    made = np.zeros(sources.SHAPE, np.uint8)
    segments = []
    for number in range(1, 31):
        made[number % 9, number % 22, number % 18] = number
        segments.append(
            Segment(f"part_{number}", number, f"Part {number}", sources.ANATOMY, sources.LUNG)
        )
    finding = dataclasses.replace(lungs(), labels=made, segments=tuple(segments))
    dataset = written(seg.build(ct_source(), finding, PROVENANCE, FIRST))
    assert [item.SegmentNumber for item in dataset.SegmentSequence] == list(range(1, 31))
    assert dataset.NumberOfFrames == 30


def test_an_analyzer_can_say_what_kind_of_algorithm_it_is() -> None:
    threshold = Code("THRESHOLDING", "99WETREAD", "Threshold and connected components")
    for family, wanted in ((None, "123110"), (threshold, "THRESHOLDING")):
        provenance = dataclasses.replace(PROVENANCE, family=family)
        dataset = seg.build(ct_source(), single(), provenance, FIRST)
        (algorithm,) = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == wanted
