"""Headers of any size are read for what the index needs of them, and alike."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from storage.errors import UnreadableInstance
from storage.header.abridged import MAX_SEQUENCE_BYTES, Abridged, abridge
from storage.header.attributes import MAX_FRAMES, extract
from storage.header.elements import NotPlain
from storage.header.reading import parse_attributes, read_header
from storage.records import InstanceAttributes
from tests.instances import make_dataset

LITTLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def enhanced(frames: int = 3, **values: object) -> Dataset:
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.5], SliceThickness=2)],
    )
    groups = [
        item(
            FrameContentSequence=[item(FrameAcquisitionNumber=one, StackID="1")],
            PlanePositionSequence=[item(ImagePositionPatient=[0, "-1.5e1", 2 * one])],
            MREchoSequence=[item(EffectiveEchoTime=30.0)],
        )
        for one in range(frames)
    ]
    agent = item(CodeMeaning="Jod-Größe", CodeValue="1")
    return make_dataset(
        rows=4,
        SpecificCharacterSet="ISO_IR 192",
        ContrastBolusAgentSequence=[agent],
        ReferencedImageSequence=[item(ReferencedSOPInstanceUID=f"1.2.{one}") for one in range(20)],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        **values,
    )


def with_undefined_lengths(dataset: Dataset) -> Dataset:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for one in element.value:
                one.is_undefined_length_sequence_item = True
                with_undefined_lengths(one)
    return dataset


def data_set(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def written(folder: Path, dataset: Dataset, syntax: str) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    path = folder / "one.dcm"
    if syntax == JPEG2000Lossless:
        dataset["PixelData"].is_undefined_length = True
        dataset.PixelData = struct.pack("<HHLHHL", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, 4) + bytes(4)
    dataset.save_as(path, enforce_file_format=True)
    return path


def variants() -> Iterator[Dataset]:
    yield make_dataset(rows=4)
    yield enhanced()
    yield with_undefined_lengths(enhanced())
    nowhere = enhanced()
    del nowhere.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    yield nowhere
    for broken in ([0, 0], None, []):
        dataset = enhanced()
        place = dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
        place.ImagePositionPatient = broken
        yield dataset
    unknown = enhanced()
    unknown.add(DataElement(0x00091010, "UN", bytes(1000)))
    yield unknown
    yield enhanced(PatientComments="A" * 100_000, StudyDescription="Thorax")
    yield make_dataset(rows=4, PerFrameFunctionalGroupsSequence=[])


@pytest.mark.parametrize(
    "syntax",
    [*LITTLE, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless],
)
def test_what_is_abridged_says_what_the_whole_says(tmp_path: Path, syntax: str) -> None:
    for dataset in variants():
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = bytes(len(dataset.PixelData))
        path = written(tmp_path, dataset, syntax)
        assert parse_attributes(path) == extract(read_header(path).dataset)


def test_real_headers_are_abridged_alike(test_data: Path) -> None:
    read = 0
    for folder in sorted(path for path in (test_data / "studies").rglob("*") if path.is_dir()):
        for path in sorted(one for one in folder.iterdir() if one.is_file())[:1]:
            with path.open("rb") as file:
                if file.read(132)[128:] != b"DICM":
                    continue
            assert outcome(parse_attributes, path) == outcome(by_pydicom, path), path
            read += 1
    assert read > 10


def by_pydicom(path: Path) -> InstanceAttributes:
    return extract(read_header(path).dataset)


def outcome(read: Callable[[Path], InstanceAttributes], path: Path) -> InstanceAttributes | str:
    try:
        return read(path)
    except UnreadableInstance as error:
        return str(error)


@pytest.mark.parametrize("syntax", LITTLE)
@pytest.mark.parametrize("frames", [100, MAX_FRAMES + 100])
def test_a_parser_sees_no_more_of_many_frames_than_of_one(syntax: str, frames: int) -> None:
    one = data_set(item(PlanePositionSequence=[item(ImagePositionPatient=[1, 2, 3])]), syntax)
    group = struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one
    head = struct.pack("<HH", 0x5200, 0x9230)
    if syntax == ExplicitVRLittleEndian:
        head += b"SQ\0\0"
    raw = data_set(make_dataset(rows=4), syntax)
    pixels = raw.index(struct.pack("<HH", 0x7FE0, 0x0010))
    sequence = head + struct.pack("<L", len(group) * frames) + group * frames
    whole = raw[:pixels] + sequence + raw[pixels:]
    found = abridge(whole, 0, syntax == ExplicitVRLittleEndian)
    assert len(found.data_set) < 2000
    assert found.positions == [[1.0, 2.0, 3.0]] * min(frames, MAX_FRAMES)


def test_sequences_that_nobody_asks_for_are_passed_over() -> None:
    content = with_undefined_lengths(
        make_dataset(rows=4, ReferencedImageSequence=[item(TextValue="x" * 100)] * 5000)
    )
    assert len(abridge(data_set(content), 0, True).data_set) < 2000
    agents = make_dataset(ContrastBolusAgentSequence=[item(TextValue="x" * 100)] * 20_000)
    assert len(data_set(agents)) > MAX_SEQUENCE_BYTES
    assert len(abridge(data_set(agents), 0, True).data_set) < 2000


@pytest.mark.parametrize("syntax", LITTLE)
@pytest.mark.parametrize("undefined", [True, False])
def test_a_header_that_ends_anywhere_is_named(syntax: str, undefined: bool) -> None:
    dataset = enhanced()
    raw = data_set(with_undefined_lengths(dataset) if undefined else dataset, syntax)
    pixels = raw.index(struct.pack("<HH", 0x7FE0, 0x0010))
    whole = abridge(raw, 0, syntax == ExplicitVRLittleEndian)
    refused = 0
    for end in range(pixels):
        try:
            found = abridge(raw[:end], 0, syntax == ExplicitVRLittleEndian)
        except UnreadableInstance:
            refused += 1
        except NotPlain:
            continue
        else:
            assert whole.data_set.startswith(found.data_set[:100])
    assert refused > pixels * 0.8


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8),
)
def test_damaged_headers_are_abridged_or_named(
    explicit: bool, undefined: bool, changes: list[tuple[int, int]]
) -> None:
    dataset = with_undefined_lengths(enhanced()) if undefined else enhanced()
    raw = bytearray(data_set(dataset, LITTLE[0] if explicit else LITTLE[1]))
    for position, byte in changes:
        raw[position % len(raw)] = byte
    try:
        assert isinstance(abridge(raw, 0, explicit), Abridged)
    except (UnreadableInstance, NotPlain):
        return
