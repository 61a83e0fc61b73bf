"""What is deleted, why, and who wanted it: rows go first, a file only when no row names it.

asked → begun → done, or refused with the condition that was not met. A row here stays when the
study is gone: it is the record of its deletion. Work goes in slices, so that no transaction holds
the database for long; what an abrupt end interrupts goes on at the next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import events, index, schema
from storage.announcements import HOLDING
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import (
    CommitmentState,
    DeliveryState,
    JobState,
    Level,
    ResultCommitmentState,
    StudyState,
    Topic,
)
from storage.restriction import only_seen

SLICE = 200
"""So many instances go in one transaction; of jobs, with all they made, a tenth of that."""
FILES = 5000
"""So many files go at once."""


class Scope(StrEnum):
    """What of a study is deleted."""

    STUDY = "study"
    """Its images, results, and all rows."""
    RESULTS = "results"
    """The files of its results, and their instances; what was found stays in the ledger."""


class DeletionState(StrEnum):
    ASKED = "asked"
    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"


class Place(StrEnum):
    """In which store a file lies."""

    INSTANCES = "instances"
    RESULTS = "results"


@dataclass(frozen=True, slots=True)
class NewDeletion:
    """A deletion to ask for. ``asked_by`` is a rule or a command, never a name."""

    study_id: int
    scope: Scope
    reason: str
    asked_by: str
    even_undelivered: bool = False
    """Also what was not delivered, or not committed to; never what is in work."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion and how far it came."""

    id: int
    asked_at: datetime
    asked_by: str
    reason: str
    scope: Scope
    study_id: int
    study_instance_uid: str
    even_undelivered: bool
    state: DeletionState
    answer: str
    instances: int
    results: int
    size_bytes: int
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class DoomedFile:
    """A file that no row names any more."""

    id: int
    place: Place
    key: str
    """Of an instance; of results the key of their job."""
    sop_instance_uid: str = ""


# --- what must stay -------------------------------------------------------------------------------


def holds(tx: Transaction, study_id: int, even_undelivered: bool = False) -> list[str]:
    """Why a study must not be deleted now; empty where it may.

    Raises
    ------
    NotFound
    """
    studies = schema.studies
    is_it = (studies.c.id == study_id, *only_seen(tx, studies.c.id))
    row = tx.execute(sa.select(studies).where(*is_it)).one_or_none()
    if row is None:
        raise NotFound(f"there is no study {study_id}")
    found = []
    if row.state != StudyState.COMPLETE.value:
        found.append("its images are still arriving")
    found += _in_work(tx, study_id, row.study_instance_uid)
    return found if even_undelivered else found + _undelivered(tx, study_id)


def in_work(tx: Transaction, study_id: int) -> int:
    """How many jobs of a study are due or running."""
    jobs = schema.jobs
    active = [JobState.PENDING.value, JobState.RUNNING.value]
    query = sa.select(sa.func.count()).where(jobs.c.study_id == study_id, jobs.c.state.in_(active))
    return tx.scalar(query) or 0


def _in_work(tx: Transaction, study_id: int, study_instance_uid: str) -> list[str]:
    sending = _deliveries_of(study_id, DeliveryState.SENDING)
    told = {
        "jobs are due or running": in_work(tx, study_id),
        "objects are being sent": tx.scalar(sending),
        "announcements still wait for images": tx.scalar(_awaited(study_instance_uid)),
        "commitment reports are owed to senders": tx.scalar(_owed_reports(study_id)),
    }
    return [f"{count} {what}" for what, count in told.items() if count]


def _undelivered(tx: Transaction, study_id: int) -> list[str]:
    told = {
        "objects are not delivered yet": tx.scalar(_deliveries_of(study_id, DeliveryState.PENDING)),
        "objects could not be delivered": tx.scalar(_deliveries_of(study_id, DeliveryState.FAILED)),
        "objects are not committed to by their destination": tx.scalar(_uncommitted(study_id)),
    }
    return [f"{count} {what}" for what, count in told.items() if count]


def _deliveries_of(study_id: int, state: DeliveryState) -> sa.Select[Any]:
    jobs, deliveries = schema.jobs, schema.deliveries
    return (
        sa.select(sa.func.count())
        .select_from(deliveries.join(jobs, jobs.c.id == deliveries.c.job_id))
        .where(jobs.c.study_id == study_id, deliveries.c.state == state.value)
    )


