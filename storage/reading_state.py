"""How far the reading of a study is: from its first image to a person who has seen what was found.

It stands in the study's row, so that a list can be searched and counted by it; whatever changes a
job or the images of a study calls ``renew``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import schema, study_words
from storage.database import Transaction
from storage.errors import NotFound, StorageError
from storage.records import FindingRow, JobState, StudyState, structures_of


class SomethingNew(StorageError):
    """Who wants to mark a study as read has not seen all of it."""


class ReadingState(StrEnum):
    """Of a study; the worst, or what is to come, of the newest job of each kind."""

    RECEIVING = "receiving"
    """Images are still coming."""
    RECEIVED = "received"
    """All images have come; nothing is analyzed."""
    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"
    FINDING = "finding"
    NOTHING = "nothing"
    """It was looked for something, and nothing was found."""
    NOT_APPLICABLE = "not_applicable"
    READ = "read"
    """A person has seen it, and nothing has changed since."""


_BY_JOBS = (
    (JobState.RUNNING, ReadingState.RUNNING),
    (JobState.PENDING, ReadingState.WAITING),
    (JobState.FAILED, ReadingState.FAILED),
    (JobState.DONE, ReadingState.NOTHING),
    (JobState.NOT_APPLICABLE, ReadingState.NOT_APPLICABLE),
    (JobState.CANCELLED, ReadingState.NOT_APPLICABLE),
)

_TAKES_NO_PLACE = frozenset({JobState.CANCELLED})
_HAS_SAID_NOTHING = _TAKES_NO_PLACE | {JobState.PENDING, JobState.RUNNING, JobState.FAILED}


def of(is_receiving: bool, states: Collection[JobState], is_finding: bool) -> ReadingState:
    """What the jobs that count come to; ``is_finding``: one that is done has found something."""
    if is_receiving:
        return ReadingState.RECEIVING
    found = next((one for state, one in _BY_JOBS if state in states), ReadingState.RECEIVED)
    return ReadingState.FINDING if found is ReadingState.NOTHING and is_finding else found


def renew(tx: Transaction, study_id: int) -> None:
    """Something of a study has changed; who had read it has not read that."""
    table, jobs = schema.studies, schema.jobs
    columns = (jobs.c.id, jobs.c.state, jobs.c.predecessor_id, jobs.c.is_finding)
    rows = tx.execute(sa.select(*columns).where(jobs.c.study_id == study_id)).all()
    replaced = _replaced(rows, _TAKES_NO_PLACE)
    standing = [row for row in rows if row.id not in replaced]
    is_finding = any(row.is_finding and row.state == JobState.DONE.value for row in standing)
    states = {JobState(row.state) for row in standing}
    is_receiving = table.c.state == StudyState.RECEIVING.value
    now = sa.case(
        (is_receiving, of(True, states, is_finding).value),
        else_=of(False, states, is_finding).value,
    )
    values: dict[str, Any] = {"reading": now, "read_at": None, "read_by": ""}
    tx.execute(sa.update(table).where(table.c.id == study_id).values(values))


def _replaced(rows: Sequence[Any], takes_none: Collection[JobState]) -> set[int]:
    """The jobs whose place others have taken. One in a state that ``takes_none``: whoever follows
    it follows the one before."""
    known = {row.id: row for row in rows}
    without = {row.id for row in rows if row.state in takes_none}
    found: set[int] = set()
    for row in rows:
        before = None if row.id in without else known.get(row.predecessor_id)
        while before is not None and before.id not in found:
            found.add(before.id)
            before = known.get(before.predecessor_id) if before.id in without else None
    return found


def renew_by_job(tx: Transaction, job_id: int) -> None:
    """The same, for the study of a job."""
    study_id = tx.scalar(sa.select(schema.jobs.c.study_id).where(schema.jobs.c.id == job_id))
    if study_id is not None:
        renew(tx, study_id)


def read(tx: Transaction, study_ids: Collection[int]) -> dict[int, ReadingState]:
    """The states of studies, by their rows."""
    table = schema.studies
    query = sa.select(table.c.id, table.c.reading).where(table.c.id.in_(study_ids))
    return {study_id: ReadingState(state) for study_id, state in tx.execute(query)}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who has read a study, and when."""

    at: datetime
    name: str


def reader_of(tx: Transaction, study_id: int) -> Reader | None:
    """Who has read a study; None where nobody has, or something has changed since."""
    table = schema.studies
    query = sa.select(table.c.read_at, table.c.read_by).where(table.c.id == study_id)
    row = tx.execute(query).one_or_none()
    return None if row is None or row.read_at is None else Reader(row.read_at, row.read_by)


def as_it_stands(tx: Transaction, study_id: int) -> str:
    """What whoever looks at a study now has seen, as a word that changes with that."""
    jobs = schema.jobs
    state = tx.scalar(sa.select(schema.studies.c.reading).where(schema.studies.c.id == study_id))
    columns = (sa.func.count(), sa.func.max(jobs.c.finished_at))
    number, last = tx.execute(sa.select(*columns).where(jobs.c.study_id == study_id)).one()
    return f"{state} {number} {last.isoformat() if last else ''}".strip()


def mark_read(tx: Transaction, study_id: int, at: datetime, by: str, seen: str) -> None:
    """A person has seen what was found. seen: how the study stood when it was shown to him.

    Raises
    ------
    NotFound
    SomethingNew
        It stands otherwise by now: he has not seen that.
    """
    if as_it_stands(tx, study_id) != seen:
        raise SomethingNew("something has come or was found since the page was loaded: look again")
    table = schema.studies
    values = {"reading": ReadingState.READ.value, "read_at": at, "read_by": by}
    done = tx.execute(sa.update(table).where(table.c.id == study_id).values(values))
    if done.rowcount == 0:
        raise NotFound(f"there is no study {study_id}")


def note_findings(tx: Transaction, job_id: int, structures: Collection[str]) -> None:
    """What a job found, by the names of what it was found in; without any it found nothing."""
    jobs = schema.jobs
    changed = sa.update(jobs).where(jobs.c.id == job_id).values(is_finding=bool(structures))
    tx.execute(changed)
    study_id = tx.scalar(sa.select(jobs.c.study_id).where(jobs.c.id == job_id))
    if study_id is not None:
        study_words.enter_findings(tx, study_id, _found_in(tx, study_id))


def _found_in(tx: Transaction, study_id: int) -> set[str]:
    """What was found in a study, as it stands: what a newer job did not find again is not there
    any more."""
    jobs = schema.jobs
    columns = (jobs.c.id, jobs.c.state, jobs.c.predecessor_id, jobs.c.findings)
    rows = tx.execute(sa.select(*columns).where(jobs.c.study_id == study_id)).all()
    replaced = _replaced(rows, _HAS_SAID_NOTHING)
    standing = (row for row in rows if row.id not in replaced and row.state == JobState.DONE.value)
    return {one for row in standing for one in structures_of(map(FindingRow.of, row.findings))}
