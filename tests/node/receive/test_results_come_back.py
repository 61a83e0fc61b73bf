"""What a PACS sends back of the node's own results: the same instance, kept once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from node.receive.file_meta import file_header
from node.receive.indexer import Indexer, recover
from node.receive.offer import Offer
from node.receive.reception import Receiver, RecordSink
from node.receive.statuses import Status
from storage import events, holdings, index, quarantine
from storage.database import Database, open_database
from storage.files.archive import Archive
from storage.files.blobs import sha256_of
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.holdings import Held, Selection
from storage.quarantine import RefusalKind
from storage.records import Level, StudyState
from storage.reindex import record_of
from tests.storage.samples import NOON, add_study, result

SEG_UID, SERIES_UID, STUDY_UID = "9.1", "9.1.0", "1.2.3"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass
class House:
    """A node's index and stores, in which a result lies."""

    database: Database
    store: InstanceStore
    results: ResultStore
    study_id: int = 0

    def make(self, data_set: bytes) -> None:
        """A job's result, as a worker leaves it."""
        offer = Offer(SOP_CLASS, SEG_UID, ExplicitVRLittleEndian, "WETREAD")
        whole = file_header(offer) + data_set
        self.results.job("job").put("seg.dcm", whole)
        made = replace(result(SEG_UID), key="job/seg.dcm", size_bytes=len(whole))
        made = replace(made, sha256=sha256_of(self.results.path("job/seg.dcm")))
        with self.database.write() as tx:
            self.study_id = add_study(tx, STUDY_UID)
            index.add_own(tx, self.study_id, [made], NOON)

    def receive(self, *data_sets: bytes, stop: bool = False) -> list[Status]:
        """Each by C-STORE, one behind the other; with ``stop`` nothing of it reaches the index."""
        indexer = Indexer(self.database, self.store, results=self.results.blobs)
        if not stop:
            indexer.start()
        answers = [self._receive(one, indexer.submit) for one in data_sets]
        if not stop:
            indexer.stop()
        return answers

    def _receive(self, data_set: bytes, sink: RecordSink) -> Status:
        receiver = Receiver(self.store, sink, lambda refused: None, lambda: NOON)
        return receiver.receive(
            Offer(SOP_CLASS, SEG_UID, ExplicitVRLittleEndian, "PACS"), [data_set]
        )

    def held(self) -> list[Held]:
        with self.database.read() as tx:
            return holdings.select(tx, Selection(sop_uids=(SEG_UID,)))

    def state(self) -> StudyState:
        with self.database.read() as tx:
            return index.get_study(tx, self.study_id).state

    def files(self) -> list[str]:
        """All that was received and is there, under whatever name."""
        folders = (self.store.root, self.store.quarantine)
        found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        ready = {path for path in self.store.incoming.iterdir() if not path.stat().st_size}
        return sorted(path.name for path in found if path not in ready)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    store = InstanceStore(tmp_path / "instances", tmp_path / "quarantine", sync=False)
    yield House(database, store, ResultStore(tmp_path / "results"))
    store.ready.forget()
    database.close()


def data_set(description: str) -> bytes:
    """Of a small segmentation, without its pixels."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SOP_CLASS, SEG_UID
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY_UID, SERIES_UID
    made.Modality, made.PatientID, made.SeriesDescription = "SEG", "P1", description
    encoded = DicomBytesIO()
    encoded.is_little_endian, encoded.is_implicit_VR = True, False
    write_dataset(encoded, made)
    return bytes(encoded.getvalue())


OURS = data_set("as it was made")
CHANGED = data_set("as the PACS wants it")


def test_equal_bytes_are_answered_with_success_and_kept_once(house: House) -> None:
    house.make(OURS)
    before = house.held()
    assert [one.code for one in house.receive(OURS, OURS)] == [0, 0]
    assert house.held() == before and before[0].own
    assert house.state() is StudyState.COMPLETE
    assert house.files() == []


def test_other_bytes_are_answered_with_success_and_lie_in_quarantine_without_an_alarm(
    house: House,
) -> None:
    house.make(OURS)
    before = house.held()
    assert [one.code for one in house.receive(CHANGED, CHANGED)] == [0, 0]
    assert house.held() == before
    assert house.state() is StudyState.COMPLETE
    with house.database.read() as tx:
        (kept,) = quarantine.newest(tx)
        assert events.open_alarms(tx) == []
        told = [one for one in events.list_events(tx) if one.to_state == RefusalKind.RETURNED]
    assert kept.refused.kind is RefusalKind.RETURNED
    assert house.files() == [kept.refused.key]
    assert (len(told), told[0].level) == (1, Level.INFO)
    assert "its own are kept" in told[0].reason
    stored = (house.store.quarantine / kept.refused.key).read_bytes()
    assert stored.endswith(CHANGED)


def test_what_comes_back_is_taken_where_the_results_own_file_is_gone(house: House) -> None:
    house.make(OURS)
    house.results.path("job/seg.dcm").unlink()
    assert [one.code for one in house.receive(OURS)] == [0]
    (held,) = house.held()
    assert not held.own
    archive = Archive(house.store.blobs, house.results.blobs)
    with archive.blob(held).open() as file:
        assert file.read().endswith(OURS)
    assert house.state() is StudyState.COMPLETE


@pytest.mark.parametrize("came", [OURS, CHANGED], ids=["equal", "changed"])
def test_what_an_abrupt_end_left_of_it_is_sorted_out_at_the_next_start(
    house: House, came: bytes
) -> None:
    house.make(OURS)
    house.receive(came, stop=True)
    assert len(house.files()) == 2, "its name, and the second link"
    assert recover(house.database, house.store, results=house.results.blobs) == 1
    kept = [name for name in house.files() if not name.startswith("returned-")]
    assert kept == []
    assert house.held()[0].own
    assert house.state() is StudyState.COMPLETE


def test_an_abrupt_end_between_index_and_store_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node is killed when the file has its place in quarantine, and still its own name."""
    house.make(OURS)
    house.receive(CHANGED, stop=True)
    ((name, path),) = house.store.unindexed()
    placed = record_of(house.store, path, name).placement
    house.store.withdraw(replace(placed, incoming=""), RefusalKind.RETURNED)
    recover(house.database, house.store, results=house.results.blobs)
    assert [name.split("-")[0] for name in house.files()] == ["returned"]
    with house.database.read() as tx:
        assert len(quarantine.newest(tx)) == 1
