"""What the ledger says of jobs, their inputs and what they left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage import index, outbox, schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.kinds import REPORTS, ObjectKind
from storage.records import (
    FindingRow,
    Header,
    Job,
    JobResults,
    JobState,
    Priority,
    ResultObject,
    StoredInstance,
)
from storage.restriction import only_seen


@dataclass(frozen=True, slots=True)
class FirstInput:
    """An instance and its series, by the numbers of their rows."""

    instance_id: int
    series_id: int


def _jobs(tx: Transaction) -> sa.Select[Any]:
    jobs, studies, series = schema.jobs, schema.studies, schema.series
    return (
        sa.select(jobs, studies.c.study_instance_uid, series.c.series_instance_uid)
        .join(studies, jobs.c.study_id == studies.c.id)
        .join(series, jobs.c.series_id == series.c.id)
        .where(*only_seen(tx, jobs.c.study_id))
    )


def get(tx: Transaction, job_id: int) -> Job:
    """One job.

    Raises
    ------
    NotFound
    """
    row = tx.execute(_jobs(tx).where(schema.jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return _job(row)


def find(tx: Transaction, key: str) -> Job | None:
    """The job of this key."""
    row = tx.execute(_jobs(tx).where(schema.jobs.c.key == key)).one_or_none()
    return None if row is None else _job(row)


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
    chosen = chosen.where(*only_seen(tx, table.c.study_id))
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
    query = _jobs(tx).where(table.c.id.in_(chosen)).order_by(table.c.id.desc())
    return [_job(row) for row in tx.execute(query)]


def studies_of(tx: Transaction, job_ids: Iterable[int]) -> dict[int, int]:
    """The study of each job, by row numbers; unknown jobs are left out."""
    table = schema.jobs
    query = sa.select(table.c.id, table.c.study_id).where(table.c.id.in_(list(job_ids)))
    query = query.where(*only_seen(tx, table.c.study_id))
    return {row.id: row.study_id for row in tx.execute(query)}


def results_of(tx: Transaction, job_id: int) -> JobResults:
    """What a job left behind, those of its last run last; empty while it has not ended.

    Raises
    ------
    NotFound
    """
    table = schema.jobs
    chosen = (table.c.id == job_id, *only_seen(tx, table.c.study_id))
    row = tx.execute(sa.select(table).where(*chosen)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    found = schema.results
    query = sa.select(found).where(found.c.job_id == job_id)
    objects = tx.execute(query.order_by(found.c.is_current, found.c.id))
    return JobResults(
        objects=tuple(outbox.result_object(one) for one in objects),
        findings=tuple(FindingRow.of(finding) for finding in row.findings),
        previews=tuple(row.previews),
        remarks=tuple(row.remarks),
        unmade={ObjectKind(kind): why for kind, why in (row.unmade or {}).items()},
    )


def input_instances(tx: Transaction, job_id: int) -> list[StoredInstance]:
    """The instances a job works on, by id."""
    table = schema.job_inputs
    query = sa.select(table.c.instance_id).where(table.c.job_id == job_id)
    return index.instances_by_id(tx, sorted(tx.scalars(query)))


def first_input(tx: Transaction, job_id: int) -> FirstInput | None:
    """One of the instances that a job works on, always the same; None where none is left."""
    inputs, instances = schema.job_inputs, schema.instances
    query = (
        sa.select(instances.c.id, instances.c.series_id)
        .join(inputs, inputs.c.instance_id == instances.c.id)
        .where(inputs.c.job_id == job_id)
        .order_by(instances.c.sop_instance_uid)
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else FirstInput(row.id, row.series_id)


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
        _jobs(tx)
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
            .where(table.c.job_id == current, table.c.kind.in_((*REPORTS, ObjectKind.SUMMARY)))
            .order_by(table.c.is_current.desc(), table.c.id.desc())
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
        forms=tuple(map(ObjectKind, row.forms or ())),
        is_further=row.is_further,
        weights=row.weights,
        cancel_wish=row.cancel_wish,
        variant=row.variant,
        every_series=row.every_series,
        missing=row.missing,
        unmade={ObjectKind(kind): why for kind, why in (row.unmade or {}).items()},
    )


def _header(value: Header) -> Header:
    return dict(value)
