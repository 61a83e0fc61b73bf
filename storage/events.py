"""What happened, when and why: one row a transition, and the alarms among them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema, totals
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Counts, DeliveryState, Event, JobState, Level, StudyState, Topic
from storage.restriction import only_about_seen


def record(
    tx: Transaction,
    at: datetime,
    level: Level,
    subject: Topic,
    subject_id: int,
    from_state: str,
    to_state: str,
    reason: str,
) -> int:
    """Enter one event; gives its id."""
    row = {
        "at": at,
        "level": level.value,
        "subject": subject.value,
        "subject_id": subject_id,
        "from_state": str(from_state),
        "to_state": str(to_state),
        "reason": reason,
    }
    entered = tx.execute(sa.insert(schema.events), row)
    return int((entered.inserted_primary_key or (0,))[0])


def reword(tx: Transaction, event_id: int, reason: str) -> None:
    """Say anew what an alarm is about: more of the same has come."""
    table = schema.events
    tx.execute(sa.update(table).where(table.c.id == event_id).values(reason=reason))


def record_all(
    tx: Transaction,
    at: datetime,
    level: Level,
    subject: Topic,
    subject_ids: Iterable[int],
    from_state: str,
    to_state: str,
    reason: str,
) -> None:
    """Enter the same event for each of several subjects."""
    rows = [
        {
            "at": at,
            "level": level.value,
            "subject": subject.value,
            "subject_id": one,
            "from_state": str(from_state),
            "to_state": str(to_state),
            "reason": reason,
        }
        for one in subject_ids
    ]
    if rows:
        tx.execute(sa.insert(schema.events), rows)


def list_events(
    tx: Transaction,
    subject: Topic | None = None,
    subject_id: int | None = None,
    level: Level | None = None,
    limit: int = 100,
) -> list[Event]:
    """The newest events, newest first."""
    table = schema.events
    query = sa.select(table).where(*only_about_seen(tx, table))
    query = query.order_by(table.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(table.c.subject == subject.value)
    if subject_id is not None:
        query = query.where(table.c.subject_id == subject_id)
    if level is not None:
        query = query.where(table.c.level == level.value)
    return [_event(row) for row in tx.execute(query)]


def open_alarms(tx: Transaction, limit: int = 100) -> list[Event]:
    """Alarms that nobody has acknowledged, newest first."""
    table = schema.events
    query = (
        sa.select(table)
        .where(table.c.level == Level.ALARM.value, table.c.acknowledged.is_(False))
        .where(*only_about_seen(tx, table))
        .order_by(table.c.id.desc())
        .limit(limit)
    )
    return [_event(row) for row in tx.execute(query)]


def count_open_alarms(tx: Transaction) -> int:
    """How many alarms nobody has acknowledged."""
    seen = tuple(only_about_seen(tx, schema.events))
    if not seen:
        return totals.of(tx, totals.ALARMS, totals.OPEN)
    table = schema.events
    is_open = (table.c.level == Level.ALARM.value, table.c.acknowledged.is_(False))
    return tx.scalar(sa.select(sa.func.count()).where(*is_open, *seen)) or 0


def acknowledge(tx: Transaction, event_id: int) -> None:
    """A person has seen the alarm.

    Raises
    ------
    NotFound
    """
    table = schema.events
    is_it = (table.c.id == event_id, *only_about_seen(tx, table))
    done = tx.execute(sa.update(table).where(*is_it).values(acknowledged=True))
    if done.rowcount == 0:
        raise NotFound(f"there is no event {event_id}")


def settle(tx: Transaction, subject: Topic, subject_id: int) -> None:
    """What an alarm was about is gone: nobody has to act any more."""
    table = schema.events
    about = (table.c.subject == subject.value, table.c.subject_id == subject_id)
    tx.execute(sa.update(table).where(*about).values(acknowledged=True))


def counts(tx: Transaction) -> Counts:
    """Totals by state, of all there is: they are kept, and cost nothing."""
    kept = totals.read(tx)
    return Counts(
        studies={one: kept.get("studies", {}).get(one, 0) for one in StudyState},
        jobs={one: kept.get("jobs", {}).get(one, 0) for one in JobState},
        deliveries={one: kept.get("deliveries", {}).get(one, 0) for one in DeliveryState},
        alarms=kept.get(totals.ALARMS, {}).get(totals.OPEN, 0),
        quarantined=kept.get(totals.QUARANTINE, {}).get(totals.KEPT, 0),
    )


def _event(row: sa.Row[Any]) -> Event:
    return Event(
        id=row.id,
        at=row.at,
        level=Level(row.level),
        subject=Topic(row.subject),
        subject_id=row.subject_id,
        from_state=row.from_state,
        to_state=row.to_state,
        reason=row.reason,
        acknowledged=row.acknowledged,
    )
