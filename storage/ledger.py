"""The job ledger: one row a job, its state, its attempts, and why.

pending → running → done | failed | not_applicable. Every transition is an event. What a finished
job leaves – results and the deliveries they cause – is entered in the same transaction.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage import events, index, outbox, schema, successors
from storage.database import Transaction
from storage.errors import NotFound, StorageError
from storage.records import (
    FindingRow,
    Header,
    Job,
    JobResults,
    JobState,
    Level,
    NewJob,
    Priority,
    ResultObject,
    StoredInstance,
    Subject,
)
from storage.successors import Superseded

HEAD_START = {
    Priority.STAT: timedelta(days=36_500),
    Priority.URGENT: timedelta(minutes=10),
    Priority.ROUTINE: timedelta(0),
}
"""By how much a job outranks a routine one of the same age. A routine job that has waited 10
minutes goes before a fresh urgent one, so that it does not starve; nothing overtakes STAT."""

_UNFINISHED = (JobState.PENDING.value, JobState.RUNNING.value)

PREPARED = datetime(9999, 12, 31, tzinfo=UTC)
"""When a job is due that was entered for later: never, until it is entered again."""


class JobRunning(StorageError):
    """The job runs at this moment; it can be restarted when it has ended."""


def job_key(inputs_digest: str, analyzer: str, version: str, parameters_digest: str) -> str:
    """The name of a job: what went in, what ran, with which parameters."""
    return _digest(json.dumps([inputs_digest, analyzer, version, parameters_digest]))


def key_of(job: NewJob) -> str:
    """The name that a job gets when it is entered."""
    return job_key(job.inputs_digest, job.analyzer, job.analyzer_version, job.parameters_digest)


def joined_digest(own: str, companions: Mapping[str, str], waits_for: Iterable[str]) -> str:
    """Digest of all that goes into a job: its series, other series by role, other jobs' findings.

    own, companions: digests of instances. waits_for: job keys. ``own`` itself where there is
    nothing else, so that jobs of one series keep their names.
    """
    others = sorted(waits_for)
    if not companions and not others:
        return own
    return _digest(json.dumps([own, dict(companions), others], sort_keys=True))


def inputs_digest(instances: Iterable[StoredInstance]) -> str:
    """Digest of a set of instances: their UIDs and bytes, whatever their order."""
    members = sorted((one.sop_instance_uid, one.sha256) for one in instances)
    return _digest(json.dumps(members))


def parameters_digest(parameters: Mapping[str, Any]) -> str:
    """Digest of parameters as canonical JSON."""
    return _digest(json.dumps(parameters, sort_keys=True, default=str))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- entering -------------------------------------------------------------------------------------


def enqueue(tx: Transaction, job: NewJob, at: datetime) -> int | None:
    """Enter a job; None when the same one stands there already.

    An older job of the same analyzer on the study becomes its predecessor; if that one has not
    run yet, it never will.
    """
    return next(iter(enqueue_all(tx, [job], at)), None)


def enqueue_all(tx: Transaction, jobs: Sequence[NewJob], at: datetime) -> list[int]:
    """Enter the jobs of one study, each behind those it waits for; gives the ids of the new ones.

    One that was prepared is due from now on; what was prepared and is not among them never will be.
    """
    entry = _Entry(tx, jobs, at)
    entered = [job_id for job in jobs if (job_id := entry.enter(job)) is not None]
    entry.drop_prepared(entered)
    return entered


def prepare(tx: Transaction, job: NewJob, at: datetime) -> None:
    """Enter a job that is due only when ``enqueue_all`` is given it again.

    So a job of many instances is no part of the transaction that enters all jobs of its study.
    """
    _Entry(tx, [job], at, PREPARED).enter(job)


class _Entry:
    """Jobs of one study on their way into the ledger: what stands there is read once."""

    def __init__(
        self, tx: Transaction, jobs: Sequence[NewJob], at: datetime, due_at: datetime | None = None
    ) -> None:
        self._tx, self._at = tx, at
        self._due_at = due_at or at
        table = schema.jobs
        keys = {key for job in jobs for key in (key_of(job), *job.waits_for)}
        query = sa.select(
            table.c.id, table.c.key, table.c.study_id, table.c.series_id, table.c.analyzer,
            table.c.state, table.c.not_before,
        )  # fmt: skip
        studies = {job.study_id for job in jobs}
        rows = tx.execute(
            query.where(sa.or_(table.c.study_id.in_(studies), table.c.key.in_(keys)))
        ).all()
        self._ids: dict[str, int] = {row.key: row.id for row in rows}
        self._prepared = {row.key for row in rows if row.not_before >= PREPARED}
        self._older = rows
        self._inputs: dict[tuple[int, ...], int] = {}
        self._dropped: set[int] = set()

    def enter(self, job: NewJob) -> int | None:
        key = key_of(job)
        job_id = self._ids.get(key)
        if job_id is None:
            job_id = self._ids[key] = self._insert(job, key)
        elif key not in self._prepared or self._due_at == PREPARED:
            return None
        if self._due_at < PREPARED:
            self._make_due(job, job_id)
        return job_id

    def drop_prepared(self, entered: Sequence[int]) -> None:
        """Other images came while these were planned."""
        reason = "not run: other images came while it was planned"
        for row in self._older:
            if row.key not in self._prepared or row.id in entered:
                continue
            if row.state == JobState.PENDING.value and row.id not in self._dropped:
                ended = {"finished_at": self._at, "reason": reason}
                _set(self._tx, row.id, state=JobState.NOT_APPLICABLE.value, **ended)
                before, after = JobState.PENDING, JobState.NOT_APPLICABLE
                _event(self._tx, self._at, row.id, before, after, reason)

    def _insert(self, job: NewJob, key: str) -> int:
        values = _row(job, key, self._at, _predecessor(self._older, job))
        values["not_before"] = self._due_at
        entered = self._tx.execute(sa.insert(schema.jobs), values)
        job_id = int((entered.inserted_primary_key or (0,))[0])
        self._enter_inputs(job, job_id)
        _enter_companions(self._tx, job, job_id)
        self._enter_waits(job, job_id)
        return job_id

    def _make_due(self, job: NewJob, job_id: int) -> None:
        if key_of(job) in self._prepared:
            rank_at = self._at - HEAD_START[job.priority]
            values = {"not_before": self._at, "rank_at": rank_at, "created_at": self._at}
            waits = {"state": JobState.PENDING.value, "finished_at": None, "reason": ""}
            _set(self._tx, job_id, **values, **waits)
        _event(self._tx, self._at, job_id, "", JobState.PENDING, f"rule {job.rule!r}")
        self._dropped |= _drop_pending(self._tx, self._older, job, job_id, self._at)

    def _enter_inputs(self, job: NewJob, job_id: int) -> None:
        """Jobs on the same images are many: their rows are copied inside the database."""
        table = schema.job_inputs
        same = self._inputs.setdefault(job.instance_ids, job_id)
        if same != job_id:
            copied = sa.select(sa.literal(job_id, sa.BigInteger), table.c.instance_id)
            query = copied.where(table.c.job_id == same)
            self._tx.execute(sa.insert(table).from_select(["job_id", "instance_id"], query))
            return
        rows = [{"job_id": job_id, "instance_id": one} for one in job.instance_ids]
        if rows:
            self._tx.execute(sa.insert(table), rows)

    def _enter_waits(self, job: NewJob, job_id: int) -> None:
        others = {self._ids[key] for key in job.waits_for if key in self._ids} - {job_id}
        if others:
            rows = [{"job_id": job_id, "waits_for_id": other} for other in sorted(others)]
            self._tx.execute(sa.insert(schema.job_waits), rows)


def _enter_companions(tx: Transaction, job: NewJob, job_id: int) -> None:
    rows = [
        {"job_id": job_id, "instance_id": one, "role": role}
        for role, instances in job.companions.items()
        for one in instances
    ]
    if rows:
        tx.execute(sa.insert(schema.job_companions), rows)


def _row(job: NewJob, key: str, at: datetime, predecessor: int | None) -> dict[str, Any]:
    return {
        "key": key,
        "inputs_digest": job.inputs_digest,
        "analyzer": job.analyzer,
        "analyzer_version": job.analyzer_version,
        "parameters_digest": job.parameters_digest,
        "parameters": dict(job.parameters),
        "study_id": job.study_id,
        "series_id": job.series_id,
        "rule": job.rule,
        "priority": job.priority.value,
        "destinations": list(job.destinations),
        "refusals": list(job.refusals),
        "notices": job.notices,
        "state": JobState.PENDING.value,
        "created_at": at,
        "rank_at": at - HEAD_START[job.priority],
        "not_before": at,
        "predecessor_id": predecessor,
        "findings": [],
        "previews": [],
        "remarks": [],
    }


def _predecessor(older: Sequence[Any], job: NewJob) -> int | None:
    """The newest job of the same analyzer on the study, on the same series where there is one."""
    alike = [row for row in older if _concerns(row, job)]
    newest = max(alike, key=lambda row: (row.series_id == job.series_id, row.id), default=None)
    return None if newest is None else int(newest.id)


def _concerns(row: Any, job: NewJob) -> bool:
    return bool(row.study_id == job.study_id and row.analyzer == job.analyzer)


def _drop_pending(
    tx: Transaction, older: Sequence[Any], job: NewJob, job_id: int, at: datetime
) -> set[int]:
    dropped = set()
    for row in older:
        is_pending = row.state == JobState.PENDING.value and row.id != job_id
        if is_pending and _concerns(row, job) and row.series_id == job.series_id:
            _drop(tx, row.id, job_id, at, JobState.PENDING, "before it ran")
            dropped.add(int(row.id))
    return dropped


def _drop(
    tx: Transaction, job_id: int, successor: int, at: datetime, before: JobState, when: str
) -> None:
    reason = f"superseded by job {successor} {when}"
    _set(tx, job_id, state=JobState.NOT_APPLICABLE.value, finished_at=at, reason=reason)
    _event(tx, at, job_id, before, JobState.NOT_APPLICABLE, reason)


# --- transitions ----------------------------------------------------------------------------------


def claim(tx: Transaction, at: datetime) -> Job | None:
    """Take the due job that ranks first: it is running now.

    A job that waits for others is due when all of them have ended, however they ended. One whose
    place it takes is waited for too, so that the newer result is the later one.
    """
    table = schema.jobs
    query = (
        sa.select(table.c.id)
        .where(table.c.state == JobState.PENDING.value, table.c.not_before <= at)
        .where(~_waits(), ~_follows())
        .order_by(table.c.rank_at, table.c.id)
        .limit(1)
    )
    job_id = tx.scalar(query)
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
    _event(tx, at, job_id, JobState.PENDING, JobState.RUNNING, "")
    return get(tx, job_id)


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
        .where(earlier.c.not_before < PREPARED)
        .correlate(schema.jobs)
        .exists()
    )


def done(tx: Transaction, job_id: int, at: datetime, results: JobResults) -> None:
    """The job has results: they and their deliveries are entered with it."""
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


def _end(
    tx: Transaction,
    job_id: int,
    at: datetime,
    state: JobState,
    reason: str,
    traceback: str,
    results: JobResults,
) -> None:
    before = get(tx, job_id)
    _set(
        tx,
        job_id,
        state=state.value,
        finished_at=at,
        reason=reason,
        traceback=traceback,
        findings=[dataclasses.asdict(row) for row in results.findings],
        previews=list(results.previews),
        remarks=list(results.remarks),
    )
    _enter_results(tx, job_id, results.objects)
    outbox.drop_overwritten(tx, job_id, results.objects, at)
    outbox.enter(tx, job_id, before.destinations, at)
    _event(tx, at, job_id, before.state, state, reason)


def _enter_results(tx: Transaction, job_id: int, objects: tuple[ResultObject, ...]) -> None:
    table = schema.results
    known = set(tx.scalars(sa.select(table.c.sop_instance_uid).where(table.c.job_id == job_id)))
    fresh = [one for one in objects if one.sop_instance_uid not in known]
    if fresh:
        rows = [{"job_id": job_id, **dataclasses.asdict(one)} for one in fresh]
        tx.execute(sa.insert(table), rows)
    for one in objects:
        if one.sop_instance_uid in known:
            uid = one.sop_instance_uid
            values = {"key": one.key, "size_bytes": one.size_bytes, "sha256": one.sha256}
            tx.execute(sa.update(table).where(table.c.sop_instance_uid == uid).values(**values))


def retry_later(
    tx: Transaction, job_id: int, at: datetime, not_before: datetime, reason: str, traceback: str
) -> None:
    """A transient failure: the job is due again at ``not_before``, unless a newer one has taken
    its place."""
    if _has_given_way(tx, job_id, at):
        return
    _set(
        tx, job_id, state=JobState.PENDING.value, not_before=not_before,
        reason=reason, traceback=traceback,
    )  # fmt: skip
    _event(tx, at, job_id, JobState.RUNNING, JobState.PENDING, reason, Level.WARNING)


def wait_for(tx: Transaction, job_id: int, at: datetime, not_before: datetime, reason: str) -> None:
    """The job cannot go on for a reason that is not its own: due again, and no attempt.

    The event of it is entered once, however often the job comes back for the same reason.
    """
    if _has_given_way(tx, job_id, at):
        return
    before, table = get(tx, job_id), schema.jobs
    _set(
        tx, job_id, state=JobState.PENDING.value, not_before=not_before, reason=reason,
        traceback="", attempts=table.c.attempts - 1,
    )  # fmt: skip
    if before.reason != reason:
        _event(tx, at, job_id, JobState.RUNNING, JobState.PENDING, reason, Level.WARNING)


def _has_given_way(tx: Transaction, job_id: int, at: datetime) -> bool:
    """A job that would run again does not, once a newer one has taken its place."""
    successor = successors.newest_of(tx, job_id)
    if successor is None:
        return False
    _drop(tx, job_id, successor, at, JobState.RUNNING, "before it ended")
    return True


def restart(tx: Transaction, job_id: int, at: datetime) -> None:
    """A person wants the job to run again: it queues up like a new one.

    Raises
    ------
    NotFound, JobRunning
    Superseded
        A newer job has taken its place: that one is to be restarted.
    """
    job = get(tx, job_id)
    if job.state is JobState.RUNNING:
        raise JobRunning(f"job {job_id} is running; restart it when it has ended")
    successor = successors.newest_of(tx, job_id)
    if successor is not None:
        raise Superseded(job_id, successor)
    _set(
        tx, job_id, state=JobState.PENDING.value, attempts=0, not_before=at,
        rank_at=at - HEAD_START[job.priority], reason="", traceback="", finished_at=None,
    )  # fmt: skip
    outbox.restart_job(tx, job_id, at)
    _event(tx, at, job_id, job.state, JobState.PENDING, "restarted by a person")


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
        _set(tx, job_id, state=JobState.PENDING.value, not_before=at)
        _event(tx, at, job_id, JobState.RUNNING, JobState.PENDING, why)
    return len(stranded)


def _set(tx: Transaction, job_id: int, **values: Any) -> None:
    table = schema.jobs
    if tx.execute(sa.update(table).where(table.c.id == job_id).values(**values)).rowcount == 0:
        raise NotFound(f"there is no job {job_id}")


def _event(
    tx: Transaction,
    at: datetime,
    job_id: int,
    from_state: str,
    to_state: JobState,
    reason: str,
    level: Level = Level.INFO,
) -> None:
    if to_state is JobState.FAILED:
        level = Level.ALARM
    events.record(tx, at, level, Subject.JOB, job_id, from_state, to_state, reason)


# --- reading --------------------------------------------------------------------------------------


def _jobs() -> sa.Select[Any]:
    jobs, studies, series = schema.jobs, schema.studies, schema.series
    return (
        sa.select(jobs, studies.c.study_instance_uid, series.c.series_instance_uid)
        .join(studies, jobs.c.study_id == studies.c.id)
        .join(series, jobs.c.series_id == series.c.id)
    )


def get(tx: Transaction, job_id: int) -> Job:
    """One job.

    Raises
    ------
    NotFound
    """
    row = tx.execute(_jobs().where(schema.jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return _job(row)


def list_jobs(
    tx: Transaction,
    study_id: int | None = None,
    state: JobState | None = None,
    limit: int = 100,
    offset: int = 0,
    before: int | None = None,
) -> list[Job]:
    """Jobs, newest first; with ``before`` those entered before that one."""
    table = schema.jobs
    chosen = sa.select(table.c.id).order_by(table.c.id.desc()).limit(limit).offset(offset)
    if study_id is not None:
        chosen = chosen.where(table.c.study_id == study_id)
    if state is not None:
        chosen = chosen.where(table.c.state == state.value)
    if before is not None:
        chosen = chosen.where(table.c.id < before)
    return read_jobs(tx, chosen)


def read_jobs(tx: Transaction, chosen: sa.Select[tuple[int]]) -> list[Job]:
    """The jobs whose ids a query gives, newest first."""
    table = schema.jobs
    query = _jobs().where(table.c.id.in_(chosen)).order_by(table.c.id.desc())
    return [_job(row) for row in tx.execute(query)]


def studies_of(tx: Transaction, job_ids: Iterable[int]) -> dict[int, int]:
    """The study of each job, by row numbers; unknown jobs are left out."""
    table = schema.jobs
    query = sa.select(table.c.id, table.c.study_id).where(table.c.id.in_(list(job_ids)))
    return {row.id: row.study_id for row in tx.execute(query)}


def results_of(tx: Transaction, job_id: int) -> JobResults:
    """What a job left behind; empty while it has not ended.

    Raises
    ------
    NotFound
    """
    table = schema.jobs
    row = tx.execute(sa.select(table).where(table.c.id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    found = schema.results
    objects = tx.execute(sa.select(found).where(found.c.job_id == job_id).order_by(found.c.id))
    return JobResults(
        objects=tuple(outbox.result_object(one) for one in objects),
        findings=tuple(FindingRow(**finding) for finding in row.findings),
        previews=tuple(row.previews),
        remarks=tuple(row.remarks),
    )


def input_instances(tx: Transaction, job_id: int) -> list[StoredInstance]:
    """The instances a job works on, by id."""
    table = schema.job_inputs
    query = sa.select(table.c.instance_id).where(table.c.job_id == job_id)
    return index.instances_by_id(tx, sorted(tx.scalars(query)))


def companions_of(tx: Transaction, job_id: int) -> dict[str, list[StoredInstance]]:
    """The instances of other series that a job is given, by role."""
    table = schema.job_companions
    rows = tx.execute(sa.select(table.c.role, table.c.instance_id).where(table.c.job_id == job_id))
    roles: dict[str, list[int]] = {}
    for row in rows:
        roles.setdefault(row.role, []).append(row.instance_id)
    return {role: index.instances_by_id(tx, sorted(ids)) for role, ids in sorted(roles.items())}


def waited_for(tx: Transaction, job_id: int) -> list[Job]:
    """The jobs that this one waits for, by analyzer, whatever their state."""
    jobs, waits = schema.jobs, schema.job_waits
    query = (
        _jobs()
        .join(waits, waits.c.waits_for_id == jobs.c.id)
        .where(waits.c.job_id == job_id)
        .order_by(jobs.c.analyzer, jobs.c.id)
    )
    return [_job(row) for row in tx.execute(query)]


def report_of(tx: Transaction, job_id: int) -> tuple[ResultObject, str] | None:
    """The newest structured report of a job or of what it superseded, and its study's UID."""
    table = schema.results
    current: int | None = job_id
    while current is not None:
        job = get(tx, current)
        query = (
            sa.select(table)
            .where(table.c.job_id == current, table.c.kind == "sr")
            .order_by(table.c.id.desc())
            .limit(1)
        )
        row = tx.execute(query).one_or_none()
        if row is not None:
            return outbox.result_object(row), job.study_instance_uid
        current = job.predecessor_id
    return None


def _job(row: sa.Row[Any]) -> Job:
    return Job(
        id=row.id,
        key=row.key,
        state=JobState(row.state),
        analyzer=row.analyzer,
        analyzer_version=row.analyzer_version,
        parameters=_header(row.parameters),
        study_id=row.study_id,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        rule=row.rule,
        priority=Priority(row.priority),
        destinations=tuple(row.destinations),
        refusals=tuple(row.refusals),
        notices=row.notices,
        attempts=row.attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        not_before=row.not_before,
        reason=row.reason,
        traceback=row.traceback,
        predecessor_id=row.predecessor_id,
    )


def _header(value: Header) -> Header:
    return dict(value)
