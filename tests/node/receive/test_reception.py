"""What receive answers, case by case, and what it keeps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from node.receive.file_meta import file_header
from node.receive.offer import Offer
from node.receive.reception import Receiver
from storage.errors import DatabaseUnavailable
from storage.files.instances import InstanceStore
from storage.quarantine import Refused
from storage.records import InstanceRecord, PutOutcome
from tests.instances import dataset_bytes, incoming, make_dataset

NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Desk:
    """A receiver with a real store, and what it handed on."""

    def __init__(self, folder: Path) -> None:
        self.store = InstanceStore(folder / "instances", folder / "quarantine")
        self.records: list[InstanceRecord] = []
        self.quarantined: list[Refused] = []
        self.sink: Callable[[InstanceRecord], None] = self.records.append
        self.receiver = Receiver(
            self.store,
            lambda record: self.sink(record),
            self.quarantined.append,
            lambda: NOW,
        )

    def files(self) -> list[str]:
        return incoming(self.store)

    def close(self) -> None:
        """Files that are held open ahead of what comes are closed at once, and not some time."""
        self.store.ready.forget()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    opened.close()


def encoded(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    buffer.is_little_endian = syntax != ExplicitVRBigEndian
    write_dataset(buffer, dataset)
    raw = buffer.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = deflater.compress(raw) + deflater.flush()
        raw += b"\0" * (len(raw) % 2)
    return raw


def offer(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> Offer:
    return Offer(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), syntax, "CT1")


def test_a_new_instance_is_stored_with_the_very_bytes_and_a_readable_file_meta(desk: Desk) -> None:
    dataset = make_dataset()
    raw = encoded(dataset)
    status = desk.receiver.receive(offer(dataset), [raw[:1000], memoryview(raw)[1000:]])
    assert (status.code, status.comment) == (0x0000, "")
    (record,) = desk.records
    path = desk.store.path(record.placement.key)
    assert dataset_bytes(path) == raw
    stored = dcmread(path)
    assert stored.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert stored.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert stored.file_meta.SourceApplicationEntityTitle == "CT1"
    assert stored.file_meta.FileMetaInformationGroupLength == len(file_header(offer(dataset))) - 144
    assert record.attributes.study_instance_uid == dataset.StudyInstanceUID
    assert record.received_at == NOW
    assert record.placement.outcome is PutOutcome.NEW


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_the_header_is_read_in_every_native_transfer_syntax(desk: Desk, syntax: str) -> None:
    dataset = make_dataset()
    raw = encoded(dataset, syntax)
    assert desk.receiver.receive(offer(dataset, syntax), [raw]).code == 0x0000
    (record,) = desk.records
    assert record.attributes.transfer_syntax_uid == syntax
    assert record.attributes.series["Modality"] == "CT"
    assert dataset_bytes(desk.store.path(record.placement.key)) == raw


def test_the_same_bytes_again_succeed_and_reach_the_sink_again(desk: Desk) -> None:
    dataset = make_dataset()
    raw = encoded(dataset)
    codes = [desk.receiver.receive(offer(dataset), [raw]).code for _ in range(2)]
    assert codes == [0x0000, 0x0000]
    outcomes = [record.placement.outcome for record in desk.records]
    assert outcomes == [PutOutcome.NEW, PutOutcome.SAME]


def test_the_same_uid_with_other_bytes_is_a_duplicate_and_kept_aside(desk: Desk) -> None:
    first, second = make_dataset(), make_dataset(StationName="OTHER")
    desk.receiver.receive(offer(first), [encoded(first)])
    status = desk.receiver.receive(offer(second), [encoded(second)])
    assert status.code == 0x0111
    (refused,) = desk.quarantined
    assert dataset_bytes(desk.store.quarantine / refused.key) == encoded(second)
    assert dataset_bytes(desk.store.path(desk.records[0].placement.key)) == encoded(first)
    assert (refused.reason, refused.calling_ae) == (status.comment, "CT1")
    assert refused.sop_instance_uid == second.SOPInstanceUID
    assert refused.study_instance_uid == second.StudyInstanceUID
    assert refused.sha256 == sha256(encoded(second)).hexdigest()
    assert len(desk.records) == 1


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["", "no uid at all"])
def test_a_missing_or_false_uid_is_not_understood_and_kept_aside(
    desk: Desk, keyword: str, value: str
) -> None:
    dataset = make_dataset()
    what = offer(dataset)
    del dataset[keyword]
    raw = encoded(dataset)
    status = desk.receiver.receive(what, [raw])
    assert status.code == 0xC000
    (refused,) = desk.quarantined
    assert dataset_bytes(desk.store.quarantine / refused.key) == raw
    assert not desk.records
    assert not desk.files()


@pytest.mark.parametrize("raw", [b"", b"\x00" * 7, b"\xff" * 5000, b"GET / HTTP/1.1\r\n\r\n"])
def test_garbage_is_not_understood_and_kept_aside(desk: Desk, raw: bytes) -> None:
    status = desk.receiver.receive(offer(make_dataset()), [raw])
    assert status.code == 0xC000
    assert len(desk.quarantined) == 1


def test_another_sop_class_than_the_commands_is_a_mismatch(desk: Desk) -> None:
    dataset = make_dataset()
    what = Offer(MRImageStorage, str(dataset.SOPInstanceUID), ExplicitVRLittleEndian)
    assert desk.receiver.receive(what, [encoded(dataset)]).code == 0xA900
    assert not desk.records


def test_another_sop_instance_than_the_commands_is_not_understood(desk: Desk) -> None:
    dataset = make_dataset()
    what = Offer(str(dataset.SOPClassUID), "1.2.3", ExplicitVRLittleEndian)
    assert desk.receiver.receive(what, [encoded(dataset)]).code & 0xF000 == 0xC000
    assert not desk.records


def test_a_database_away_is_out_of_resources_and_a_repeat_succeeds(desk: Desk) -> None:
    dataset = make_dataset()

    def away(record: InstanceRecord) -> None:
        raise DatabaseUnavailable("locked")

    desk.sink = away
    status = desk.receiver.receive(offer(dataset), [encoded(dataset)])
    assert (status.code, status.comment) == (0xA700, "Database is unavailable")
    desk.sink = desk.records.append
    assert desk.receiver.receive(offer(dataset), [encoded(dataset)]).code == 0x0000
    assert [record.placement.outcome for record in desk.records] == [PutOutcome.SAME]


def test_less_free_space_than_asked_for_is_out_of_resources(desk: Desk) -> None:
    dataset = make_dataset()
    greedy = Receiver(desk.store, desk.sink, lambda *_: None, lambda: NOW, min_free_bytes=1 << 60)
    assert greedy.receive(offer(dataset), [encoded(dataset)]).code == 0xA700
    assert not desk.files()


def test_a_fault_of_our_own_is_a_processing_failure_whose_id_stands_in_the_log(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset()

    def broken(record: InstanceRecord) -> None:
        raise ZeroDivisionError(str(dataset.PatientName))

    desk.sink = broken
    status = desk.receiver.receive(offer(dataset), [encoded(dataset)])
    assert status.code == 0x0110
    output = capfd.readouterr().out
    assert status.comment.split()[-1] in output
    assert "ZeroDivisionError" in output
    assert "Secret" not in output


def test_an_abandoned_instance_leaves_nothing(desk: Desk) -> None:
    reception = desk.receiver.begin(offer(make_dataset()))
    reception.write(b"half" * 100_000)
    assert len(desk.files()) == 1
    reception.abandon()
    assert not desk.files()
    assert not desk.records


def test_a_deflated_bomb_is_inflated_only_as_far_as_a_header_may_reach(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    dataset.PixelData = b"\0" * (8 << 20)
    monkeypatch.setattr("storage.header.reading.MAX_HEADER_BYTES", 1 << 16)
    raw = encoded(dataset, DeflatedExplicitVRLittleEndian)
    assert len(raw) < 1 << 16
    status = desk.receiver.receive(offer(dataset, DeflatedExplicitVRLittleEndian), [raw])
    assert status.code == 0x0000
    assert BytesIO(raw).getvalue() == dataset_bytes(desk.store.path(desk.records[0].placement.key))


def test_what_is_no_uid_in_the_command_still_reaches_the_quarantine(desk: Desk) -> None:
    dataset = make_dataset()
    what = Offer(str(dataset.SOPClassUID), "häß" * 10, ExplicitVRLittleEndian, "CT1")
    status = desk.receiver.receive(what, [encoded(dataset)])
    assert status.code == 0xC001
    assert len(desk.quarantined) == 1
