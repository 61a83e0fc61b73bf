"""Which job is due: the one that ranks first, and that has to wait for no other."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import sqlalchemy as sa

from storage import schema, successors
from storage.database import Transaction
from storage.ledger import reading, rows
from storage.records import Job, JobState

_UNFINISHED = (JobState.PENDING.value, JobState.RUNNING.value)


def claim(tx: Transaction, at: datetime) -> Job | None:
    """Take the due job that ranks first: it is running now.

    A job that waits for others is due when all of them have ended, however they ended. One whose
    place it takes is waited for too, so that the newer result is the later one.
    """
    table = schema.jobs
    job_id = tx.scalar(_first_due(), {"at": at})
    if job_id is None:
        return None
    tx.execute(
        sa.update(table)
        .where(table.c.id == job_id)
        .values(
            state=JobState.RUNNING.value,
            attempts=table.c.attempts + 1,
            started_at=sa.func.coalesce(
                table.c.started_at, sa.literal(at, table.c.started_at.type)
            ),
            finished_at=None,
        )
    )
    rows.tell(tx, at, job_id, JobState.PENDING, JobState.RUNNING, "")
    return reading.get(tx, job_id)


def is_anything_open(tx: Transaction) -> bool:
    """Whether a job has not ended, or something is still owed for one that has."""
    return bool(tx.scalar(_anything_open()))


@cache
def _anything_open() -> sa.Select[bool]:
    table = schema.jobs
    unfinished = sa.exists().where(table.c.state.in_(_UNFINISHED))
    unwanted = sa.exists(sa.select(table.c.id).where(schema.IS_UNWANTED))
    owing = sa.exists(sa.select(table.c.id).where(schema.OWES_NOTICE))
    return sa.select(sa.or_(unfinished, unwanted, owing))


@cache
def _first_due() -> sa.Select[int]:
    """Made once: making it takes far longer than asking it, and it is asked all the time."""
    table = schema.jobs
    return (
        sa.select(table.c.id)
        .where(table.c.state == JobState.PENDING.value, table.c.not_before <= sa.bindparam("at"))
        .where(~_waits(), ~_follows())
        .order_by(table.c.rank_at, table.c.id)
        .limit(1)
    )


def _waits() -> sa.Exists:
    """Whether a job that this one waits for has not ended."""
    waits, other = schema.job_waits, schema.jobs.alias("other")
    return (
        sa.select(waits.c.job_id)
        .join(other, other.c.id == waits.c.waits_for_id)
        .where(waits.c.job_id == schema.jobs.c.id)
        .where(schema.unindexed(other.c.state).in_(_UNFINISHED))
        .exists()
    )


def _follows() -> sa.Exists:
    """Whether a job whose place this one takes has not ended."""
    earlier = schema.jobs.alias("earlier")
    return (
        sa.select(earlier.c.id)
        .where(successors.is_after(schema.jobs, earlier))
        .where(schema.unindexed(earlier.c.state).in_(_UNFINISHED))
        .where(earlier.c.not_before < rows.PREPARED)
        .correlate(schema.jobs)
        .exists()
    )
