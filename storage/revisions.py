"""Whether anything has changed: a few cheap values a topic, for whoever watches all the time."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import schema, totals
from storage.database import Transaction


class Watched(StrEnum):
    """What pages show."""

    STUDIES = "studies"
    JOBS = "jobs"
    DELIVERIES = "deliveries"
    ALARMS = "alarms"
    QUARANTINE = "quarantine"
    FETCHES = "fetches"
    GAPS = "gaps"
    HEALTH = "health"
    """Of the node's parts: the database knows nothing of it."""


Values = tuple[Any, ...]


def read(tx: Transaction) -> dict[Watched, Values]:
    """Values that are others as soon as something of a topic is; no table is walked."""
    kept = {noun: tuple(sorted(states.items())) for noun, states in totals.read(tx).items()}
    event = _last(tx, schema.events.c.id)
    image = _last(tx, schema.studies.c.last_received_at)
    studies, jobs, sent = (kept.get(noun, ()) for noun in ("studies", "jobs", "deliveries"))
    reading, alarms = kept.get(totals.READING, ()), kept.get(totals.ALARMS, ())
    return {
        Watched.STUDIES: (image, event, studies, reading, jobs, sent),
        Watched.JOBS: (event, jobs),
        Watched.DELIVERIES: (event, sent),
        Watched.ALARMS: (alarms,),
        Watched.QUARANTINE: (_last(tx, schema.quarantine.c.last_seen_at), kept.get("quarantine")),
        Watched.FETCHES: _fetches(tx),
        Watched.GAPS: _gaps(tx),
    }


def _last(tx: Transaction, column: sa.Column[Any]) -> Any:
    return tx.scalar(sa.select(sa.func.max(column)))


def _gaps(tx: Transaction) -> Values:
    table = schema.gaps
    columns = (sa.func.count(), sa.func.max(table.c.id))
    return tuple(tx.execute(sa.select(*columns).where(table.c.closed_at.is_(None))).one())


def _fetches(tx: Transaction) -> Values:
    """The newest, and how far those are that go on."""
    table = schema.fetches
    columns = (sa.func.count(), sa.func.sum(table.c.held), sa.func.sum(table.c.received))
    going = tx.execute(sa.select(*columns).where(table.c.ended_at.is_(None))).one()
    return (_last(tx, table.c.id), *going)
