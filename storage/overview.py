"""Many studies and jobs at once, as a page or a list shows them.

Each function asks a number of statements that does not grow with what it is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import ledger, outbox, schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import (
    DeliveryState,
    FindingRow,
    Job,
    JobResults,
    JobState,
    ResultObject,
    Topic,
)
from storage.restriction import only_of_seen_jobs, only_seen

_AT_ONCE = 2000
"""Row numbers in one statement."""


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """How many objects of a job stand in one state at one destination."""

    destination: str
    state: DeliveryState
    number: int
    reason: str
    """Of an attempt that failed; empty where there is none."""
    next_try: datetime | None
    """When that one is due again."""


def modalities(tx: Transaction, study_ids: Iterable[int]) -> dict[int, list[str]]:
    """The modalities of each study's series from outside, sorted; without any, none."""
    table = schema.series
    found: dict[int, list[str]] = {}
    for part in _parts(study_ids):
        query = sa.select(table.c.study_id, table.c.modality).distinct()
        query = query.where(table.c.study_id.in_(part), ~table.c.own).order_by(table.c.modality)
        for study_id, modality in tx.execute(query):
            found.setdefault(study_id, []).append(modality)
    return found


def jobs_of_studies(tx: Transaction, study_ids: Iterable[int], each: int) -> dict[int, list[Job]]:
    """The newest jobs of each study, at most ``each``, newest first."""
    table = schema.jobs
    rank = sa.func.row_number().over(partition_by=table.c.study_id, order_by=table.c.id.desc())
    found: dict[int, list[Job]] = {}
    for part in _parts(study_ids):
        ranked = sa.select(table.c.id, rank.label("rank")).where(table.c.study_id.in_(part))
        chosen = ranked.subquery()
        for job in ledger.read_jobs(tx, sa.select(chosen.c.id).where(chosen.c.rank <= each)):
            found.setdefault(job.study_id, []).append(job)
    return found


def results_of_jobs(
    tx: Transaction, job_ids: Iterable[int], with_objects: bool = True
) -> dict[int, JobResults]:
    """What each job left behind; empty while it has not ended."""
    table = schema.jobs
    columns = (table.c.id, table.c.findings, table.c.previews, table.c.remarks)
    found: dict[int, JobResults] = {}
    for part in _parts(job_ids):
        objects = _objects(tx, part) if with_objects else {}
        for row in tx.execute(sa.select(*columns).where(table.c.id.in_(part))):
            found[row.id] = JobResults(
                objects=tuple(objects.get(row.id, ())),
                findings=tuple(FindingRow.of(finding) for finding in row.findings),
                previews=tuple(row.previews),
                remarks=tuple(row.remarks),
            )
    return found


def previews_of(tx: Transaction, job_id: int) -> tuple[str, ...]:
    """The keys of a job's previews.

    Raises
    ------
    NotFound
    """
    jobs = schema.jobs
    is_it = (jobs.c.id == job_id, *only_seen(tx, jobs.c.study_id))
    keys = tx.scalar(sa.select(jobs.c.previews).where(*is_it))
    if keys is None:
        raise NotFound(f"there is no job {job_id}")
    return tuple(keys)


def _objects(tx: Transaction, job_ids: Sequence[int]) -> dict[int, list[ResultObject]]:
    table = schema.results
    found: dict[int, list[ResultObject]] = {}
    query = sa.select(table).where(table.c.job_id.in_(job_ids)).order_by(table.c.id)
    for row in tx.execute(query):
        found.setdefault(row.job_id, []).append(outbox.result_object(row))
    return found


def last_starts(tx: Transaction, job_ids: Iterable[int]) -> dict[int, datetime]:
    """When each job was last started; jobs that never were are left out."""
    table = schema.events
    found: dict[int, datetime] = {}
    for part in _parts(job_ids):
        query = (
            sa.select(table.c.subject_id, sa.func.max(table.c.at))
            .where(table.c.subject == Topic.JOB.value, table.c.subject_id.in_(part))
            .where(table.c.to_state == JobState.RUNNING.value)
            .group_by(table.c.subject_id)
        )
        found |= {job_id: at for job_id, at in tx.execute(query)}
    return found


