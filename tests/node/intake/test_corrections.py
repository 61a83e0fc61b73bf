"""A correction that a person accepts takes the place of what was stored; nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from pydicom.filewriter import dcmwrite

from node.intake.corrections import Corrections
from storage import events, index, ledger, quarantine
from storage.database import Database, open_database
from storage.errors import NotFound
from storage.files.instances import InstanceStore
from storage.files.metadata_shelf import MetadataShelf
from storage.files.seal import dataset_digest, sealed_uid
from storage.header.reading import read_attributes
from storage.quarantine import NoCorrection, RefusalKind, Refused
from storage.records import InstanceRecord, PutOutcome, StudyState
from tests.storage.samples import enqueue, new_job

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Ward:
    """A store, an index, and images that come as from a modality."""

    database: Database
    store: InstanceStore
    folder: Path
    now: datetime = START

    @property
    def shelf(self) -> MetadataShelf:
        return MetadataShelf(self.folder / "metadata")

    def corrections(self) -> Corrections:
        return Corrections(self.database, self.store, self.shelf, lambda: self.now)

    def send(self, path: Path) -> InstanceRecord:
        """As the receiver does: stored and indexed, or kept aside with its row."""
        attributes = read_attributes(path)
        whole = path.read_bytes()
        data = whole.index(b"DICM") + 4
        with self.store.open_incoming() as file:
            head = data + 12 + int.from_bytes(whole[data + 8 : data + 12], "little")
            file.write_header(whole[:head])
            file.write(whole[head:])
            placement = file.place(attributes.sop_instance_uid)
        record = InstanceRecord(attributes, placement, self.now, "CT1")
        with self.database.write() as tx:
            if placement.outcome is PutOutcome.CONFLICT:
                quarantine.enter(tx, self.now, self._refused(record))
            else:
                index.add(tx, [record])
        self.store.forget_incoming(placement.incoming)
        return record

    def _refused(self, record: InstanceRecord) -> Refused:
        attributes, placement = record.attributes, record.placement
        return Refused(
            placement.key,
            RefusalKind.CONFLICT,
            "other bytes",
            placement.sha256,
            attributes.sop_instance_uid,
            attributes.study_instance_uid,
            "CT1",
        )

    def corrected(self, path: Path, **changes: str) -> Path:
        dataset = pydicom.dcmread(path)
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        made = self.folder / f"corrected-{path.name}"
        dcmwrite(made, dataset, enforce_file_format=True)
        return made

    def complete(self) -> None:
        with self.database.write() as tx:
            (study,) = index.list_studies(tx)
            index.complete(tx, study.id, self.now, study.last_received_at)

    def accept(self, whole_study: bool = False) -> int:
        with self.database.write() as tx:
            newest = next(
                one for one in quarantine.newest(tx) if one.refused.kind is RefusalKind.CONFLICT
            )
            return quarantine.accept(tx, newest.id, self.now, whole_study)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    store = InstanceStore(tmp_path / "instances", tmp_path / "quarantine", sync=False)
    yield Ward(database, store, tmp_path)
    store.ready.forget()
    database.close()


def test_the_newer_bytes_become_the_instance_and_the_old_ones_are_kept(
    ward: Ward, phantom_paths: list[Path]
) -> None:
    old = ward.send(phantom_paths[0])
    ward.complete()
    newer = ward.send(ward.corrected(phantom_paths[0], PatientID="MERGED-1"))
    assert newer.placement.outcome is PutOutcome.CONFLICT
    assert ward.accept() == 1
    ward.now += timedelta(minutes=1)
    assert ward.corrections().step() == 1
    path = ward.store.path(old.placement.key)
    assert dataset_digest(path) == newer.placement.sha256
    assert sealed_uid(path) == old.attributes.sop_instance_uid
    with ward.database.read() as tx:
        (study,) = index.list_studies(tx)
        (series,) = index.series_of(tx, study.id)
        (kept,) = quarantine.newest(tx)
        assert events.open_alarms(tx) == []
    assert study.state is StudyState.RECEIVING, "it is analyzed anew"
    assert series.header["PatientID"] == "MERGED-1"
    assert series.instances[0].sha256 == newer.placement.sha256
    assert kept.refused.kind is RefusalKind.REPLACED
    assert dataset_digest(ward.store.quarantine / kept.refused.key) == old.placement.sha256
    assert ward.send(ward.corrected(phantom_paths[0], PatientID="MERGED-1")).placement.outcome is (
        PutOutcome.SAME
    )


def test_all_corrections_of_a_study_are_accepted_together(
    ward: Ward, phantom_paths: list[Path]
) -> None:
    for path in phantom_paths[:4]:
        ward.send(path)
    for path in phantom_paths[:4]:
        ward.send(ward.corrected(path, PatientName="Right^Name"))
    with ward.database.read() as tx:
        assert len(events.open_alarms(tx)) == 1
    assert ward.accept(whole_study=True) == 4
    assert ward.corrections().step() == 4
    with ward.database.read() as tx:
        assert events.open_alarms(tx) == []
        (study,) = index.list_studies(tx)
        (series,) = index.series_of(tx, study.id)
    assert series.header["PatientName"] == "Right^Name"


def test_new_results_supersede_those_of_the_old_bytes(
    ward: Ward, phantom_paths: list[Path]
) -> None:
    ward.send(phantom_paths[0])
    ward.complete()
    with ward.database.write() as tx:
        (study,) = index.list_studies(tx)
        (series,) = index.series_of(tx, study.id)
        first = enqueue(tx, new_job(tx, study.id, inputs=ledger.inputs_digest(series.instances)))
        ledger.claim(tx, START + timedelta(days=9999))
        ledger.failed(tx, first, START, "broken", "")
    ward.send(ward.corrected(phantom_paths[0], PatientID="MERGED-1"))
    ward.accept()
    ward.corrections().step()
    with ward.database.write() as tx:
        (series,) = index.series_of(tx, study.id)
        again = enqueue(tx, new_job(tx, study.id, inputs=ledger.inputs_digest(series.instances)))
        assert ledger.get(tx, again).predecessor_id == first


def test_a_study_with_jobs_at_work_is_corrected_when_they_have_ended(
    ward: Ward, phantom_paths: list[Path]
) -> None:
    ward.send(phantom_paths[0])
    with ward.database.write() as tx:
        (study,) = index.list_studies(tx)
        job = enqueue(tx, new_job(tx, study.id))
    ward.send(ward.corrected(phantom_paths[0], PatientID="MERGED-1"))
    ward.accept()
    assert ward.corrections().step() == 0
    with ward.database.write() as tx:
        ledger.failed(tx, job, START, "broken", "")
    assert ward.corrections().step() == 1


def test_only_other_bytes_of_a_stored_image_can_be_accepted(ward: Ward) -> None:
    refused = Refused("x.dcm", RefusalKind.UNREADABLE, "unreadable", "f")
    with ward.database.write() as tx:
        quarantine.enter(tx, START, refused)
        with pytest.raises(NoCorrection, match="another reason: unreadable"):
            quarantine.accept(tx, 1, START)
        with pytest.raises(NotFound):
            quarantine.accept(tx, 2, START)


def test_a_correction_of_what_was_deleted_or_changed_is_an_alarm_and_stays_refused(
    ward: Ward, phantom_paths: list[Path]
) -> None:
    old = ward.send(phantom_paths[0])
    newer = ward.send(ward.corrected(phantom_paths[0], PatientID="MERGED-1"))
    ward.accept()
    kept = ward.store.quarantine / newer.placement.key
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert ward.corrections().step() == 0
    with ward.database.read() as tx:
        assert "cannot be put in place" in events.open_alarms(tx)[0].reason
        assert quarantine.accepted(tx) == []
    assert dataset_digest(ward.store.path(old.placement.key)) == old.placement.sha256


@pytest.mark.parametrize("cut", ["copied", "moved"])
def test_a_correction_that_was_cut_short_goes_on(
    ward: Ward, phantom_paths: list[Path], monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    old = ward.send(phantom_paths[0])
    newer = ward.send(ward.corrected(phantom_paths[0], PatientID="MERGED-1"))
    ward.accept()
    with monkeypatch.context() as patch:
        after: Callable[..., None] = kill
        patch.setattr(
            *{
                "copied": ("storage.files.instances.seal_file", after),
                "moved": (index, "correct", after),
            }[cut]
        )
        with pytest.raises(Killed):
            ward.corrections().step()
    assert ward.corrections().step() == 1
    assert dataset_digest(ward.store.path(old.placement.key)) == newer.placement.sha256
    with ward.database.read() as tx:
        (kept,) = quarantine.newest(tx)
    assert dataset_digest(ward.store.quarantine / kept.refused.key) == old.placement.sha256


class Killed(BaseException):
    """As by SIGKILL: nothing after it runs."""


def kill(*arguments: object) -> None:
    raise Killed
