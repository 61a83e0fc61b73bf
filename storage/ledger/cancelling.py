"""A person does not want a job: one that waits does not run, one that runs is ended.

Whoever comes first wins: a wish that is committed before the job's outcome makes it cancelled, and
nothing of that run is entered or sent; one that comes later is refused.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import StorageError
from storage.ledger import reading, rows
from storage.records import Job, JobState, Level


class NotCancelled(StorageError):
    """The job has ended: there is nothing to cancel."""


def cancel(tx: Transaction, job_id: int, at: datetime, said_by: str, why: str = "") -> JobState:
    """The job does not run; gives its state now: ``RUNNING`` where its worker has yet to be ended.

    Saying it again changes nothing. One that was done, and due again for further forms alone, stays
    done. said_by, why: stay in the record.

    Raises
    ------
    NotFound, NotCancelled
    """
    job = reading.get(tx, job_id)
    words = in_words(said_by, why)
    match job.state:
        case JobState.CANCELLED:
            return JobState.CANCELLED
        case JobState.RUNNING:
            if not job.cancel_wish:
                rows.change(tx, job_id, cancel_wish=words)
            return JobState.RUNNING
        case JobState.PENDING:
            return _ended(tx, job, at, words)
    state = job.state.value.replace("_", " ")
    raise NotCancelled(f"job {job_id} has ended ({state}): there is nothing to cancel")


def in_words(said_by: str, why: str) -> str:
    """As it stands in the record."""
    return f"cancelled by {said_by}: {why.strip()}" if why.strip() else f"cancelled by {said_by}"


def wanted(tx: Transaction) -> list[int]:
    """The jobs that run and that somebody wants to end."""
    table = schema.jobs
    query = sa.select(table.c.id).where(
        table.c.state == JobState.RUNNING.value, schema.unindexed(table.c.cancel_wish) != ""
    )
    return list(tx.scalars(query))


def not_told_of(tx: Transaction) -> list[int]:
    """The jobs that were cancelled while they waited, and of which nothing above them knows yet."""
    table = schema.jobs
    query = sa.select(table.c.id).where(
        table.c.state == JobState.CANCELLED.value, schema.unindexed(table.c.cancel_wish) != ""
    )
    return list(tx.scalars(query))


def told_of(tx: Transaction, job_id: int) -> None:
    """What stands above a cancelled job knows of it."""
    rows.change(tx, job_id, cancel_wish="")


def cancelled(tx: Transaction, job_id: int, at: datetime) -> bool:
    """End a running job whose cancelling was wanted; false where nobody wants it."""
    job = reading.get(tx, job_id)
    if not job.cancel_wish or job.state is not JobState.RUNNING:
        return False
    _ended(tx, job, at, job.cancel_wish)
    return True


def _ended(tx: Transaction, job: Job, at: datetime, words: str) -> JobState:
    state = JobState.DONE if job.is_further else JobState.CANCELLED
    values = {"finished_at": at, "reason": words} if state is JobState.CANCELLED else {"reason": ""}
    wish = words if state is JobState.CANCELLED and job.state is JobState.PENDING else ""
    rows.change(
        tx, job.id, state=state.value, cancel_wish=wish, is_further=False, traceback="", **values
    )
    said = words if state is JobState.CANCELLED else f"further forms of the findings: {words}"
    rows.tell(tx, at, job.id, job.state, state, said, Level.INFO)
    return state
