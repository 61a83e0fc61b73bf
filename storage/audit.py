"""The audit trail as it is kept: messages in the order in which they were told, and how far each
repository has them. Rows hold names and IDs of patients: only the audit's own page shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction

_messages = schema.audit_messages
_sinks = schema.audit_sinks
_journals = schema.audit_journals


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One message, and what it is looked for by."""

    at: datetime
    event: str
    outcome: int
    person: str
    address: str
    message: str
    """The XML of PS3.15 A.5.1, on one line."""
    patient_id: str = ""
    patient_name: str = ""
    study_instance_uid: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message with its number: numbers grow, and none is given twice."""

    id: int
    at: datetime
    outcome: int
    message: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the trail is looked for; empty: any."""

    person: str = ""
    patient_id: str = ""
    study_instance_uid: str = ""
    event: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A line of the page."""

    id: int
    row: AuditRow


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a study is."""

    patient_id: str
    patient_name: str
    accession_number: str


@dataclass(frozen=True, slots=True)
class JobWay:
    """Whose images a job read, and when it ended."""

    study_instance_uid: str
    finished_at: datetime | None


# --- keeping --------------------------------------------------------------------------------------


def keep(tx: Transaction, rows: Sequence[AuditRow]) -> None:
    """Enter messages, in their order."""
    if rows:
        tx.execute(sa.insert(_messages), [_columns(row) for row in rows])


def _columns(row: AuditRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in AuditRow.__slots__}


def journal_position(tx: Transaction, journal: str) -> int:
    """How many bytes of a journal are kept already."""
    query = sa.select(_journals.c.position).where(_journals.c.name == journal)
    return tx.scalar(query) or 0


def note_journal(tx: Transaction, journal: str, position: int) -> None:
    """So far a journal's events are kept; in the transaction that keeps them."""
    _set(tx, _journals, journal, position)


def forget_journal(tx: Transaction, journal: str) -> None:
    tx.execute(sa.delete(_journals).where(_journals.c.name == journal))


def whose(tx: Transaction, study_instance_uids: Iterable[str]) -> dict[str, Whose]:
    """Whose the studies are: as the index has it, or else as the trail had it last."""
    wanted = set(study_instance_uids)
    found = indexed(tx, wanted)
    return told_before(tx, wanted - found.keys()) | found


def indexed(tx: Transaction, study_instance_uids: Iterable[str]) -> dict[str, Whose]:
    """Of those that are in the index."""
    studies, patients = schema.studies, schema.patients
    query = (
        sa.select(
            studies.c.study_instance_uid,
            patients.c.patient_id,
            patients.c.patient_name,
            studies.c.accession_number,
        )
        .join_from(studies, patients, studies.c.patient_id == patients.c.id)
        .where(studies.c.study_instance_uid.in_(sorted(study_instance_uids)))
    )
    return {uid: Whose(*rest) for uid, *rest in tx.execute(query)}


def told_before(tx: Transaction, study_instance_uids: Iterable[str]) -> dict[str, Whose]:
    """Of studies that are deleted."""
    found = {}
    for uid in study_instance_uids:
        query = (
            sa.select(_messages.c.patient_id, _messages.c.patient_name)
            .where(_messages.c.study_instance_uid == uid, _messages.c.patient_id != "")
            .order_by(_messages.c.id.desc())
            .limit(1)
        )
        if (row := tx.execute(query).first()) is not None:
            found[uid] = Whose(row.patient_id, row.patient_name, "")
    return found


def study_of_row(tx: Transaction, study_id: int, job_id: int) -> str:
    """The Study Instance UID of a study's or a job's row; empty where there is none."""
    if job_id:
        found = ways_of_jobs(tx, [job_id]).get(job_id)
        return found.study_instance_uid if found else ""
    table = schema.studies
    query = sa.select(table.c.study_instance_uid).where(table.c.id == study_id)
    return tx.scalar(query) or ""


