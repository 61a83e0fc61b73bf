"""How much is kept, since when, and what of it may go: the oldest first, and never what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.announcements import HOLDING
from storage.database import Transaction
from storage.deletions import DeletionState, Scope
from storage.records import (
    CommitmentState,
    DeliveryState,
    JobState,
    Level,
    ResultCommitmentState,
    StudyState,
)

AT_ONCE = 500
"""So many rows of the history go in one transaction."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the index knows of, in bytes."""

    images: int
    results: int
    images_of_last_week: int
    """Received in the seven days before."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A study that nothing holds, and what deleting it would free."""

    study_id: int
    last_received_at: datetime
    size_bytes: int


def usage(tx: Transaction, week_ago: datetime) -> Usage:
    """Reads every instance's row: for now and then, outside any write."""
    table = schema.instances
    lately = sa.and_(~table.c.own, table.c.received_at >= week_ago)
    sums = (_sum_where(~table.c.own), _sum_where(table.c.own), _sum_where(lately))
    images, results, images_of_last_week = tx.execute(sa.select(*sums)).one()
    return Usage(int(images), int(results), int(images_of_last_week))


def _sum_where(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    size = sa.case((which, schema.instances.c.size_bytes), else_=0)
    return sa.func.coalesce(sa.func.sum(size), 0)


def oldest(
    tx: Transaction, scope: Scope, before: datetime | None = None, limit: int = 200
) -> list[Kept]:
    """Complete studies that have something of this kind, are owed to nobody, and may go.

    What the node holds is told apart by the mark: its own results, and all else.

    before: only those whose last image came earlier.
    """
    studies, is_own = schema.studies, schema.instances.c.own
    size = _size(~is_own if scope is Scope.STUDY else is_own)
    query = (
        sa.select(studies.c.id, studies.c.last_received_at, size.label("size"))
        .where(studies.c.state == StudyState.COMPLETE.value, ~_is_owed(), ~_is_being_deleted())
        .order_by(studies.c.last_received_at)
        .limit(limit)
    )
    if before is not None:
        query = query.where(studies.c.last_received_at < before)
    if scope is Scope.RESULTS:
        query = query.where(_has_results())
    return [Kept(row.id, row.last_received_at, int(row.size or 0)) for row in tx.execute(query)]


def _size(which: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    instances, series, studies = schema.instances, schema.series, schema.studies
    return (
        sa.select(sa.func.sum(instances.c.size_bytes))
        .select_from(instances.join(series, series.c.id == instances.c.series_id))
        .where(series.c.study_id == studies.c.id, which)
        .scalar_subquery()
    )


def _has_results() -> sa.Exists:
    instances, series = schema.instances, schema.series
    joined = sa.select(instances.c.id).join(series, series.c.id == instances.c.series_id)
    is_there = (series.c.study_id == schema.studies.c.id, series.c.own, instances.c.own)
    return joined.where(*is_there).exists()


_SETTLED = (
    DeliveryState.SENT.value,
    DeliveryState.LEFT_OUT.value,
    DeliveryState.SUPERSEDED.value,
)


def _is_owed() -> sa.ColumnElement[bool]:
    """In work, not delivered, or not committed to. What peers ask is looked at one by one."""
    jobs, deliveries, asked = schema.jobs, schema.deliveries, schema.result_commitments
    of_study = jobs.c.study_id == schema.studies.c.id
    active = [JobState.PENDING.value, JobState.RUNNING.value]
    in_work = sa.select(jobs.c.id).where(of_study, jobs.c.state.in_(active))
    undelivered = (
        sa.select(deliveries.c.id)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(of_study, deliveries.c.state.not_in(_SETTLED))
    )
    open_states = [ResultCommitmentState.OWED.value, ResultCommitmentState.REQUESTED.value]
    uncommitted = (
        sa.select(deliveries.c.id)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .join(asked, asked.c.delivery_id == deliveries.c.id)
        .where(of_study, asked.c.state.in_(open_states))
    )
    return sa.or_(in_work.exists(), undelivered.exists(), uncommitted.exists())


def _is_being_deleted() -> sa.Exists:
    table = schema.deletions
    states = [DeletionState.ASKED.value, DeletionState.BEGUN.value]
    return sa.exists().where(table.c.study_id == schema.studies.c.id, table.c.state.in_(states))


# --- the history ----------------------------------------------------------------------------------


def forget_history(tx: Transaction, before: datetime) -> int:
    """Delete some old events, announcements, requests and gaps that are over; gives how many.

    Alarms that nobody has acknowledged stay, and so does the record of deletions.
    """
    events, gaps = schema.events, schema.gaps
    announced, asked = schema.announcements, schema.commitment_requests
    is_open = sa.and_(events.c.level == Level.ALARM.value, events.c.acknowledged.is_(False))
    waiting = [state.value for state in HOLDING]
    owed = [CommitmentState.RECEIVED.value, CommitmentState.CHECKED.value]
    return sum(
        (
            _forget(tx, gaps, gaps.c.closed_at < before),
            _forget(tx, schema.fetches, schema.fetches.c.ended_at < before),
            _forget(tx, events, sa.and_(events.c.at < before, ~is_open)),
            _forget(
                tx,
                announced,
                sa.and_(announced.c.changed_at < before, announced.c.state.not_in(waiting)),
            ),
            _forget(tx, asked, sa.and_(asked.c.received_at < before, asked.c.state.not_in(owed))),
        )
    )


def _forget(tx: Transaction, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    ids = tx.scalars(sa.select(table.c.id).where(which).limit(AT_ONCE)).all()
    if ids:
        tx.execute(sa.delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def forget_quarantine(tx: Transaction, before: datetime, limit: int = AT_ONCE) -> list[str]:
    """Delete rows of refused instances last seen earlier, the oldest first; gives their files."""
    table = schema.quarantine
    query = sa.select(table.c.id, table.c.key).where(table.c.last_seen_at < before)
    rows = tx.execute(query.order_by(table.c.last_seen_at).limit(limit)).all()
    if rows:
        tx.execute(sa.delete(table).where(table.c.id.in_([row.id for row in rows])))
    return [row.key for row in rows]
