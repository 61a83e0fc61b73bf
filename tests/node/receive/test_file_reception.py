"""Files with a head of their own, received as instances."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import MRImageStorage

from node.receive.file_head import MAX_HEAD_BYTES, NoFile, read_head
from node.receive.file_reception import FileReception, Outcome
from node.receive.offer import Offer
from tests.instances import dataset_bytes, make_dataset, write_instance
from tests.node.receive.test_reception import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    return write_instance(tmp_path / "one.dcm", make_dataset()).read_bytes()


def received(desk: Desk, *chunks: bytes, study: str = "") -> Outcome:
    reception = FileReception(desk.receiver, lambda offer: None, "WEB", study)
    for chunk in chunks:
        reception.write(chunk)
    return reception.finish()


@pytest.mark.parametrize("step", [1, 7, 100, 1 << 20])
def test_a_file_is_stored_with_its_data_set_as_it_came_however_it_is_cut(
    desk: Desk, file: bytes, tmp_path: Path, step: int
) -> None:
    outcome = received(desk, *(file[at : at + step] for at in range(0, len(file), step)))
    dataset = make_dataset()
    assert outcome == Outcome(
        0,
        "",
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
        dataset.StudyInstanceUID,
        dataset.SeriesInstanceUID,
    )
    (record,) = desk.records
    path = desk.store.path(record.placement.key)
    assert dataset_bytes(path) == dataset_bytes(tmp_path / "one.dcm")
    assert dcmread(path).file_meta.SourceApplicationEntityTitle == "WEB"
    assert record.calling_ae == "WEB"


def test_who_wrote_the_file_counts_as_its_sender(desk: Desk, tmp_path: Path) -> None:
    dataset = make_dataset()
    path = write_instance(tmp_path / "two.dcm", dataset)
    dataset.file_meta.SourceApplicationEntityTitle = "CT99"
    dataset.save_as(path, enforce_file_format=True)
    assert received(desk, path.read_bytes()).is_stored
    assert desk.records[0].calling_ae == "CT99"


def test_a_file_without_its_preamble_is_a_file(desk: Desk, file: bytes) -> None:
    assert received(desk, file[132:]).is_stored


def test_of_another_study_than_the_one_named_nothing_is_kept(desk: Desk, file: bytes) -> None:
    outcome = received(desk, file, study="1.2.3")
    assert outcome.reason == 0xA900
    assert (outcome.sop_instance_uid, outcome.study_instance_uid) == (
        make_dataset().SOPInstanceUID,
        "",
    )
    assert (desk.records, desk.quarantined, desk.files()) == ([], [], [])
    assert received(desk, file, study=make_dataset().StudyInstanceUID).is_stored


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b"", "no DICOM file"),
        (b"PK\3\4" * 100, "no DICOM file"),
        (b"\x02\x00\x02", "ends within"),
        (bytes(128) + b"DICM", "lacks Media Storage SOP Class UID"),
        (bytes(128) + b"DICM\x02\x00\x02\x00UI", "ends within"),
        (bytes(128) + b"DICM\x02\x00\x02\x00UI\xff\x7f1.2", "ends within"),
        (bytes(128) + b"DICM\x02\x00\x02\x01OB\0\0\xff\xff\xff\xff" + bytes(99), "too long"),
    ],
)
def test_what_is_no_file_is_not_understood_and_not_kept(desk: Desk, bad: bytes, what: str) -> None:
    outcome = received(desk, bad)
    assert (outcome.reason, outcome.sop_instance_uid) == (0xC000, "")
    assert what in outcome.comment
    assert (desk.quarantined, desk.files()) == ([], [])


def test_file_meta_information_that_contradicts_its_data_set_goes_to_quarantine(
    desk: Desk, tmp_path: Path
) -> None:
    path = write_instance(tmp_path / "three.dcm", make_dataset())
    dataset = dcmread(path)
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.save_as(path, enforce_file_format=False)
    assert received(desk, path.read_bytes()).reason == 0xA900
    assert len(desk.quarantined) == 1


def test_what_is_refused_by_its_head_is_dropped_as_it_comes(desk: Desk, file: bytes) -> None:
    def refusal(offer: Offer) -> Outcome | None:
        return Outcome(0x0122, "no", offer.sop_class_uid, offer.sop_instance_uid)

    reception = FileReception(desk.receiver, refusal, "WEB")
    reception.write(file)
    reception.write(file)
    assert reception.finish().reason == 0x0122
    assert reception.size_bytes == 2 * len(file)
    assert (desk.records, desk.files()) == ([], [])


def test_an_abandoned_file_leaves_nothing(desk: Desk, file: bytes) -> None:
    reception = FileReception(desk.receiver, lambda offer: None, "WEB")
    reception.write(file)
    reception.abandon()
    assert (desk.records, desk.files()) == ([], [])


def test_a_wrong_group_length_and_implicit_file_meta_information_are_read() -> None:
    def implicit(element: int, text: bytes) -> bytes:
        return struct.pack("<HHL", 2, element, len(text)) + text

    head = bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, 99_999)
    head += implicit(2, b"1.2") + implicit(3, b"1.3\0") + implicit(0x10, b"1.4")
    found = read_head(head + b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100")
    assert found is not None
    assert (found.offer, found.end) == (Offer("1.2", "1.3", "1.4"), len(head))


@settings(deadline=None, max_examples=300)
@given(
    garbled=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 500),
)
def test_a_garbled_head_is_read_or_refused_and_never_needs_more_than_its_limit(
    garbled: list[tuple[int, int]], length: int
) -> None:
    head = bytearray(128) + b"DICM"
    for element, text in ((2, b"1.2"), (3, b"1.3\0"), (0x10, b"1.4"), (0x16, b"CT99")):
        head += struct.pack("<HH2sH", 2, element, b"UI", len(text)) + text
    head += bytes(400)
    for at, byte in garbled:
        head[min(at, len(head) - 1)] = byte
    try:
        found = read_head(head[:length], is_all=True)
    except NoFile:
        return
    assert found is not None
    assert found.end <= min(length, MAX_HEAD_BYTES)
