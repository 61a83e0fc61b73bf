"""The outbox: which object is owed to which destination, and what became of it.

pending → sending → sent | failed. Rows are entered with the job that made the objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Delivery, DeliveryState, Level, ResultObject, Subject


def enter(tx: Transaction, job_id: int, destinations: Iterable[str], at: datetime) -> int:
    """Owe every result of a job to every destination; what is owed or sent already stays."""
    results, table = schema.results, schema.deliveries
    ids = tx.scalars(sa.select(results.c.id).where(results.c.job_id == job_id)).all()
    query = sa.select(table.c.result_id, table.c.destination).where(table.c.job_id == job_id)
    known = {(row.result_id, row.destination) for row in tx.execute(query)}
    rows = [
        {
            "job_id": job_id,
            "result_id": result_id,
            "destination": destination,
            "state": DeliveryState.PENDING.value,
            "not_before": at,
        }
        for destination in destinations
        for result_id in ids
        if (result_id, destination) not in known
    ]
    if rows:
        tx.execute(sa.insert(table), rows)
    return len(rows)


def claim(tx: Transaction, destination: str, at: datetime, limit: int = 500) -> list[Delivery]:
    """Take the due objects of the oldest due job: images first, then SEG, the report last.

    A report waits for the objects it refers to as long as these wait for another attempt.
    """
    table, results = schema.deliveries, schema.results
    due = (
        table.c.destination == destination,
        table.c.state == DeliveryState.PENDING.value,
        table.c.not_before <= at,
        sa.or_(results.c.kind != "sr", ~_waiting_parts(at)),
    )
    joined = table.join(results, table.c.result_id == results.c.id)
    job_id = tx.scalar(sa.select(sa.func.min(table.c.job_id)).select_from(joined).where(*due))
    if job_id is None:
        return []
    rank = sa.case({"image": 0, "seg": 1}, value=results.c.kind, else_=2)
    query = sa.select(table.c.id).select_from(joined).where(*due, table.c.job_id == job_id)
    ids = list(tx.scalars(query.order_by(rank, results.c.id).limit(limit)))
    tx.execute(
        sa.update(table)
        .where(table.c.id.in_(ids))
        .values(state=DeliveryState.SENDING.value, attempts=table.c.attempts + 1)
    )
    found = {row.id: row for row in tx.execute(_deliveries().where(table.c.id.in_(ids)))}
    return [_delivery(found[one]) for one in ids]


def _waiting_parts(at: datetime) -> sa.Exists:
    """Whether something else of the same job is to be sent to the same destination later."""
    table = schema.deliveries
    other, kind = table.alias(), schema.results.alias()
    return sa.exists(
        sa.select(other.c.id)
        .join(kind, other.c.result_id == kind.c.id)
        .where(
            other.c.job_id == table.c.job_id,
            other.c.destination == table.c.destination,
            other.c.state == DeliveryState.PENDING.value,
            other.c.not_before > at,
            kind.c.kind != "sr",
        )
    )


def sent(tx: Transaction, delivery_id: int, at: datetime, status: int) -> None:
    """The destination has stored the object."""
    values = {"state": DeliveryState.SENT.value, "sent_at": at, "status": status, "reason": ""}
    _set(tx, delivery_id, **values)
    _event(tx, at, Level.INFO, delivery_id, DeliveryState.SENT, "")


def failed(
    tx: Transaction, delivery_id: int, at: datetime, status: int | None, reason: str
) -> None:
    """The destination will not take the object: an alarm."""
    _set(tx, delivery_id, state=DeliveryState.FAILED.value, status=status, reason=reason)
    _event(tx, at, Level.ALARM, delivery_id, DeliveryState.FAILED, reason)


def retry_later(
    tx: Transaction,
    delivery_id: int,
    at: datetime,
    not_before: datetime,
    status: int | None,
    reason: str,
) -> None:
    """Not stored this time: due again at ``not_before``."""
    state = DeliveryState.PENDING
    _set(tx, delivery_id, state=state.value, not_before=not_before, status=status, reason=reason)
    _event(tx, at, Level.WARNING, delivery_id, state, reason)


def release_sending(tx: Transaction, at: datetime, destination: str = "") -> int:
    """What was being sent is due again: at start, or of one destination. Gives how many.

    Of one destination when its courier holds nothing: the answer to its claim was lost.
    """
    table = schema.deliveries
    query = sa.select(table.c.id).where(table.c.state == DeliveryState.SENDING.value)
    why = "the node was restarted"
    if destination:
        query = query.where(table.c.destination == destination)
        why = "the database was away when it was claimed"
    sending = tx.scalars(query).all()
    for one in sending:
        _set(tx, one, state=DeliveryState.PENDING.value, not_before=at)
        _event(tx, at, Level.INFO, one, DeliveryState.PENDING, why)
    return len(sending)


def restart_job(tx: Transaction, job_id: int, at: datetime) -> int:
    """A person wants what failed to be sent again. Gives how many objects are due."""
    table = schema.deliveries
    before, after = DeliveryState.FAILED, DeliveryState.PENDING
    query = sa.select(table.c.id).where(table.c.job_id == job_id, table.c.state == before.value)
    given_up = tx.scalars(query).all()
    for one in given_up:
        _set(tx, one, state=after.value, not_before=at, attempts=0)
        _event(tx, at, Level.INFO, one, after, "restarted by a person", before)
    return len(given_up)


def owed(tx: Transaction) -> frozenset[str]:
    """The destinations to which something is still to be sent."""
    table = schema.deliveries
    unsent = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
    query = sa.select(table.c.destination).where(table.c.state.in_(unsent))
    return frozenset(tx.scalars(query.distinct()))


def next_due(tx: Transaction, destination: str) -> datetime | None:
    """When the next object is due for a destination; None when nothing is owed."""
    table = schema.deliveries
    found: datetime | None = tx.scalar(
        sa.select(sa.func.min(table.c.not_before)).where(
            table.c.destination == destination, table.c.state == DeliveryState.PENDING.value
        )
    )
    return found


def list_deliveries(
    tx: Transaction,
    job_id: int | None = None,
    study_id: int | None = None,
    state: DeliveryState | None = None,
    limit: int = 200,
) -> list[Delivery]:
    """Deliveries, newest first."""
    table = schema.deliveries
    query = _deliveries().order_by(table.c.id.desc()).limit(limit)
    if job_id is not None:
        query = query.where(table.c.job_id == job_id)
    if study_id is not None:
        jobs = schema.jobs
        query = query.join(jobs, table.c.job_id == jobs.c.id).where(jobs.c.study_id == study_id)
    if state is not None:
        query = query.where(table.c.state == state.value)
    return [_delivery(row) for row in tx.execute(query)]


def result_object(row: sa.Row[Any]) -> ResultObject:
    """The record of a row of ``results``."""
    return ResultObject(
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        series_instance_uid=row.series_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        kind=row.kind,
        key=row.key,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )


def _deliveries() -> sa.Select[Any]:
    table, results = schema.deliveries, schema.results
    columns = [column for column in results.c if column.name not in ("id", "job_id")]
    return sa.select(table, *columns).join(results, table.c.result_id == results.c.id)


def _delivery(row: sa.Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        job_id=row.job_id,
        destination=row.destination,
        state=DeliveryState(row.state),
        object=result_object(row),
        attempts=row.attempts,
        not_before=row.not_before,
        status=row.status,
        reason=row.reason,
        sent_at=row.sent_at,
    )


def _set(tx: Transaction, delivery_id: int, **values: Any) -> None:
    table = schema.deliveries
    query = sa.update(table).where(table.c.id == delivery_id).values(**values)
    if tx.execute(query).rowcount == 0:
        raise NotFound(f"there is no delivery {delivery_id}")


def _event(
    tx: Transaction,
    at: datetime,
    level: Level,
    delivery_id: int,
    state: DeliveryState,
    reason: str,
    before: DeliveryState = DeliveryState.SENDING,
) -> None:
    events.record(tx, at, level, Subject.DELIVERY, delivery_id, before, state, reason)
