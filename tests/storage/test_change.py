"""A mark of the database is the same until something is committed, by whomever."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storage import suspension
from storage.database import Database, join_database
from storage.errors import DatabaseUnavailable
from tests.waiting import until

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_mark_stays_while_others_only_read_and_write_nothing(database: Database) -> None:
    def is_the_same() -> bool:
        mark = database.mark()
        with database.read() as tx:
            suspension.current(tx)
        with database.write() as tx:
            suspension.current(tx)
        return database.mark() == mark

    until(is_the_same)  # a server's changes with what other tests do in other databases, too


def test_what_is_committed_here_and_elsewhere_changes_it(database: Database, url: str) -> None:
    marks = [database.mark()]
    with database.write() as tx:
        suspension.suspend(tx, NOON, "somebody")
    marks.append(database.mark())
    other = join_database(url)
    with other.write() as tx:
        suspension.resume(tx, NOON, "somebody")
    other.close()
    marks.append(database.mark())
    assert len(set(marks)) == 3


def test_what_is_not_committed_yet_changes_it_when_it_is(database: Database) -> None:
    before = database.mark()
    with database.write() as tx:
        suspension.suspend(tx, NOON, "somebody")
        within = database.mark()
        with database.read() as other:
            assert suspension.current(other) is None
    assert database.mark() not in (before, within)


def test_a_lost_connection_is_told_and_then_made_anew(database: Database) -> None:
    before = database.mark()
    database._change._connection.close()
    with pytest.raises(DatabaseUnavailable):
        database.mark()
    assert database.mark() != before
