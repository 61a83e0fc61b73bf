"""Results of an older version become instances of their studies, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from structlog.testing import capture_logs

from node.intake import earlier_results as module
from node.intake.earlier_results import EarlierResults
from storage import events, holdings, index, ledger, schema
from storage.database import Database, open_database
from storage.files.results import ResultStore
from storage.holdings import Held, Selection
from storage.records import JobResults, Level, StudyState
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, result

STUDY = "1.2.3"


@dataclass
class House:
    """What an older version has left: a job that has ended, with files and no instances."""

    database: Database
    results: ResultStore
    study_id: int = 0
    job_id: int = 0

    def earlier_job(self, *uids: str) -> None:
        with self.database.write() as tx:
            self.study_id = add_study(tx, STUDY)
            self.job_id = enqueue(tx, new_job(tx, self.study_id))
            key = ledger.get(tx, self.job_id).key
            ledger.claim(tx, NOON)
            made = [replace(result(uid), key=f"{key}/{uid}.dcm", attributes=None) for uid in uids]
            ledger.done(tx, self.job_id, NOON + minutes(1), JobResults(tuple(made)))
        folder = self.results.folder(key)
        for uid in uids:
            segmentation(uid).save_as(folder / f"{uid}.dcm", enforce_file_format=True)

    def enter(self) -> EarlierResults:
        return EarlierResults(self.database, self.results, lambda: NOON)

    def held(self) -> list[Held]:
        with self.database.read() as tx:
            return [one for one in holdings.select(tx, Selection(study_uids=(STUDY,))) if one.own]

    def lose(self, uid: str) -> None:
        (path,) = self.results.root.rglob(f"{uid}.dcm")
        path.unlink()


def segmentation(uid: str) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.66.4", uid
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, f"{uid}.0"
    made.Modality, made.PatientID, made.SeriesNumber = "SEG", "P1", 900
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield House(database, ResultStore(tmp_path / "results"))
    database.close()


def test_they_are_entered_with_what_their_headers_say_and_change_nothing_else(
    house: House,
) -> None:
    house.earlier_job("9.1", "9.2")
    entering = house.enter()
    assert entering.step()
    assert not entering.step()
    assert [(one.sop_instance_uid, one.received_at) for one in house.held()] == [
        ("9.1", NOON + minutes(1)),
        ("9.2", NOON + minutes(1)),
    ]
    with house.database.read() as tx:
        row = index.get_study(tx, house.study_id)
        assert (row.state, row.instances, row.results) == (StudyState.COMPLETE, 3, 2)
        assert [one.to_state for one in events.list_events(tx) if one.level is not Level.INFO] == []


def test_an_abrupt_end_between_two_steps_doubles_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    house.earlier_job("9.1", "9.2", "9.3")
    assert house.enter().step()
    assert len(house.held()) == 1
    again = house.enter()
    while again.step():
        pass
    assert [one.sop_instance_uid for one in house.held()] == ["9.1", "9.2", "9.3"]
    assert not house.enter().step()


def test_one_whose_file_is_gone_or_damaged_is_named_once_and_holds_up_no_other(
    house: House,
) -> None:
    house.earlier_job("9.1", "9.2", "9.3")
    house.lose("9.1")
    (damaged,) = house.results.root.rglob("9.2.dcm")
    damaged.write_bytes(b"no DICOM")
    entering = house.enter()
    with capture_logs() as lines:
        while entering.step():
            pass
        entering.step()
    assert [one.sop_instance_uid for one in house.held()] == ["9.3"]
    assert [line["job"] for line in lines if line["event"] == "result_lost"] == [house.job_id] * 2
    with house.database.read() as tx:
        told = [one for one in events.list_events(tx) if one.to_state == "results lost"]
    assert [one.level for one in told] == [Level.WARNING]
    assert "2 results" in told[0].reason and f"of jobs {house.job_id}" in told[0].reason


def test_a_study_that_is_deleted_meanwhile_stays_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.earlier_job("9.1")
    real = module.read_attributes

    def read_slowly(source: object) -> object:
        with house.database.write() as tx:
            tx.execute(schema.studies.delete())
        return real(source)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read_attributes", read_slowly)
    entering = house.enter()
    while entering.step():
        pass
    assert house.held() == []