def _uncommitted(study_id: int) -> sa.Select[Any]:
    jobs, deliveries, asked = schema.jobs, schema.deliveries, schema.result_commitments
    joined = asked.join(deliveries, deliveries.c.id == asked.c.delivery_id).join(
        jobs, jobs.c.id == deliveries.c.job_id
    )
    open_states = [ResultCommitmentState.OWED.value, ResultCommitmentState.REQUESTED.value]
    return (
        sa.select(sa.func.count())
        .select_from(joined)
        .where(jobs.c.study_id == study_id, asked.c.state.in_(open_states))
    )


def _awaited(study_instance_uid: str) -> sa.Select[Any]:
    table, named = schema.announcements, schema.announced_studies
    return (
        sa.select(sa.func.count())
        .select_from(named.join(table, table.c.id == named.c.announcement_id))
        .where(named.c.study_instance_uid == study_instance_uid)
        .where(table.c.state.in_([state.value for state in HOLDING]))
    )


def _owed_reports(study_id: int) -> sa.Select[Any]:
    requests, references = schema.commitment_requests, schema.commitment_references
    instances, series = schema.instances, schema.series
    of_study = (
        sa.select(references.c.request_id)
        .join(instances, instances.c.sop_instance_uid == references.c.sop_instance_uid)
        .join(series, series.c.id == instances.c.series_id)
        .where(series.c.study_id == study_id, references.c.request_id == requests.c.id)
    )
    owed = [CommitmentState.RECEIVED.value, CommitmentState.CHECKED.value]
    return sa.select(sa.func.count()).where(requests.c.state.in_(owed), of_study.exists())


# --- asking ---------------------------------------------------------------------------------------


def ask(tx: Transaction, new: NewDeletion, at: datetime) -> int:
    """Want a deletion; gives its id. One that stands there open already is not doubled.

    Raises
    ------
    NotFound
    """
    table, studies = schema.deletions, schema.studies
    is_it = (studies.c.id == new.study_id, *only_seen(tx, studies.c.id))
    uid = tx.scalar(sa.select(studies.c.study_instance_uid).where(*is_it))
    if uid is None:
        raise NotFound(f"there is no study {new.study_id}")
    open_one = sa.select(table.c.id).where(
        table.c.study_id == new.study_id,
        table.c.scope == new.scope.value,
        table.c.state.in_([DeletionState.ASKED.value, DeletionState.BEGUN.value]),
    )
    found = tx.scalar(open_one)
    if found is not None:
        return int(found)
    values = {
        "asked_at": at,
        "asked_by": new.asked_by,
        "reason": new.reason,
        "scope": new.scope.value,
        "study_id": new.study_id,
        "study_instance_uid": uid,
        "even_undelivered": new.even_undelivered,
        "state": DeletionState.ASKED.value,
    }
    row = tx.execute(sa.insert(table).values(**values))
    return int((row.inserted_primary_key or (0,))[0])


def open_ones(tx: Transaction, limit: int = 100) -> list[Deletion]:
    """What is asked for or begun, the oldest first."""
    table = schema.deletions
    states = [DeletionState.ASKED.value, DeletionState.BEGUN.value]
    query = sa.select(table).where(table.c.state.in_(states)).order_by(table.c.id).limit(limit)
    return [_deletion(row) for row in tx.execute(query)]