# --- deliveries -----------------------------------------------------------------------------------


def deliveries_of_jobs(
    tx: Transaction, job_ids: Iterable[int]
) -> dict[int, tuple[DeliveryCount, ...]]:
    """How many objects of each job stand where, by destination and state."""
    found: dict[int, tuple[DeliveryCount, ...]] = {}
    for part in _parts(job_ids):
        groups = _grouped(tx, part)
        unsent = [row for row in groups if row.state != DeliveryState.SENT.value]
        samples = _samples(tx, [one for row in unsent for one in (row.oldest, row.newest)])
        for row in groups:
            count = _count(row, [samples.get(row.oldest), samples.get(row.newest)])
            found[row.job_id] = (*found.get(row.job_id, ()), count)
    return found


def _grouped(tx: Transaction, job_ids: Sequence[int]) -> Sequence[sa.Row[Any]]:
    """Counted in an index alone: a job may have thousands of objects."""
    table = schema.deliveries
    key = (table.c.job_id, table.c.destination, table.c.state)
    extent = (sa.func.min(table.c.id).label("oldest"), sa.func.max(table.c.id).label("newest"))
    query = sa.select(*key, sa.func.count().label("number"), *extent)
    return tx.execute(query.where(table.c.job_id.in_(job_ids)).group_by(*key).order_by(*key)).all()


def _samples(tx: Transaction, ids: Iterable[int]) -> dict[int, Any]:
    table = schema.deliveries
    columns = (table.c.id, table.c.reason, table.c.not_before)
    return {
        row.id: row
        for part in _parts(set(ids))
        for row in tx.execute(sa.select(*columns).where(table.c.id.in_(part)))
    }


def _count(row: sa.Row[Any], samples: Sequence[Any]) -> DeliveryCount:
    """The oldest and the newest object of a group stand for it: they were tried together."""
    tried = next((one for one in samples if one is not None and one.reason), None)
    state = DeliveryState(row.state)
    return DeliveryCount(
        destination=row.destination,
        state=state,
        number=row.number,
        reason=tried.reason if tried else "",
        next_try=tried.not_before if tried and state is DeliveryState.PENDING else None,
    )


# --- which studies --------------------------------------------------------------------------------


def troubled() -> sa.Select[Any]:
    """The rows of studies with a failed job, a refused object or an open gap."""
    jobs, deliveries, gaps = schema.jobs, schema.deliveries, schema.gaps
    refused = sa.select(deliveries.c.job_id).where(deliveries.c.state == DeliveryState.FAILED.value)
    parts = (
        sa.select(jobs.c.study_id).where(jobs.c.state == JobState.FAILED.value),
        sa.select(jobs.c.study_id).where(jobs.c.id.in_(refused)),
        sa.select(gaps.c.study_id).where(gaps.c.closed_at.is_(None), gaps.c.study_id.is_not(None)),
    )
    found = sa.union(*parts).subquery()
    return sa.select(found.c.study_id)


def why_put_off(tx: Transaction, destination: str) -> str:
    """Why the object that is due next at a destination was not taken; empty when none was tried."""
    table = schema.deliveries
    pending = (
        table.c.destination == destination,
        table.c.state == DeliveryState.PENDING.value,
        *only_of_seen_jobs(tx, table.c.job_id),
    )
    ends = (table.c.not_before, table.c.not_before.desc())
    for order in ends:
        query = sa.select(table.c.reason).where(*pending).order_by(order).limit(1)
        reason = tx.scalar(query)
        if reason:
            return str(reason)
    return ""


def _parts(ids: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(ids)
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))