def ways_of_jobs(tx: Transaction, job_ids: Iterable[int]) -> dict[int, JobWay]:
    """Of each job its study, and its end."""
    jobs, studies = schema.jobs, schema.studies
    query = (
        sa.select(jobs.c.id, studies.c.study_instance_uid, jobs.c.finished_at)
        .join_from(jobs, studies, jobs.c.study_id == studies.c.id)
        .where(jobs.c.id.in_(sorted(set(job_ids))))
    )
    return {row.id: JobWay(row.study_instance_uid, row.finished_at) for row in tx.execute(query)}


# --- handing over ---------------------------------------------------------------------------------


def newest(tx: Transaction) -> int:
    """The number of the newest message; 0 where there is none."""
    return tx.scalar(sa.select(sa.func.max(_messages.c.id))) or 0


def position(tx: Transaction, sink: str) -> int | None:
    """Up to which message a repository has them; None for one that was never there."""
    return tx.scalar(sa.select(_sinks.c.position).where(_sinks.c.name == sink))


def forget_others(tx: Transaction, sinks: Iterable[str]) -> None:
    """Repositories that the settings do not name any more are none."""
    tx.execute(sa.delete(_sinks).where(_sinks.c.name.not_in(sorted(sinks))))


def waiting(tx: Transaction) -> dict[str, int]:
    """How many messages each repository has not got yet, by its name."""
    last = newest(tx)
    found = tx.execute(sa.select(_sinks.c.name, _sinks.c.position))
    return {row.name: max(last - row.position, 0) for row in found}


def note_position(tx: Transaction, sink: str, message_id: int) -> None:
    _set(tx, _sinks, sink, message_id)


def after(tx: Transaction, message_id: int, limit: int) -> list[KeptMessage]:
    """The next messages, in order."""
    columns = (_messages.c.id, _messages.c.at, _messages.c.outcome, _messages.c.message)
    query = sa.select(*columns).where(_messages.c.id > message_id).order_by(_messages.c.id)
    return [KeptMessage(*row) for row in tx.execute(query.limit(limit))]


def prune(tx: Transaction, before: datetime, up_to: int, limit: int) -> int:
    """Delete the oldest that are older than ``before`` and not newer than message ``up_to``."""
    old = (
        sa.select(_messages.c.id)
        .where(_messages.c.at < before, _messages.c.id <= up_to)
        .order_by(_messages.c.at)
        .limit(limit)
    )
    return tx.execute(sa.delete(_messages).where(_messages.c.id.in_(old))).rowcount


# --- looking --------------------------------------------------------------------------------------


def search(tx: Transaction, wanted: Wanted, before: int | None, limit: int) -> list[ShownRow]:
    """Lines, newest first; ``before``: those with smaller numbers, for the next page."""
    query = sa.select(_messages).order_by(_messages.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_messages.c.id < before)
    for name in ("person", "patient_id", "study_instance_uid", "event"):
        if value := getattr(wanted, name):
            query = query.where(_messages.c[name] == value)
    if wanted.since is not None:
        query = query.where(_messages.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_messages.c.at < wanted.until)
    return [_shown(row) for row in tx.execute(query)]


def numbers_of(tx: Transaction, study_instance_uids: Iterable[str]) -> dict[str, int]:
    """The numbers of studies that are here, by UID."""
    table = schema.studies
    wanted = table.c.study_instance_uid.in_(sorted(study_instance_uids))
    query = sa.select(table.c.study_instance_uid, table.c.id).where(wanted)
    return {row.study_instance_uid: row.id for row in tx.execute(query)}


def study_of_accession(tx: Transaction, accession_number: str) -> str:
    """The UID of the newest study with it; empty where there is none."""
    table = schema.studies
    query = sa.select(table.c.study_instance_uid).where(
        table.c.accession_number == accession_number
    )
    return tx.scalar(query.order_by(table.c.id.desc()).limit(1)) or ""


def _shown(row: sa.Row[Any]) -> ShownRow:
    return ShownRow(row.id, AuditRow(**{name: getattr(row, name) for name in AuditRow.__slots__}))


def _set(tx: Transaction, table: sa.Table, name: str, position: int) -> None:
    changed = tx.execute(sa.update(table).where(table.c.name == name).values(position=position))
    if changed.rowcount == 0:
        tx.execute(sa.insert(table).values(name=name, position=position))