def get(tx: Transaction, deletion_id: int) -> Deletion:
    """Raises NotFound."""
    table = schema.deletions
    row = tx.execute(sa.select(table).where(table.c.id == deletion_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no deletion {deletion_id}")
    return _deletion(row)


def newest(tx: Transaction, limit: int = 100) -> list[Deletion]:
    """The record of deletions, the newest first."""
    table = schema.deletions
    chosen = sa.select(table).where(*only_seen(tx, table.c.study_id))
    rows = tx.execute(chosen.order_by(table.c.id.desc()).limit(limit))
    return [_deletion(row) for row in rows]


# --- carrying out ---------------------------------------------------------------------------------


def begin(tx: Transaction, deletion: Deletion) -> list[str]:
    """Begin, unless something holds the study: then it is refused, and gives why."""
    try:
        why = holds(tx, deletion.study_id, deletion.even_undelivered)
    except NotFound:
        why = ["there is no such study any more"]
    if why:
        _set(tx, deletion.id, state=DeletionState.REFUSED.value, answer="; ".join(why))
        return why
    jobs = schema.jobs
    last_job = sa.select(sa.func.max(jobs.c.id)).where(jobs.c.study_id == deletion.study_id)
    last_image = _instances(sa.func.max(schema.instances.c.id), deletion.study_id)
    _set(
        tx,
        deletion.id,
        state=DeletionState.BEGUN.value,
        last_job_id=tx.scalar(last_job) or 0,
        last_instance_id=tx.scalar(last_image) or 0,
    )
    return []


def take_slice(tx: Transaction, deletion: Deletion) -> int:
    """Delete some rows; their files are doomed. Gives how many rows: 0 when nothing is left."""
    jobs = _jobs_with_results(tx, deletion)
    if jobs:
        return _take_results(tx, deletion, jobs)
    taken = _take_own(tx, deletion)
    if taken or deletion.scope is Scope.RESULTS:
        return taken
    return _take_instances(tx, deletion)


def _jobs_with_results(tx: Transaction, deletion: Deletion) -> Sequence[Any]:
    """Of the whole study, the jobs it had at the beginning; else those that still have results."""
    jobs, results = schema.jobs, schema.results
    query = sa.select(jobs.c.id, jobs.c.key).where(
        jobs.c.study_id == deletion.study_id, jobs.c.id <= _mark(deletion, "last_job_id")
    )
    if deletion.scope is Scope.RESULTS:
        query = query.where(sa.exists().where(results.c.job_id == jobs.c.id))
    return tx.execute(query.order_by(jobs.c.id).limit(SLICE // 10)).all()


def _take_results(tx: Transaction, deletion: Deletion, taken: Sequence[Any]) -> int:
    jobs, results = schema.jobs, schema.results
    ids = [row.id for row in taken]
    of_jobs = results.c.job_id.in_(ids)
    count, size = tx.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(results.c.size_bytes), 0)).where(
            of_jobs
        )
    ).one()
    _doom(tx, deletion.id, Place.RESULTS, [(row.key, "") for row in taken])
    made = tx.scalars(sa.select(results.c.sop_instance_uid).where(of_jobs)).all()
    index.drop_own(tx, deletion.study_id, made)
    if deletion.scope is Scope.RESULTS:
        tx.execute(sa.delete(results).where(of_jobs))
        tx.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(previews=[]))
    else:
        tx.execute(sa.delete(jobs).where(jobs.c.id.in_(ids)))
    _add(tx, deletion.id, results=count, size_bytes=size)
    return len(ids)


def _take_own(tx: Transaction, deletion: Deletion) -> int:
    """Results that no job of the ledger names: it was lost, and they were found again."""
    rows = _some(tx, deletion, schema.instances.c.own)
    if not rows:
        return 0
    jobs = dict.fromkeys(row.key.split("/")[0] for row in rows)
    _doom(tx, deletion.id, Place.RESULTS, [(key, "") for key in jobs])
    index.drop_own(tx, deletion.study_id, [row.sop_instance_uid for row in rows])
    _add(tx, deletion.id, results=len(rows), size_bytes=sum(row.size_bytes for row in rows))
    return len(rows)


def _take_instances(tx: Transaction, deletion: Deletion) -> int:
    table = schema.instances
    rows = _some(tx, deletion, ~table.c.own)
    if not rows:
        return 0
    files = [(row.key, row.sop_instance_uid) for row in rows]
    _doom(tx, deletion.id, Place.INSTANCES, files)
    tx.execute(sa.delete(table).where(table.c.id.in_([row.id for row in rows])))
    _add(tx, deletion.id, instances=len(rows), size_bytes=sum(row.size_bytes for row in rows))
    return len(rows)


def _some(
    tx: Transaction, deletion: Deletion, which: sa.ColumnElement[bool]
) -> Sequence[sa.Row[Any]]:
    """Instances that were there when it began: what came since stays, and is a study of its own."""
    table = schema.instances
    query = (
        _instances(table.c.id, deletion.study_id)
        .add_columns(table.c.key, table.c.size_bytes, table.c.sop_instance_uid)
        .where(table.c.id <= _mark(deletion, "last_instance_id"), which)
        .order_by(table.c.id)
        .limit(SLICE)
    )
    return tx.execute(query).all()


def finish(tx: Transaction, deletion: Deletion, at: datetime) -> Deletion:
    """All files are gone: what is empty goes too, and the event tells of it."""
    if deletion.scope is Scope.STUDY:
        _delete_what_is_empty(tx, deletion.study_id)
    _set(tx, deletion.id, state=DeletionState.DONE.value, finished_at=at)
    done = get(tx, deletion.id)
    what = (
        f"deleted: {done.instances} images and {done.results} results, "
        f"{done.size_bytes / 1e6:.0f} MB, asked for by {done.asked_by}: {done.reason}"
    )
    events.record(tx, at, Level.INFO, Topic.STUDY, deletion.study_id, "", "deleted", what)
    return done


