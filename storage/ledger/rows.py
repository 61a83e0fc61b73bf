"""A job's row: where it ranks, what changes in it, and the event that tells of each transition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage import events, reading_state, schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import JobState, Level, Priority, Topic

HEAD_START = {
    Priority.STAT: timedelta(days=36_500),
    Priority.URGENT: timedelta(minutes=10),
    Priority.ROUTINE: timedelta(0),
}
"""By how much a job outranks a routine one of the same age. A routine job that has waited 10
minutes goes before a fresh urgent one, so that it does not starve; nothing overtakes STAT."""

PREPARED = datetime(9999, 12, 31, tzinfo=UTC)
"""When a job is due that was entered for later: never, until it is entered again."""


def change(tx: Transaction, job_id: int, **values: Any) -> None:
    table = schema.jobs
    if tx.execute(sa.update(table).where(table.c.id == job_id).values(**values)).rowcount == 0:
        raise NotFound(f"there is no job {job_id}")


def tell(
    tx: Transaction,
    at: datetime,
    job_id: int,
    from_state: str,
    to_state: JobState,
    reason: str,
    level: Level = Level.INFO,
) -> None:
    """Enter the event of a transition; the study's state follows."""
    record(tx, at, job_id, from_state, to_state, reason, level)
    reading_state.renew_by_job(tx, job_id)


def record(
    tx: Transaction,
    at: datetime,
    job_id: int,
    from_state: str,
    to_state: JobState,
    reason: str,
    level: Level = Level.INFO,
) -> None:
    """The event alone: whoever enters many of a study renews its state once, after them."""
    if to_state is JobState.FAILED:
        level = Level.ALARM
    events.record(tx, at, level, Topic.JOB, job_id, from_state, to_state, reason)


def drop(
    tx: Transaction, job_id: int, successor: int, at: datetime, before: JobState, when: str
) -> None:
    """It does not run. One that was done, and due again for further forms, stays done.

    As of ``record`` the study's state is left to whoever calls it.
    """
    reason, table = f"superseded by job {successor} {when}", schema.jobs
    if tx.scalar(sa.select(table.c.is_further).where(table.c.id == job_id)):
        change(tx, job_id, state=JobState.DONE.value, is_further=False, reason="")
        record(tx, at, job_id, before, JobState.DONE, reason)
        return
    change(tx, job_id, state=JobState.NOT_APPLICABLE.value, finished_at=at, reason=reason)
    record(tx, at, job_id, before, JobState.NOT_APPLICABLE, reason)
