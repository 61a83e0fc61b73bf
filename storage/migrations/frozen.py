"""What earlier migrations took from the storage's code, as it was then. Never changed again.

A migration makes the same tables and rows whatever the code has become since.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

MOST = 256
"""Characters of a text that an index keeps."""


class UtcMoment(sa.types.TypeDecorator[datetime]):
    """An aware datetime, kept in UTC on both databases (SQLite has no time zones)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class IndexedText(sa.types.TypeDecorator[str]):
    """Text of which an index keeps at most ``MOST`` characters."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "").encode("utf-8", "replace").decode()[:MOST]


class BytewiseText(IndexedText):
    """Text that an index orders by its code points."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        collation = "C" if dialect.name == "postgresql" else "BINARY"
        return dialect.type_descriptor(sa.Text(collation=collation))


# --- names and words of a header ------------------------------------------------------------------

_BETWEEN = re.compile(r"[\s^=,]+")


def component_groups(name: str) -> tuple[str, ...]:
    """The groups of a person's name that hold anything, as they are compared, each once."""
    groups = (_normalised(group)[:MOST] for group in name.split("="))
    return tuple(dict.fromkeys(group for group in groups if group))


def _normalised(group: str) -> str:
    folded = unicodedata.normalize("NFC", group.casefold())
    return "^".join(part.strip(" \0") for part in folded.rstrip("^= \0").split("^"))


def normal_origin(value: str) -> str:
    """An AE title or institution as origins are compared."""
    return value.strip().casefold()[:MOST]


def words_of(study_id: int, header: dict[str, Any]) -> list[dict[str, object]]:
    """The rows of the words by which a study is found, as its header says."""
    return [
        {"study_id": study_id, "kind": kind, "word": word}
        for kind, word in sorted(set(_of_header(header)))
    ]


def _of_header(header: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for word in _BETWEEN.split(_folded(str(header.get("PatientName") or ""))):
        if word:
            yield "name", word
    for kind, keyword in (("patient_id", "PatientID"), ("accession", "AccessionNumber")):
        if word := _folded(str(header.get(keyword) or "")):
            yield kind, word


def _folded(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(one for one in parts if not unicodedata.combining(one))
    return unicodedata.normalize("NFC", plain).strip(" \0")[:MOST]


# --- totals of 0021 -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Counted:
    noun: str
    table: str
    state: str


_COUNTED = (
    _Counted("studies", "studies", "{row}.state"),
    _Counted("reading", "studies", "{row}.reading"),
    _Counted("jobs", "jobs", "{row}.state"),
    _Counted("deliveries", "deliveries", "{row}.state"),
    _Counted(
        "alarms",
        "events",
        "CASE WHEN {row}.level = 'alarm' AND NOT {row}.acknowledged THEN 'open' END",
    ),
    _Counted("quarantine", "quarantine", "CASE WHEN {row}.id IS NOT NULL THEN 'kept' END"),
)


def install_totals(tx: sa.Connection) -> None:
    """Have the totals kept from now on, beginning with what there is."""
    tx.exec_driver_sql("DELETE FROM totals")
    for one in _COUNTED:
        tx.exec_driver_sql(_counting(one))
    for statement in _triggers(tx.dialect.name):
        tx.exec_driver_sql(statement)


def remove_totals(tx: sa.Connection) -> None:
    """Have them kept no longer."""
    for one in _COUNTED:
        for event in ("insert", "update", "delete"):
            name = f"totals_{one.noun}_{event}"
            where = "" if tx.dialect.name == "sqlite" else f" ON {one.table}"
            tx.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{where}")
            if tx.dialect.name == "postgresql":
                tx.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")


def _counting(one: _Counted) -> str:
    state = one.state.format(row=one.table)
    return (
        f"INSERT INTO totals (noun, state, number) SELECT '{one.noun}', {state}, count(*)"
        f" FROM {one.table} WHERE {state} IS NOT NULL GROUP BY {state}"
    )


def _triggers(dialect: str) -> Iterator[str]:
    for one in _COUNTED:
        yield from _rowwise(one) if dialect == "sqlite" else _by_statement(one)


def _rowwise(one: _Counted) -> Iterator[str]:
    old, new = one.state.format(row="OLD"), one.state.format(row="NEW")
    here, begin = f"totals_{one.noun}", f"ON {one.table} FOR EACH ROW WHEN"
    more, less = _more(one.noun, new), _less(one.noun, old)
    yield f"CREATE TRIGGER {here}_insert AFTER INSERT {begin} {new} IS NOT NULL BEGIN {more} END"
    yield f"CREATE TRIGGER {here}_delete AFTER DELETE {begin} {old} IS NOT NULL BEGIN {less} END"
    yield (
        f"CREATE TRIGGER {here}_update AFTER UPDATE {begin} {old} IS NOT {new}"
        f" BEGIN {less} {more} END"
    )


def _less(noun: str, state: str) -> str:
    return f"UPDATE totals SET number = number - 1 WHERE noun = '{noun}' AND state = {state};"


def _more(noun: str, state: str) -> str:
    """SQLite takes a NULL in ``state`` for no row in the second statement."""
    there = f"SELECT 1 FROM totals WHERE noun = '{noun}' AND state = {state}"
    return (
        f"INSERT INTO totals (noun, state, number) SELECT '{noun}', {state}, 0"
        f" WHERE {state} IS NOT NULL AND NOT EXISTS ({there});"
        f" UPDATE totals SET number = number + 1 WHERE noun = '{noun}' AND state = {state};"
    )


@dataclass(frozen=True, slots=True)
class _Event:
    """What a statement changes: its tables of rows, and by how much each of them counts."""

    name: str
    tables: str
    parts: tuple[tuple[str, int], ...]


_EVENTS = (
    _Event("insert", "NEW TABLE AS fresh", (("fresh", 1),)),
    _Event("delete", "OLD TABLE AS gone", (("gone", -1),)),
    _Event("update", "OLD TABLE AS gone NEW TABLE AS fresh", (("gone", -1), ("fresh", 1))),
)


def _by_statement(one: _Counted) -> Iterator[str]:
    for event in _EVENTS:
        name = f"totals_{one.noun}_{event.name}"
        changes = " UNION ALL ".join(
            f"SELECT {one.state.format(row=table)} AS state, {by} AS number FROM {table}"
            for table, by in event.parts
        )
        yield (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" INSERT INTO totals (noun, state, number) SELECT '{one.noun}', state, sum(number)"
            f" FROM ({changes}) AS changed WHERE state IS NOT NULL"
            " GROUP BY state HAVING sum(number) <> 0; RETURN NULL; END $$"
        )
        yield (
            f"CREATE TRIGGER {name} AFTER {event.name.upper()} ON {one.table}"
            f" REFERENCING {event.tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