def _delete_what_is_empty(tx: Transaction, study_id: int) -> None:
    series, instances, studies = schema.series, schema.instances, schema.studies
    has_images = sa.exists().where(instances.c.series_id == series.c.id)
    tx.execute(sa.delete(series).where(series.c.study_id == study_id, ~has_images))
    has_series = sa.exists().where(series.c.study_id == studies.c.id)
    patient = tx.scalar(sa.select(studies.c.patient_id).where(studies.c.id == study_id))
    gone = tx.execute(sa.delete(studies).where(studies.c.id == study_id, ~has_series))
    if not gone.rowcount:
        return
    has_studies = sa.exists().where(studies.c.patient_id == patient)
    tx.execute(sa.delete(schema.patients).where(schema.patients.c.id == patient, ~has_studies))
    events.settle(tx, Topic.STUDY, study_id)


def doomed(tx: Transaction, deletion_id: int, limit: int = FILES) -> list[DoomedFile]:
    """Files of a deletion that are still there."""
    table = schema.doomed_files
    query = sa.select(table).where(table.c.deletion_id == deletion_id)
    rows = tx.execute(query.order_by(table.c.id).limit(limit))
    return [DoomedFile(row.id, Place(row.place), row.key, row.sop_instance_uid) for row in rows]


def wanted_again(tx: Transaction, files: Sequence[DoomedFile]) -> set[str]:
    """The keys among these that a row names: the same instance came, or the job runs, once more."""
    instances, jobs = schema.instances, schema.jobs
    uids = [one.sop_instance_uid for one in files if one.place is Place.INSTANCES]
    keys = [one.key for one in files if one.place is Place.RESULTS]
    found = tx.scalars(sa.select(instances.c.key).where(instances.c.sop_instance_uid.in_(uids)))
    has_results = sa.exists().where(schema.results.c.job_id == jobs.c.id)
    makes_some = jobs.c.state.in_([JobState.PENDING.value, JobState.RUNNING.value])
    again = tx.scalars(
        sa.select(jobs.c.key).where(jobs.c.key.in_(keys), sa.or_(has_results, makes_some))
    )
    return {*found, *again}


def forget(tx: Transaction, files: Sequence[DoomedFile]) -> None:
    """These files are gone, or are wanted again."""
    table = schema.doomed_files
    tx.execute(sa.delete(table).where(table.c.id.in_([one.id for one in files])))


def _doom(
    tx: Transaction, deletion_id: int, place: Place, files: Sequence[tuple[str, str]]
) -> None:
    rows = [
        {"deletion_id": deletion_id, "place": place.value, "key": key, "sop_instance_uid": uid}
        for key, uid in files
    ]
    tx.execute(sa.insert(schema.doomed_files), rows)


def _instances(column: Any, study_id: int) -> sa.Select[Any]:
    instances, series = schema.instances, schema.series
    joined = instances.join(series, series.c.id == instances.c.series_id)
    return sa.select(column).select_from(joined).where(series.c.study_id == study_id)


def _mark(deletion: Deletion, column: str) -> Any:
    table = schema.deletions
    return sa.select(table.c[column]).where(table.c.id == deletion.id).scalar_subquery()


def _add(tx: Transaction, deletion_id: int, **counts: int) -> None:
    table = schema.deletions
    values = {name: table.c[name] + count for name, count in counts.items()}
    tx.execute(sa.update(table).where(table.c.id == deletion_id).values(**values))


def _set(tx: Transaction, deletion_id: int, **values: Any) -> None:
    table = schema.deletions
    tx.execute(sa.update(table).where(table.c.id == deletion_id).values(**values))


def _deletion(row: sa.Row[Any]) -> Deletion:
    return Deletion(
        id=row.id,
        asked_at=row.asked_at,
        asked_by=row.asked_by,
        reason=row.reason,
        scope=Scope(row.scope),
        study_id=row.study_id,
        study_instance_uid=row.study_instance_uid,
        even_undelivered=row.even_undelivered,
        state=DeletionState(row.state),
        answer=row.answer,
        instances=row.instances,
        results=row.results,
        size_bytes=row.size_bytes,
        finished_at=row.finished_at,
    )
