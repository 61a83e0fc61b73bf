"""When a study is due, and that it is complete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from storage import events, reading_state, schema
from storage.database import Transaction
from storage.index import reading
from storage.records import (
    Level,
    StudyRow,
    StudyState,
    Topic,
)


def due_studies(tx: Transaction, quiet_before: datetime) -> list[StudyRow]:
    """All open studies to which nothing came since ``quiet_before``, the longest waiting first."""
    table = schema.studies
    return reading.study_rows(
        tx,
        sa.select(table.c.id)
        .where(
            table.c.state == StudyState.RECEIVING.value, table.c.last_received_at <= quiet_before
        )
        .order_by(table.c.last_received_at),
    )


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that is not complete, as much of it as says when it is."""

    id: int
    study_instance_uid: str
    revision: int
    """Another one whenever instances have come."""
    last_received_at: datetime


def open_studies(tx: Transaction) -> list[OpenStudy]:
    """All studies that are not complete, the longest waiting first; no instance is read."""
    return [OpenStudy(*row) for row in tx.execute(_open_studies())]


@cache
def _open_studies() -> sa.Select[Any]:
    table = schema.studies
    columns = (table.c.id, table.c.study_instance_uid, table.c.revision, table.c.last_received_at)
    query = sa.select(*columns).where(table.c.state == StudyState.RECEIVING.value)
    return query.order_by(table.c.last_received_at, table.c.id)


@dataclass(frozen=True, slots=True)
class Brought:
    """What is there of a study: from outside, with who sent it by AE title; and the node's own."""

    instances: frozenset[str]
    senders: frozenset[str]
    own: frozenset[str]


def brought(tx: Transaction, study_id: int) -> Brought:
    """The SOP instances of a study, by where they came from."""
    table, series = schema.instances, schema.series
    query = (
        sa.select(table.c.sop_instance_uid, table.c.calling_ae, series.c.own)
        .select_from(table.join(series, table.c.series_id == series.c.id))
        .where(series.c.study_id == study_id)
    )
    rows = tx.execute(query).all()
    return Brought(
        frozenset(uid for uid, _, own in rows if not own),
        frozenset(sender for _, sender, own in rows if not own),
        frozenset(uid for uid, _, own in rows if own),
    )


@dataclass(frozen=True, slots=True)
class CountedSeries:
    """The images of a series from outside, as far as they can be counted."""

    instances: int
    numbers: tuple[int | None, ...]
    """Instance Number of each."""
    acquisitions: int
    """How many Acquisition Numbers they have; of images without one, 1."""
    newest_key: str
    """Of the bytes of the one that was received last."""


def counted(tx: Transaction, study_id: int) -> list[CountedSeries]:
    """The series of a study that came from outside."""
    table, series = schema.instances, schema.series
    acquisition = table.c.header["AcquisitionNumber"].as_string()
    query = (
        sa.select(series.c.id, table.c.instance_number, acquisition, table.c.key)
        .select_from(table.join(series, table.c.series_id == series.c.id))
        .where(series.c.study_id == study_id, sa.not_(series.c.own))
        .order_by(series.c.id, table.c.id)
    )
    by_series = groupby(tx.execute(query), key=itemgetter(0))
    return [_counted([tuple(row) for row in rows]) for _, rows in by_series]


def _counted(rows: list[tuple[Any, ...]]) -> CountedSeries:
    numbers = tuple(number for _, number, _, _ in rows)
    acquisitions = {acquisition for _, _, acquisition, _ in rows}
    return CountedSeries(len(rows), numbers, len(acquisitions), rows[-1][-1])


def complete(
    tx: Transaction,
    study_id: int,
    at: datetime,
    seen_last_received_at: datetime,
    evidence: str = "associations ended, quiet period over",
    seen_revision: int | None = None,
) -> bool:
    """Mark a study complete, unless an instance came since it was looked at."""
    table = schema.studies
    unchanged = table.c.last_received_at == seen_last_received_at
    if seen_revision is not None:
        unchanged = table.c.revision == seen_revision
    done = tx.execute(
        sa.update(table)
        .where(table.c.id == study_id, table.c.state == StudyState.RECEIVING.value, unchanged)
        .values(state=StudyState.COMPLETE.value, generation=table.c.generation + 1, completed_at=at)
    )
    if done.rowcount == 0:
        return False
    reading_state.renew(tx, study_id)
    events.record(
        tx, at, Level.INFO, Topic.STUDY, study_id,
        StudyState.RECEIVING, StudyState.COMPLETE, evidence,
    )  # fmt: skip
    return True


def note(tx: Transaction, study_id: int, text: str) -> None:
    """Say why nothing was run on a study; empty when something was."""
    table = schema.studies
    tx.execute(sa.update(table).where(table.c.id == study_id).values(note=text))
