"""How a job ends, or comes back: done, failed, put off, restarted, cut off.

What a finished job leaves – results and the deliveries they cause – is entered in the same
transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import index, outbox, reading_state, schema, successors
from storage.database import Transaction
from storage.errors import StorageError
from storage.kinds import ObjectKind
from storage.ledger import cancelling, reading, rows
from storage.records import Job, JobResults, JobState, Level, ResultObject
from storage.successors import Superseded


class NotReleased(StorageError):
    """What was refused of the job cannot be released; the message says why not."""


class JobRunning(StorageError):
    """The job runs at this moment; it can be restarted when it has ended."""


def done(
    tx: Transaction,
    job_id: int,
    at: datetime,
    results: JobResults,
    forms: Iterable[ObjectKind] = (),
) -> None:
    """The job has results: they and their deliveries are entered with it.

    forms: the further forms of its findings that it was to make, whether there was such a thing or
    not; they are not asked for again.
    """
    if cancelling.cancelled(tx, job_id, at):
        return
    asked = {*reading.get(tx, job_id).forms, *forms}
    rows.change(tx, job_id, forms=[one.value for one in sorted(asked)], is_further=False)
    _end(tx, job_id, at, JobState.DONE, "", "", results)


def not_applicable(
    tx: Transaction, job_id: int, at: datetime, reason: str, results: JobResults
) -> None:
    """The analyzer has nothing to say about this study; ``results`` holds the report of it."""
    _end(tx, job_id, at, JobState.NOT_APPLICABLE, reason, "", results)


def failed(
    tx: Transaction,
    job_id: int,
    at: datetime,
    reason: str,
    traceback: str,
    results: JobResults | None = None,
) -> None:
    """The job is given up: an alarm."""
    _end(tx, job_id, at, JobState.FAILED, reason, traceback, results or JobResults())


def released(tx: Transaction, job_id: int, at: datetime, results: JobResults, reason: str) -> int:
    """A person lets out what the gate refused: it is what the job made, and is owed.

    Gives how many objects are new; what the job has already stays as it is. A report that there is
    no result, and was not sent, is not sent any more. reason: who wanted it, why, and what was
    refused; it stays with the job and in the history.

    Raises
    ------
    NotFound
    NotReleased
        It is neither failed nor done.
    Superseded
        A newer job has taken its place.
    """
    before = reading.get(tx, job_id)
    if before.state not in (JobState.FAILED, JobState.DONE):
        raise NotReleased(f"job {job_id} is {before.state}: only what has failed is released")
    successor = successors.newest_of(tx, job_id)
    if successor is not None:
        raise Superseded(job_id, successor)
    known = reading.results_of(tx, job_id).objects
    uids = {one.sop_instance_uid for one in known}
    fresh = tuple(one for one in results.objects if one.sop_instance_uid not in uids)
    if not fresh:
        return 0
    if before.state is JobState.FAILED:
        outbox.drop_unsent(tx, job_id, at, "not sent: the result was released by hand")
        index.drop_own(tx, before.study_id, sorted(uids))
    kinds = {one.kind for one in fresh}
    rows.change(tx, job_id, forms=[one.value for one in sorted({*before.forms, *kinds})])
    _enter_results(tx, before, fresh, at)
    rows.change(
        tx, job_id, state=JobState.DONE.value, finished_at=at, reason=reason, traceback="",
        **_said(results),
    )  # fmt: skip
    outbox.enter(tx, job_id, before.destinations, at)
    reading_state.note_findings(tx, job_id, results.found)
    rows.tell(tx, at, job_id, before.state, JobState.DONE, reason, Level.WARNING)
    return len(fresh)


def _said(results: JobResults) -> dict[str, Any]:
    return {
        "findings": [dataclasses.asdict(row) for row in results.findings],
        "previews": list(results.previews),
        "remarks": list(results.remarks),
        "unmade": {kind.value: why for kind, why in results.unmade.items()},
    }


def _end(
    tx: Transaction,
    job_id: int,
    at: datetime,
    state: JobState,
    reason: str,
    traceback: str,
    results: JobResults,
) -> None:
    if cancelling.cancelled(tx, job_id, at):
        return
    before = reading.get(tx, job_id)
    _enter_results(tx, before, results.objects, at)
    rows.change(
        tx,
        job_id,
        state=state.value,
        finished_at=at,
        reason=reason,
        traceback=traceback,
        **_said(results),
    )
    outbox.ran_again(tx, job_id, at)
    outbox.enter(tx, job_id, before.destinations, at)
    reading_state.note_findings(tx, job_id, results.found if state is JobState.DONE else ())
    rows.tell(tx, at, job_id, before.state, state, reason)
    for kind, why in results.unmade.items():
        what = f"{kind.value} could not be made of the findings, and goes nowhere: {why}"
        rows.record(tx, at, job_id, state, state, what, Level.ALARM)


def _enter_results(
    tx: Transaction, job: Job, objects: tuple[ResultObject, ...], at: datetime
) -> None:
    """As what the job made, and as instances of its study."""
    index.add_own(tx, job.study_id, objects, at)  # locks the study first, as completion does
    table = schema.results
    query = sa.select(table.c.sop_instance_uid, table.c.key).where(table.c.job_id == job.id)
    known = {row.sop_instance_uid: row.key for row in tx.execute(query)}
    fresh = [one for one in objects if one.sop_instance_uid not in known]
    if fresh:
        tx.execute(sa.insert(table), [{"job_id": job.id, **_row(one)} for one in fresh])
    for one in objects:
        if one.sop_instance_uid in known:
            uid = one.sop_instance_uid
            values = {"key": one.key, "size_bytes": one.size_bytes, "sha256": one.sha256}
            again = sa.update(table).where(table.c.sop_instance_uid == uid)
            tx.execute(again.values(**values, is_current=True))
    gone = _written_over(known, objects)
    for part in outbox.parts(gone):
        over = sa.update(table).where(table.c.sop_instance_uid.in_(part))
        tx.execute(over.values(is_current=False))
    index.drop_own(tx, job.study_id, gone)


def _written_over(known: dict[str, str], objects: tuple[ResultObject, ...]) -> list[str]:
    """What an earlier run made and whose files are those of other objects now."""
    now_there = {one.key: one.sop_instance_uid for one in objects}
    return [uid for uid, key in known.items() if now_there.get(key, uid) != uid]


def _row(made: ResultObject) -> dict[str, Any]:
    """Without what the index keeps of it."""
    return {
        field.name: getattr(made, field.name)
        for field in dataclasses.fields(made)
        if field.name != "attributes"
    } | {"kind": str(made.kind)}


def want_forms(
    tx: Transaction, job_id: int, forms: Iterable[ObjectKind], at: datetime, reason: str
) -> bool:
    """A job that is done is due again, to make further forms of its findings beside the same
    objects; false where there is nothing more to be made of it.

    It keeps its first start and so its objects' bytes; what they are sent as is not owed again.
    """
    job = reading.get(tx, job_id)
    lacking = set(forms) - set(job.forms)
    if job.state is not JobState.DONE or not lacking or successors.newest_of(tx, job_id):
        return False
    wanted = [one.value for one in sorted({*job.forms, *lacking})]
    rows.change(
        tx, job_id, state=JobState.PENDING.value, attempts=0, not_before=at, forms=wanted,
        rank_at=at - rows.HEAD_START[job.priority], is_further=True, cancel_wish="",
    )  # fmt: skip
    rows.tell(tx, at, job_id, job.state, JobState.PENDING, reason)
    return True


def without_forms(tx: Transaction, job_id: int, at: datetime, reason: str) -> None:
    """No further forms could be made: the job is done as it was, and that is an alarm."""
    if cancelling.cancelled(tx, job_id, at):
        return
    cancelling.stay_done(tx, reading.get(tx, job_id), at, reason)
    why = f"further forms of the findings could not be made: {reason}"
    rows.tell(tx, at, job_id, JobState.RUNNING, JobState.DONE, why, Level.ALARM)


def retry_later(
    tx: Transaction, job_id: int, at: datetime, not_before: datetime, reason: str, traceback: str
) -> None:
    """A transient failure: the job is due again at ``not_before``, unless a newer one has taken
    its place."""
    if _has_given_way(tx, job_id, at):
        return
    rows.change(
        tx, job_id, state=JobState.PENDING.value, not_before=not_before,
        reason=reason, traceback=traceback,
    )  # fmt: skip
    rows.tell(tx, at, job_id, JobState.RUNNING, JobState.PENDING, reason, Level.WARNING)


def wait_for(tx: Transaction, job_id: int, at: datetime, not_before: datetime, reason: str) -> None:
    """The job cannot go on for a reason that is not its own: due again, and no attempt.

    The event of it is entered once, however often the job comes back for the same reason.
    """
    if _has_given_way(tx, job_id, at):
        return
    before, table = reading.get(tx, job_id), schema.jobs
    rows.change(
        tx, job_id, state=JobState.PENDING.value, not_before=not_before, reason=reason,
        traceback="", attempts=table.c.attempts - 1,
    )  # fmt: skip
    if before.reason == reason:
        reading_state.renew_by_job(tx, job_id)
    else:
        rows.tell(tx, at, job_id, JobState.RUNNING, JobState.PENDING, reason, Level.WARNING)


def _has_given_way(tx: Transaction, job_id: int, at: datetime) -> bool:
    """A job that would run again does not, once a newer one has taken its place, or a person does
    not want it."""
    if cancelling.cancelled(tx, job_id, at):
        return True
    successor = successors.newest_of(tx, job_id)
    if successor is None:
        return False
    rows.drop(tx, job_id, successor, at, JobState.RUNNING, "before it ended")
    reading_state.renew_by_job(tx, job_id)
    return True


def restart(tx: Transaction, job_id: int, at: datetime, said_by: str = "a person") -> None:
    """A person wants the job to run again: it queues up like a new one. One that is due already,
    and was not tried yet, stays where it stands.

    Raises
    ------
    NotFound, JobRunning
    Superseded
        A newer job has taken its place: that one is to be restarted.
    """
    job = reading.get(tx, job_id)
    if job.state is JobState.RUNNING:
        raise JobRunning(f"job {job_id} is running; restart it when it has ended")
    successor = successors.newest_of(tx, job_id)
    if successor is not None:
        raise Superseded(job_id, successor)
    if _is_due_anew(job, at):
        return
    rows.change(
        tx, job_id, state=JobState.PENDING.value, attempts=0, not_before=at,
        rank_at=at - rows.HEAD_START[job.priority], reason="", traceback="", finished_at=None,
        is_further=False, cancel_wish="",
    )  # fmt: skip
    outbox.restart_job(tx, job_id, at)
    rows.tell(tx, at, job_id, job.state, JobState.PENDING, f"restarted by {said_by}")


def _is_due_anew(job: Job, at: datetime) -> bool:
    is_fresh = job.attempts == 0 and not job.is_further and not job.reason
    return job.state is JobState.PENDING and is_fresh and job.not_before <= at


def release_running(
    tx: Transaction, at: datetime, but: Iterable[int] = (), why: str = "the node was restarted"
) -> int:
    """What counts as running is due again, ``but`` those that do run. Gives how many.

    A job whose place a newer one has taken is not.
    """
    table = schema.jobs
    running = tx.scalars(sa.select(table.c.id).where(table.c.state == JobState.RUNNING.value)).all()
    stranded = [job_id for job_id in running if job_id not in set(but)]
    for job_id in stranded:
        if _has_given_way(tx, job_id, at):
            continue
        rows.change(tx, job_id, state=JobState.PENDING.value, not_before=at)
        rows.tell(tx, at, job_id, JobState.RUNNING, JobState.PENDING, why)
    return len(stranded)
