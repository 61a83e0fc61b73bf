"""The queue of jobs at a stand: nobody takes a job from it until a person lets it go on.

What runs already ends as ever. It is kept over a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.records import Level, Topic

_QUEUE = 1


@dataclass(frozen=True, slots=True)
class Suspension:
    """Since when, by whom and why no job is started."""

    since: datetime
    said_by: str
    reason: str

    def in_words(self) -> str:
        return f"suspended by {self.said_by}" + (f": {self.reason}" if self.reason else "")


def current(tx: Transaction) -> Suspension | None:
    """The suspension in force; None where jobs are started."""
    row = tx.execute(_current()).one_or_none()
    return None if row is None else Suspension(row.since, row.said_by, row.reason)


@cache
def _current() -> sa.Select[Any]:
    """Made once: it is asked with every claim."""
    table = schema.suspensions
    return sa.select(table).where(table.c.id == _QUEUE, table.c.until.is_(None))


def is_since(tx: Transaction, moment: datetime) -> bool:
    """Whether the queue stood still at some time after a moment, or does now."""
    table = schema.suspensions
    lasted = sa.or_(table.c.until.is_(None), table.c.until > moment)
    return tx.execute(sa.select(table.c.id).where(lasted)).first() is not None


def suspend(tx: Transaction, at: datetime, said_by: str, reason: str = "") -> bool:
    """No job is started from now on; false where that was so already, and stays as it was."""
    if current(tx) is not None:
        return False
    table, made = schema.suspensions, Suspension(at, said_by, reason.strip())
    tx.execute(sa.delete(table).where(table.c.id == _QUEUE))
    tx.execute(sa.insert(table).values(id=_QUEUE, since=at, said_by=said_by, reason=made.reason))
    _tell(tx, at, "working", "suspended", f"the queue was {made.in_words()}")
    return True


def resume(tx: Transaction, at: datetime, said_by: str) -> bool:
    """Jobs are started again; false where they were anyway."""
    if current(tx) is None:
        return False
    table = schema.suspensions
    tx.execute(sa.update(table).where(table.c.id == _QUEUE).values(until=at))
    _tell(tx, at, "suspended", "working", f"the queue goes on: resumed by {said_by}")
    return True


def _tell(tx: Transaction, at: datetime, before: str, after: str, reason: str) -> None:
    events.record(tx, at, Level.INFO, Topic.NODE, 0, before, after, reason)
