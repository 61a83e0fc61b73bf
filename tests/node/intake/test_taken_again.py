"""What was acknowledged is found again, by the next start and by a new index, in little memory."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from node.receive.indexer import recover
from node.receive.offer import Offer
from node.receive.reception import Receiver
from node.series.read import read_headers
from storage import index
from storage.database import Database
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord
from storage.reindex import record_of, reindex
from tests.instances import dataset_bytes, make_dataset, write_instance

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

NOW = datetime(2026, 1, 5, tzinfo=UTC)
ODD_FILES = Path(pydicom.__file__ or "").parent / "data" / "test_files"
LITTLE = 8 << 20
"""Bytes of memory that a look at a header may take."""


class Desk:
    """A receiver whose index never hears of what it acknowledges."""

    def __init__(self, folder: Path) -> None:
        self.store = InstanceStore(folder / "instances", folder / "quarantine", sync=False)
        self.records: list[InstanceRecord] = []
        self.receiver = Receiver(self.store, self.records.append, lambda one: None, lambda: NOW)

    def receive(self, dataset: Dataset, raw: bytes, syntax: str = ExplicitVRLittleEndian) -> bool:
        offer = Offer(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), syntax, "CT1")
        return self.receiver.receive(offer, [raw]).code == 0

    def found_again(self, record: InstanceRecord) -> InstanceRecord:
        """Without what a file does not hold: the moment, and who sent it."""
        path = self.store.path(record.placement.key)
        found = record_of(self.store, path, record.placement.incoming)
        return replace(found, received_at=NOW, calling_ae="CT1")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path)
    yield opened
    opened.store.ready.forget()


def encoded(dataset: Dataset, folder: Path, syntax: str = ExplicitVRLittleEndian) -> bytes:
    return dataset_bytes(write_instance(folder / "scratch.dcm", dataset, syntax))


def test_what_ends_within_its_pixels_or_has_none_is_taken_again(
    desk: Desk, database: Database, tmp_path: Path
) -> None:
    whole, cut, empty = (make_dataset(number) for number in (1, 2, 3))
    bare = len(empty.PixelData) + 12
    assert desk.receive(whole, encoded(whole, tmp_path))
    assert desk.receive(cut, encoded(cut, tmp_path)[:-10])
    assert desk.receive(empty, encoded(empty, tmp_path)[:-bare])
    report = reindex(database, desk.store)
    assert (report.found, report.added, report.unreadable) == (3, 3, ())


def test_the_next_start_takes_them_too(desk: Desk, database: Database, tmp_path: Path) -> None:
    cut = make_dataset(2)
    assert desk.receive(cut, encoded(cut, tmp_path)[:-10])
    assert recover(database, desk.store) == 1
    with database.read() as tx:
        assert [study.instances for study in index.list_studies(tx)] == [1]


def test_every_odd_file_that_is_acknowledged_has_the_same_row_again(desk: Desk) -> None:
    """pydicom's own test files: enhanced, deflated, big endian, without pixels, damaged."""
    sent = 0
    for path in sorted(ODD_FILES.rglob("*.dcm")):
        sent += _send(desk, path)
    assert sent > 30 and len(desk.records) == sent
    for record in desk.records:
        assert desk.found_again(record) == record


def _send(desk: Desk, path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            syntax = str(dataset.file_meta.TransferSyntaxUID)
            known = {one.attributes.sop_instance_uid for one in desk.records}
            if dataset.SOPInstanceUID in known:
                return False
            return desk.receive(dataset, dataset_bytes(path), syntax)
        except Exception:  # noqa: BLE001  no such file could be offered for storage
            return False


# --- memory ---------------------------------------------------------------------------------------


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LITTLE


def with_private_value(dataset: Dataset, megabytes: int) -> Iterator[bytes]:
    """A raw data object: no pixels, and one private element that is all there is to it."""
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    yield buffer.getvalue()
    yield struct.pack("<HH2sH4s", 0x7FE1, 0x10, b"LO", 4, b"RAW ")
    yield struct.pack("<HH2sHL", 0x7FE1, 0x1010, b"OB", 0, megabytes << 20)
    for _ in range(megabytes):
        yield bytes(1 << 20)


def receive_raw(desk: Desk, megabytes: int = 48) -> Path:
    dataset = make_dataset(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.66")
    offer = Offer(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), ExplicitVRLittleEndian)
    assert desk.receiver.receive(offer, with_private_value(dataset, megabytes)).code == 0
    return desk.store.path(desk.records[0].placement.key)


def indexed_by_the_next_start(desk: Desk, database: Database) -> int:
    return recover(database, desk.store)


def indexed_anew(desk: Desk, database: Database) -> int:
    return reindex(database, desk.store).added


@pytest.mark.parametrize("way", [indexed_by_the_next_start, indexed_anew])
@pytest.mark.parametrize("megabytes", [48, 80], ids=["a header's limit", "more than that"])
def test_a_long_private_value_is_not_read_into_memory(
    desk: Desk, database: Database, way: Callable[[Desk, Database], int], megabytes: int
) -> None:
    receive_raw(desk, megabytes)
    with little_memory():
        assert way(desk, database) == 1


def test_a_worker_does_not_read_it_either(desk: Desk) -> None:
    path = receive_raw(desk)
    with little_memory():
        [header] = read_headers([path])
    assert header.PatientID == "SECRET-ID"
    assert (0x7FE1, 0x1010) not in header and (0x7FE1, 0x0010) in header


def test_a_deflated_bomb_is_not_inflated_whole_by_whoever_reads_its_header(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.header.reading.MAX_HEADER_BYTES", 1 << 20)
    dataset = make_dataset(1)
    dataset.PixelData = bytes(32 << 20)
    raw = encoded(dataset, tmp_path, DeflatedExplicitVRLittleEndian)
    assert desk.receive(dataset, raw, DeflatedExplicitVRLittleEndian)
    path = desk.store.path(desk.records[0].placement.key)
    with little_memory():
        assert desk.found_again(desk.records[0]) == desk.records[0]
        [header] = read_headers([path])
    assert header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian


def test_a_worker_has_all_else_of_a_header() -> None:
    path = ODD_FILES / "CT_small.dcm"
    [header] = read_headers([path])
    assert header == pydicom.dcmread(path, stop_before_pixels=True)
