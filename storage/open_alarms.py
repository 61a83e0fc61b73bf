"""Open alarms, alike ones counted together: a PACS that refuses 400 images says one thing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.records import DeliveryState, Level, Topic
from storage.restriction import only_about_seen

READ_AT_MOST = 1000
"""The newest alarms that are counted; the older ones follow when these are acknowledged."""

_SAME_STATE = (Topic.JOB.value, Topic.INSTANCE.value)
_KEY = ("subject", "to_state", "reason", "job_id", "destination")


@dataclass(frozen=True, slots=True)
class AlarmKind:
    """Open alarms that say the same. ``id``, ``at`` and ``subject_id`` are of the newest."""

    id: int
    at: datetime
    number: int
    subject: Topic
    subject_id: int
    to_state: str
    """Of a job or an image; else empty."""
    reason: str
    job_id: int
    """The job, or that of a delivery which still counts as failed; 0 for none."""
    destination: str
    """Of a delivery which still counts as failed; else empty."""


def kinds(tx: Transaction) -> list[AlarmKind]:
    """What nobody has acknowledged, the newest first."""
    found = _keyed(_open(tx).order_by(schema.events.c.id.desc()).limit(READ_AT_MOST)).subquery()
    key = [found.c[name] for name in _KEY]
    query = sa.select(*key, sa.func.max(found.c.id).label("id"), sa.func.count().label("number"))
    rows = tx.execute(query.group_by(*key).order_by(sa.desc("id"))).all()
    newest = _events(tx, [row.id for row in rows])
    return [_kind(row, newest[row.id]) for row in rows]


def acknowledge_alike(tx: Transaction, event_id: int) -> int:
    """Acknowledge an alarm and those like it that are older; gives how many.

    A newer one stays: nobody has seen it.

    Raises
    ------
    NotFound
    """
    events.acknowledge(tx, event_id)
    table = schema.events
    own = _keyed(sa.select(table).where(table.c.id == event_id)).subquery()
    others = _keyed(_open(tx).where(table.c.id < event_id)).subquery()
    same = sa.and_(*(others.c[name] == own.c[name] for name in _KEY))
    ids = list(tx.scalars(sa.select(others.c.id).join(own, same)))
    for start in range(0, len(ids), READ_AT_MOST):
        part = ids[start : start + READ_AT_MOST]
        tx.execute(sa.update(table).where(table.c.id.in_(part)).values(acknowledged=True))
    return 1 + len(ids)


def acknowledge_kinds(tx: Transaction, chosen: Collection[AlarmKind], newest: int) -> int:
    """Acknowledge alarms of some kinds, none that is newer than ``newest``; gives how many."""
    table = schema.events
    wanted = {tuple(getattr(one, name) for name in _KEY) for one in chosen}
    seen = _open(tx).where(table.c.id <= newest).order_by(table.c.id.desc()).limit(READ_AT_MOST)
    rows = tx.execute(_keyed(seen)).all()
    ids = [row.id for row in rows if tuple(getattr(row, name) for name in _KEY) in wanted]
    if ids:
        tx.execute(sa.update(table).where(table.c.id.in_(ids)).values(acknowledged=True))
    return len(ids)


def analyzers_of(tx: Transaction, job_ids: Collection[int]) -> dict[int, str]:
    """The analyzers of jobs."""
    table = schema.jobs
    query = sa.select(table.c.id, table.c.analyzer).where(table.c.id.in_(job_ids))
    return {job_id: analyzer for job_id, analyzer in tx.execute(query)}


def _open(tx: Transaction) -> sa.Select[Any]:
    table = schema.events
    return sa.select(table).where(
        table.c.level == Level.ALARM.value,
        table.c.acknowledged.is_(False),
        *only_about_seen(tx, table),
    )


def _keyed(chosen: sa.Select[Any]) -> sa.Select[Any]:
    """Events with what makes two of them alike."""
    one, sent = chosen.subquery(), schema.deliveries
    is_delivery = one.c.subject == Topic.DELIVERY.value
    refused = sa.and_(
        is_delivery, sent.c.id == one.c.subject_id, sent.c.state == DeliveryState.FAILED.value
    )
    is_job = one.c.subject == Topic.JOB.value
    job = sa.case((is_job, one.c.subject_id), else_=sa.func.coalesce(sent.c.job_id, 0))
    state = sa.case((one.c.subject.in_(_SAME_STATE), one.c.to_state), else_="")
    return sa.select(
        one.c.id,
        one.c.subject,
        state.label("to_state"),
        one.c.reason,
        job.label("job_id"),
        sa.func.coalesce(sent.c.destination, "").label("destination"),
    ).outerjoin(sent, refused)


def _events(tx: Transaction, ids: Sequence[int]) -> dict[int, Any]:
    table = schema.events
    query = sa.select(table.c.id, table.c.at, table.c.subject_id).where(table.c.id.in_(ids))
    return {row.id: row for row in tx.execute(query)}


def _kind(row: Any, newest: Any) -> AlarmKind:
    return AlarmKind(
        id=row.id,
        at=newest.at,
        number=row.number,
        subject=Topic(row.subject),
        subject_id=newest.subject_id,
        to_state=row.to_state,
        reason=row.reason,
        job_id=row.job_id,
        destination=row.destination,
    )
