"""How far the instances of a study have come: announced, stored, analyzed, sent, committed.

A view: every number is counted in the tables that hold the facts.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storage import announcements, gaps, schema
from storage.database import Transaction
from storage.gaps import Gap
from storage.records import (
    DeliveryState,
    JobState,
    ResultCommitmentState,
    StudyRow,
)

_ENDED = (JobState.DONE.value, JobState.NOT_APPLICABLE.value, JobState.FAILED.value)


@dataclass(frozen=True, slots=True)
class Count:
    """``done`` of ``total``."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class InstanceLedger:
    """The stages of one study's way."""

    announced: int | None
    """Instances that peers have announced; None where nobody announces."""
    missing: int
    """Announced, and not stored."""
    stored: int
    """Synced on disk and indexed."""
    jobs: Count
    sent: Count
    """Results, once for each destination."""
    committed: Count
    """Of the results that were sent to destinations which are asked to commit."""
    gaps: tuple[Gap, ...]


def of_study(tx: Transaction, study: StudyRow) -> InstanceLedger:
    """The ledger of one study."""
    named = announcements.of_study(tx, study.study_instance_uid)
    announced = announcements.announced_in(tx, study.study_instance_uid) if named else None
    return InstanceLedger(
        announced=announced,
        missing=sum(announcements.missing_of(tx, one.id) for one in named),
        stored=study.instances,
        jobs=_jobs(tx, study.id),
        sent=_sent(tx, study.id),
        committed=_committed(tx, study.id),
        gaps=tuple(gaps.open_gaps(tx, study.id)),
    )


def _jobs(tx: Transaction, study_id: int) -> Count:
    table = schema.jobs
    done = sa.case((table.c.state.in_(_ENDED), 1), else_=0)
    return _count(tx, sa.select(sa.func.count(), _sum(done)).where(table.c.study_id == study_id))


def _sent(tx: Transaction, study_id: int) -> Count:
    table, jobs = schema.deliveries, schema.jobs
    done = sa.case((table.c.state == DeliveryState.SENT.value, 1), else_=0)
    query = (
        sa.select(sa.func.count(), _sum(done))
        .select_from(table.join(jobs, table.c.job_id == jobs.c.id))
        .where(jobs.c.study_id == study_id, table.c.state != DeliveryState.SUPERSEDED.value)
    )
    return _count(tx, query)


def _committed(tx: Transaction, study_id: int) -> Count:
    table, deliveries, jobs = schema.result_commitments, schema.deliveries, schema.jobs
    done = sa.case((table.c.state == ResultCommitmentState.COMMITTED.value, 1), else_=0)
    query = (
        sa.select(sa.func.count(), _sum(done))
        .select_from(table)
        .join(deliveries, deliveries.c.id == table.c.delivery_id)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(jobs.c.study_id == study_id)
    )
    return _count(tx, query)


def _sum(column: sa.Case[int]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(column), 0)


def _count(tx: Transaction, query: sa.Executable) -> Count:
    total, done = tx.execute(query).one()
    return Count(int(done), int(total))
