"""What happened, when and why: one row a transition, and the alarms among them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Counts, DeliveryState, Event, JobState, Level, StudyState, Topic
from storage.restriction import only_about_seen

_State = TypeVar("_State", StudyState, JobState, DeliveryState)
_OPEN = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED)


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
    table = schema.events
    is_open = (table.c.level == Level.ALARM.value, table.c.acknowledged.is_(False))
    return tx.scalar(sa.select(sa.func.count()).where(*is_open)) or 0


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


def counts(tx: Transaction, of_all_deliveries: bool = True) -> Counts:
    """Totals by state.

    Without ``of_all_deliveries`` those of what is sent or superseded are left out: to count them
    goes through every object that was ever delivered.
    """
    quarantined = sa.select(sa.func.count()).select_from(schema.quarantine)
    return Counts(
        studies=_by_state(tx, schema.studies, StudyState),
        jobs=_by_state(tx, schema.jobs, JobState),
        deliveries=_by_state(tx, schema.deliveries, DeliveryState if of_all_deliveries else _OPEN),
        alarms=count_open_alarms(tx),
        quarantined=tx.scalar(quarantined) or 0,
    )


def _by_state(tx: Transaction, table: sa.Table, states: Iterable[_State]) -> dict[_State, int]:
    states = tuple(states)
    query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
    query = query.where(table.c.state.in_([state.value for state in states]))
    found = {state: number for state, number in tx.execute(query)}
    return {state: found.get(state.value, 0) for state in states}


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
