"""Made-up records for the storage tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic.config import Config

import storage.migrations
from storage import (
    announcements,
    commitment_requests,
    gaps,
    index,
    ledger,
    outbox,
    result_commitments,
)
from storage.announcements import NewAnnouncement
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable
from storage.people import app_passwords, familiar_hosts, sessions, users
from storage.people.app_passwords import NewAppPassword
from storage.people.familiar_hosts import Familiar
from storage.people.sessions import NewSession
from storage.people.users import Role
from storage.records import (
    AnnouncementKind,
    InstanceAttributes,
    InstanceRecord,
    JobResults,
    NewJob,
    Placement,
    Priority,
    PutOutcome,
    Reference,
    ResultObject,
    StepStatus,
)

NOON = datetime(2030, 5, 4, 12, 0, tzinfo=UTC)


def record(
    number: int = 1,
    study: str = "1.2.3",
    series: str = "1.2.3.1",
    at: datetime = NOON,
    patient_id: str = "P1",
    **header: str,
) -> InstanceRecord:
    """Instance ``number`` of a series, as the receiver hands it over."""
    uid = f"{series}.{number}"
    attributes = InstanceAttributes(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        study_instance_uid=study,
        series_instance_uid=series,
        study={"PatientID": patient_id, "StudyInstanceUID": study, "StudyDate": "20300504"},
        series={"Modality": "CT", "SeriesInstanceUID": series, "SeriesNumber": 3, **header},
        instance={"InstanceNumber": number, "ImagePositionPatient": [0.0, 0.0, float(number)]},
    )
    placement = Placement(
        PutOutcome.NEW, f"aa/{uid}.dcm", 1000 + number, f"{number:064d}", "x.part"
    )
    return InstanceRecord(attributes, placement, at, "CT1")


def with_study(one: InstanceRecord, **study: object) -> InstanceRecord:
    """The record with other study-level attributes."""
    return replace(one, attributes=replace(one.attributes, study=study))


def add_study(tx: Transaction, study: str = "1.2.3", instances: int = 3) -> int:
    """A complete study of one series; gives its id."""
    index.add(tx, [record(n, study, f"{study}.1") for n in range(1, instances + 1)])
    found = index.find_study(tx, study)
    assert found is not None
    assert index.complete(tx, found.id, NOON, found.last_received_at)
    return found.id


def new_job(
    tx: Transaction,
    study_id: int,
    analyzer: str = "lungs",
    priority: Priority = Priority.ROUTINE,
    inputs: str = "i1",
    destinations: Sequence[str] = ("pacs",),
    series: int = 0,
) -> NewJob:
    """A job on the n-th series of a study."""
    chosen = index.series_of(tx, study_id)[series]
    return NewJob(
        inputs_digest=inputs,
        analyzer=analyzer,
        analyzer_version="1.0",
        parameters_digest="p",
        parameters={"sigma_mm": 2.0},
        study_id=study_id,
        series_id=chosen.id,
        instance_ids=tuple(instance.id for instance in chosen.instances),
        rule="every chest",
        priority=priority,
        destinations=tuple(destinations),
    )


def enqueue(tx: Transaction, job: NewJob, at: datetime = NOON) -> int:
    job_id = ledger.enqueue(tx, job, at)
    assert job_id is not None
    return job_id


def result(uid: str, kind: str = "seg") -> ResultObject:
    """An object in a series of its own, as a worker has read what it wrote."""
    attributes = replace(
        record(1, series=f"{uid}.0", Modality=kind.upper()).attributes,
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
    )
    return ResultObject(
        sop_instance_uid=uid,
        sop_class_uid=attributes.sop_class_uid,
        series_instance_uid=attributes.series_instance_uid,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        kind=kind,
        key=f"job/{uid}.dcm",
        size_bytes=10,
        sha256="f" * 64,
        attributes=attributes,
    )


def results(prefix: str = "9.1", kinds: Sequence[str] = ("sr", "seg", "image")) -> JobResults:
    """One object of each kind; the report comes first, to show that order is made, not found."""
    return JobResults(tuple(result(f"{prefix}.{n}", kind) for n, kind in enumerate(kinds)))


def announce(
    tx: Transaction,
    *numbers: int,
    status: StepStatus = StepStatus.COMPLETED,
    study: str = "1.2.3",
    uid: str = "9.1",
    kind: AnnouncementKind = AnnouncementKind.MPPS,
) -> int:
    """A step that names instances of the study's first series; gives its id."""
    named = tuple(reference(f"{study}.1.{n}") for n in numbers)
    return announcements.enter(
        tx, NewAnnouncement(kind, uid, "CT1", status, (study,), named, {"Modality": "CT"}), NOON
    )


def reference(uid: str) -> Reference:
    return Reference("1.2.840.10008.5.1.4.1.1.2", uid)


def announce_and_commit(tx: Transaction) -> None:
    """A row in each table of announcements, commitment and gaps; a job has been delivered from."""
    announce(tx, 1, 99)
    commitment_requests.enter(tx, "9.2", "CT1", "10.0.0.1", "a1", [reference("1.2.3.1.1")], NOON)
    due = outbox.claim(tx, "pacs", NOON)
    for one in due:
        outbox.sent(tx, one.id, NOON, 0)
        result_commitments.owe(tx, one.id, NOON)
    gaps.watch(tx, gaps.find(tx, NOON), NOON)


def add_people(tx: Transaction) -> None:
    """A row in each table of people and machines that may log in."""
    ann = users.add(tx, "ann", Role.OPERATOR, "$argon2id$", NOON)
    sessions.begin(
        tx, NewSession(ann.id, "5e" * 32, "10.0.0.7", "Firefox"), NOON, NOON + minutes(720)
    )
    familiar_hosts.note(tx, ann.id, Familiar("10.0.0.7", "fa" * 32, NOON))
    ends_at = NOON + timedelta(days=30)
    machine = NewAppPassword(ann.id, "viewer", Role.VIEWER, "10.0.0.8", "a0" * 32, "ann", ends_at)
    app_passwords.add(tx, machine, NOON)


def alembic_config(tx: Transaction) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(storage.migrations.__file__).parent))
    config.attributes["connection"] = tx
    return config


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


class LosingAnswers(Database):
    """A database whose connection is lost after each commit, before the answer to it."""

    def __init__(self, database: Database) -> None:
        self._real = database

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._real.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._real.write() as tx:
            yield tx
        raise DatabaseUnavailable("the connection was lost")
