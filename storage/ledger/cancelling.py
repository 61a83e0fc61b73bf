"""A person does not want a job: one that waits does not run, one that runs is ended.

Whoever comes first wins: a wish that is committed before the job's outcome makes it cancelled, and
nothing of that run is entered or sent; one that comes later is refused.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

import sqlalchemy as sa

from storage import outbox, schema
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
    return _unwanted(tx, JobState.RUNNING)


def not_told_of(tx: Transaction) -> list[int]:
    """The jobs that were cancelled, or whose further forms were, and of which nothing above them
    knows yet."""
    return _unwanted(tx, JobState.CANCELLED, JobState.DONE)


def _unwanted(tx: Transaction, *states: JobState) -> list[int]:
    """Along an index of their own: it is asked all the time."""
    return list(tx.scalars(_in_states(states)))


@cache
def _in_states(states: tuple[JobState, ...]) -> sa.Select[int]:
    table = schema.jobs
    state = schema.unindexed(table.c.state).in_([one.value for one in states])
    return sa.select(table.c.id).where(schema.IS_UNWANTED, state)


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


def stay_done(tx: Transaction, job: Job, at: datetime, reason: str, wish: str = "") -> None:
    """A job that was done is done as it was: its further forms are not made, for this reason, and
    what waited for them is sent."""
    made = {one.kind for one in reading.results_of(tx, job.id).objects}
    unmade = {**dict.fromkeys(set(job.forms) - made, reason), **job.unmade}
    rows.change(
        tx, job.id, state=JobState.DONE.value, is_further=False, reason="", traceback="",
        cancel_wish=wish, unmade={kind.value: why for kind, why in unmade.items()},
    )  # fmt: skip
    outbox.enter(tx, job.id, (), at)


def _ended(tx: Transaction, job: Job, at: datetime, words: str) -> JobState:
    """The wish stays until what stands above the job knows of it: see ``not_told_of``."""
    if job.is_further:
        stay_done(tx, job, at, words, words)
        state, said = JobState.DONE, f"further forms of the findings: {words}"
    else:
        state, said = JobState.CANCELLED, words
        ended = {"finished_at": at, "reason": words, "cancel_wish": words, "traceback": ""}
        rows.change(tx, job.id, state=state.value, **ended)
    rows.tell(tx, at, job.id, job.state, state, said, Level.INFO)
    return state
