"""The list of studies as a person searches it: in an order, narrowed, in parts by place.

Paging goes by place, so that studies that come meanwhile shift nothing and far parts cost no more.
A condition that few studies fulfil is followed, else the list is walked in its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import overview, schema, study_words
from storage.database import Transaction
from storage.query import between
from storage.reading_state import ReadingState
from storage.restriction import only_seen
from storage.schema import unindexed
from storage.study_words import WordKind

FEW = 3_000
"""Studies of a condition from which on it is not followed."""
MOST_WORDS = 8

_studies = schema.studies


class Order(StrEnum):
    """Of the list; the newest first."""

    RECEIVED = "received"
    """By the last image that came."""
    DATE = "date"
    """By Study Date."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What studies have to fulfil. What is empty restricts nothing."""

    words: str = ""
    """Of names, patient IDs and accession numbers, each from its beginning on."""
    finding: str = ""
    first_date: str = ""
    last_date: str = ""
    modality: str = ""
    state: ReadingState | None = None
    is_troubled: bool = False
    """Something failed, was refused, or stands still."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study stands in an order."""

    value: Any
    id: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the list: rows of studies, and where there is more."""

    ids: tuple[int, ...]
    newer: Place | None
    older: Place | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A part of the list: below one place, or above another, or from its beginning."""

    wanted: Wanted = Wanted()
    order: Order = Order.RECEIVED
    before: Place | None = None
    after: Place | None = None
    kinds: tuple[WordKind, ...] = (WordKind.ACCESSION,)
    """By which words studies are found: names and IDs only for who may see them."""


_KEYS = {Order.RECEIVED: _studies.c.last_received_at, Order.DATE: _studies.c.study_date}


def part(tx: Transaction, asked: Asked, limit: int) -> Part:
    """At most ``limit`` studies of the list, the newest first."""
    if asked.after is not None:
        found = _rows(tx, asked, limit + 1, is_upwards=True)[::-1]
        if len(found) > limit:
            shown = found[1:]
            return _part(shown, shown[0], shown[-1])
        asked = Asked(asked.wanted, asked.order, kinds=asked.kinds)
    found = _rows(tx, asked, limit + 1)
    shown = found[:limit]
    newer = shown[0] if shown and asked.before is not None else None
    return _part(shown, newer, shown[-1] if len(found) > limit else None)


def _part(rows: list[Place], newer: Place | None, older: Place | None) -> Part:
    return Part(tuple(one.id for one in rows), newer, older)


def _rows(tx: Transaction, asked: Asked, limit: int, is_upwards: bool = False) -> list[Place]:
    conditions = list(_conditions(tx, asked))
    followed = _narrowest(tx, conditions)
    key: sa.ColumnElement[Any] = _KEYS[asked.order]
    row: sa.ColumnElement[int] = _studies.c.id
    if followed is not None:
        key, row = unindexed(key), unindexed(row)
    query = sa.select(_KEYS[asked.order], _studies.c.id)
    query = query.where(*(_fulfils(one, one is followed) for one in conditions))
    query = query.where(*only_seen(tx, _studies.c.id))
    place = asked.after if is_upwards else asked.before
    if place is not None:
        there = sa.tuple_(sa.literal(place.value, _KEYS[asked.order].type), sa.literal(place.id))
        here = sa.tuple_(key, row)
        query = query.where(here > there if is_upwards else here < there)
    order = (key, row) if is_upwards else (key.desc(), row.desc())
    return [Place(*found) for found in tx.execute(query.order_by(*order).limit(limit))]


def _fulfils(condition: sa.Select[Any], is_followed: bool) -> sa.ColumnElement[bool]:
    """That a study is among those of a condition; if that is not followed, looked up for each."""
    if is_followed:
        return _studies.c.id.in_(condition)
    found = condition.subquery()
    return sa.exists().select_from(found).where(found.c[0] == _studies.c.id)


def _narrowest(tx: Transaction, conditions: list[sa.Select[Any]]) -> sa.Select[Any] | None:
    """The condition that the fewest studies fulfil; None where all have many."""
    fewest, found = FEW, None
    for one in conditions:
        some = one.limit(fewest).subquery()
        number = tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0
        if number < fewest:
            fewest, found = number, one
    return found


def _conditions(tx: Transaction, asked: Asked) -> Iterator[sa.Select[Any]]:
    """Each as the ids of studies that fulfil it."""
    wanted = asked.wanted
    for word in study_words.words_in(wanted.words)[:MOST_WORDS]:
        yield study_words.studies_with(tx, asked.kinds, word)
    if finding := " ".join(study_words.words_in(wanted.finding)):
        yield study_words.studies_with(tx, (WordKind.FINDING,), finding)
    if wanted.state is not None:
        yield sa.select(_studies.c.id).where(_studies.c.reading == wanted.state.value)
    if wanted.first_date or wanted.last_date:
        dated = between(_studies.c.study_date, wanted.first_date, wanted.last_date)
        yield sa.select(_studies.c.id).where(dated, _studies.c.study_date != "")
    if wanted.modality:
        series = schema.series
        is_it = (series.c.modality == wanted.modality.strip().upper(), ~series.c.own)
        yield sa.select(series.c.study_id).where(*is_it)
    if wanted.is_troubled:
        yield overview.troubled()
