"""Whoever only looks has few connections and a time limit; nobody works more slowly for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import database as module
from storage import events, index
from storage.database import Database, open_database
from storage.engines import Pool
from storage.errors import DatabaseUnavailable, Overloaded
from storage.records import Level, Topic
from tests.storage.samples import NOON, record

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
TWO = Pool(2, 0, 0.05)


@pytest.fixture
def narrow(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database at which two may look at once."""
    monkeypatch.setattr(module, "LOOK", TWO)
    opened = open_database(url)
    yield opened
    opened.close()


def test_when_too_many_look_the_next_is_told_and_work_goes_on(narrow: Database) -> None:
    with ExitStack() as looking:
        for _ in range(TWO.size):
            looking.enter_context(narrow.look())
        with pytest.raises(Overloaded, match="too many"), narrow.look():
            pass
        for number in range(1, 40):
            with narrow.write() as tx:
                index.add(tx, [record(number)])
    with narrow.look() as tx:
        assert index.list_studies(tx)[0].instances == 39


def test_a_look_sees_one_moment_and_writes_nothing(database: Database) -> None:
    with database.look() as tx:
        assert index.list_studies(tx) == []
        with database.write() as writing:
            index.add(writing, [record()])
        assert index.list_studies(tx) == []
    with pytest.raises(DatabaseUnavailable, match=r"read-?only"), database.look() as tx:
        events.record(tx, NOON, Level.INFO, Topic.NODE, 0, "", "up", "")


def test_a_statement_that_does_not_end_is_ended(database: Database) -> None:
    with pytest.raises(Overloaded, match="takes too long"), database.look(0.1) as tx:
        tx.exec_driver_sql(ENDLESS)
    with database.look() as tx:
        assert index.list_studies(tx) == []


def test_many_short_statements_are_ended_too(database: Database) -> None:
    def ask_on(tx: sa.Connection) -> None:
        while True:
            index.list_studies(tx)

    with pytest.raises(Overloaded, match="takes too long"), database.look(0.05) as tx:
        ask_on(tx)


def test_what_works_has_no_such_limit(database: Database) -> None:
    with pytest.raises(Overloaded), database.look(0.0) as tx:
        index.list_studies(tx)
    for working in (database.read, database.write):
        with working() as tx:
            assert index.list_studies(tx) == []


def test_a_database_that_is_away_is_not_called_busy(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    opened = open_database(f"sqlite:///{path}")
    opened.close()
    path.unlink()
    path.mkdir()
    with pytest.raises(DatabaseUnavailable), opened.look():
        pass
    opened.close()
