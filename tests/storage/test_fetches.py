"""Wishes to fetch: each carried out once, seen on its way, and taken up after an abrupt end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from storage import fetches, retention
from storage.database import Database
from storage.errors import NotFound
from storage.fetches import OWED, Counts, FetchedStudy, FetchState, NewFetch, Wanted

NOW = datetime(2030, 5, 4, 12, tzinfo=UTC)
WANTED = Wanted(accession_number="A1", study_uids=("1.2", "1.3"))


def asked(database: Database, source: str = "pacs") -> int:
    with database.write() as tx:
        return fetches.ask(tx, NewFetch(source, WANTED, "a test", "quality"), NOW)


def test_a_wish_is_claimed_as_it_was_asked_and_each_source_has_its_own(database: Database) -> None:
    first, other, second = asked(database), asked(database, "cloud"), asked(database)
    with database.write() as tx:
        claimed = fetches.claim(tx, "pacs", NOW)
        assert claimed is not None
        assert (claimed.id, claimed.state, claimed.wanted) == (first, FetchState.RUNNING, WANTED)
        fetches.end(tx, claimed, FetchState.DONE, Counts(1, 2, 0, 2), "2 came", NOW)
        assert fetches.is_due(tx, "cloud")
        following = fetches.claim(tx, "pacs", NOW)
    assert following is not None and following.id == second
    with database.read() as tx:
        assert [one.id for one in fetches.newest(tx, 5)] == [second, other, first]
        assert fetches.get(tx, first).counts == Counts(1, 2, 0, 2)


def test_what_an_abrupt_end_left_running_is_claimed_before_what_waits(database: Database) -> None:
    first = asked(database)
    asked(database)
    with database.write() as tx:
        fetches.claim(tx, "pacs", NOW)
    with database.write() as tx:
        again = fetches.claim(tx, "pacs", NOW + timedelta(minutes=1))
    assert again is not None
    assert (again.id, again.started_at) == (first, NOW)


def test_a_running_one_hears_of_its_end_when_it_says_how_far_it_is(database: Database) -> None:
    number = asked(database)
    with database.write() as tx:
        fetches.claim(tx, "pacs", NOW)
        assert fetches.note(tx, number, Counts(1, 5, 0, 2)) is False
        assert fetches.cancel(tx, number, NOW) is FetchState.RUNNING
        assert fetches.note(tx, number, Counts(1, 5, 0, 3)) is True
        assert fetches.get(tx, number).counts.missing == 2


def test_a_study_that_is_looked_at_again_stands_there_once(database: Database) -> None:
    number = asked(database)
    with database.write() as tx:
        for missing in (3, 0):
            fetches.enter_study(tx, number, FetchedStudy("1.2", None, 5, missing, OWED))
        assert fetches.studies_of(tx, number) == [FetchedStudy("1.2", None, 5, 0, OWED)]
        assert fetches.owed_analyses(tx) == []  # nothing of the study is here


def test_old_ones_go_with_the_history_and_open_ones_stay(database: Database) -> None:
    over, still = asked(database), asked(database)
    with database.write() as tx:
        claimed = fetches.claim(tx, "pacs", NOW)
        assert claimed is not None
        fetches.enter_study(tx, over, FetchedStudy("1.2", None, 5, 0))
        fetches.end(tx, claimed, FetchState.DONE, Counts(), "", NOW)
        retention.forget_history(tx, NOW + timedelta(days=1))
        assert fetches.studies_of(tx, over) == []
        with pytest.raises(NotFound):
            fetches.get(tx, over)
        assert fetches.get(tx, still).state is FetchState.WAITING
