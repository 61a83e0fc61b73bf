"""What stands at each destination: how much waits or was refused, of which jobs, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import outbox, schema, successors
from storage.database import Transaction
from storage.records import DeliveryState, Level
from storage.restriction import only_of_seen_jobs

OPEN = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED)
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Alike:
    """Objects of one job that stand alike at a destination, for one reason."""

    job_id: int
    study_id: int
    analyzer: str
    state: DeliveryState
    reason: str
    number: int
    next_try: datetime


def numbers(tx: Transaction, destination: str) -> dict[DeliveryState, int]:
    """How many objects wait, are under way or were refused there."""
    table = schema.deliveries
    query = (
        sa.select(table.c.state, sa.func.count())
        .where(table.c.destination == destination)
        .where(table.c.state.in_([one.value for one in OPEN]))
        .where(*only_of_seen_jobs(tx, table.c.job_id))
        .group_by(table.c.state)
    )
    found = {state: number for state, number in tx.execute(query)}
    return {state: found.get(state.value, 0) for state in OPEN}


def open_ones(tx: Transaction, destination: str, limit: int = 50) -> list[Alike]:
    """What is not sent, job by job: what was refused, the newest jobs first; then what is under way
    or waits, the next in turn first."""
    return [
        one
        for state in (DeliveryState.FAILED, DeliveryState.SENDING, DeliveryState.PENDING)
        for one in _alike(tx, destination, state, limit)
    ]


def _alike(tx: Transaction, destination: str, state: DeliveryState, limit: int) -> list[Alike]:
    table, jobs = schema.deliveries, schema.jobs
    chosen = _chosen(tx, destination, state, limit)
    query = (
        sa.select(
            table.c.job_id,
            jobs.c.study_id,
            jobs.c.analyzer,
            table.c.reason,
            sa.func.count().label("number"),
            sa.func.min(table.c.not_before).label("next_try"),
        )
        .join(jobs, jobs.c.id == table.c.job_id)
        .where(table.c.destination == destination, table.c.state == state.value)
        .where(table.c.job_id.in_(chosen))
        .group_by(table.c.job_id, jobs.c.study_id, jobs.c.analyzer, table.c.reason)
    )
    rows = sorted(tx.execute(query), key=lambda row: chosen.index(row.job_id))
    return [
        Alike(row.job_id, row.study_id, row.analyzer, state, row.reason, row.number, row.next_try)
        for row in rows
    ]


def _chosen(tx: Transaction, destination: str, state: DeliveryState, limit: int) -> list[int]:
    """The jobs that are shown, along ``ix_deliveries_next`` where many may wait."""
    table = schema.deliveries
    there = (
        table.c.destination == destination,
        table.c.state == state.value,
        *only_of_seen_jobs(tx, table.c.job_id),
    )
    if state is DeliveryState.FAILED:
        newest = sa.select(table.c.job_id).distinct().where(*there)
        return list(tx.scalars(newest.order_by(table.c.job_id.desc()).limit(limit)))
    order = (table.c.urgency, table.c.job_id)
    following = sa.select(*order).distinct().where(*there).order_by(*order).limit(limit)
    return [row.job_id for row in tx.execute(following)]


def restart_failed(tx: Transaction, destination: str, at: datetime, said_by: str) -> int:
    """What was refused there is due again, the newest first; gives how many objects. What a newer
    job's results have taken the place of stays as it is.
    """
    table = schema.deliveries
    query = (
        sa.select(table.c.id, table.c.job_id)
        .where(table.c.destination == destination)
        .where(table.c.state == DeliveryState.FAILED.value)
        .where(*only_of_seen_jobs(tx, table.c.job_id))
        .order_by(table.c.job_id.desc())
        .limit(_AT_ONCE)
    )
    rows = tx.execute(query).all()
    jobs = {row.job_id for row in rows}
    overtaken = {one for one in jobs if successors.that_owes(tx, one, destination) is not None}
    ids = [row.id for row in rows if row.job_id not in overtaken]
    again = DeliveryState.PENDING
    outbox.change_all(tx, ids, state=again.value, not_before=at, attempts=0)
    reason = f"restarted by {said_by}"
    outbox.tell_all(tx, at, Level.INFO, ids, again, reason, DeliveryState.FAILED)
    return len(ids)
