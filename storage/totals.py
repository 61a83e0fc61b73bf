"""Totals by state, kept by the database with every row that comes, changes or goes: nobody counts.

Triggers keep them, so that no writer can forget to. SQLite, which has one writer at a time, keeps
one row a state. In PostgreSQL writers would wait for one another at such a row: each statement
enters what it changed, and ``gather`` makes one row of that from time to time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction

ALARMS = "alarms"
OPEN = "open"
QUARANTINE = "quarantine"
KEPT = "kept"
READING = "reading"
MANY = 200
"""Rows from which on they are gathered."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """What is counted of a table. ``state``: an SQL text for {row}; NULL counts nothing."""

    noun: str
    table: str
    state: str


_COUNTED = (
    _Counted("studies", "studies", "{row}.state"),
    _Counted(READING, "studies", "{row}.reading"),
    _Counted("jobs", "jobs", "{row}.state"),
    _Counted("deliveries", "deliveries", "{row}.state"),
    _Counted(
        ALARMS,
        "events",
        "CASE WHEN {row}.level = 'alarm' AND NOT {row}.acknowledged THEN 'open' END",
    ),
    _Counted(QUARANTINE, "quarantine", "CASE WHEN {row}.id IS NOT NULL THEN 'kept' END"),
)


def read(tx: Transaction) -> dict[str, dict[str, int]]:
    """How many rows there are of each noun, by state; states without any may be left out."""
    table = schema.totals
    query = sa.select(table.c.noun, table.c.state, sa.func.sum(table.c.number))
    found: dict[str, dict[str, int]] = {}
    for noun, state, number in tx.execute(query.group_by(table.c.noun, table.c.state)):
        found.setdefault(noun, {})[state] = int(number)
    return found


def of(tx: Transaction, noun: str, state: str) -> int:
    """One of them."""
    table = schema.totals
    chosen = (table.c.noun == noun, table.c.state == state)
    return int(tx.scalar(sa.select(sa.func.sum(table.c.number)).where(*chosen)) or 0)


def gather(tx: Transaction) -> None:
    """Make one row of each state of what many statements have entered."""
    table = schema.totals
    rows = sa.select(sa.func.count()).select_from(table)
    if tx.dialect.name == "sqlite" or (tx.scalar(rows) or 0) < MANY:
        return
    sums: dict[tuple[str, str], int] = {}
    gone = sa.delete(table).returning(table.c.noun, table.c.state, table.c.number)
    for noun, state, number in tx.execute(gone):
        sums[noun, state] = sums.get((noun, state), 0) + number
    made = [{"noun": noun, "state": state, "number": n} for (noun, state), n in sums.items()]
    tx.execute(sa.insert(table), made)


# --- triggers -------------------------------------------------------------------------------------


def install(tx: Transaction) -> None:
    """Have the totals kept from now on, beginning with what there is."""
    tx.execute(sa.delete(schema.totals))
    for one in _COUNTED:
        tx.exec_driver_sql(_counting(one))
    for statement in _triggers(tx.dialect.name):
        tx.exec_driver_sql(statement)


def remove(tx: Transaction) -> None:
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
