"""Users, their sessions, and the hosts they are known at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database import Database
from storage.errors import NotFound
from storage.people import familiar_hosts, sessions, users
from storage.people.familiar_hosts import Familiar
from storage.people.sessions import NewSession
from storage.people.users import BadName, LastAdministrator, Role
from tests.storage.samples import NOON, minutes


def test_a_user_is_found_in_whatever_case_his_name_is_typed(database: Database) -> None:
    with database.write() as tx:
        made = users.add(tx, " Jürgen.Groß ", Role.VIEWER, "hash", NOON)
        assert made.name == "jürgen.gross"
        assert users.get(tx, "JU\u0308RGEN.GROSS") == made, "composed or not"
        with pytest.raises(BadName, match="already"):
            users.add(tx, "JÜRGEN.GROSS", Role.VIEWER, "", NOON)
        for odd in ("", "a b", "a\nb", "a" * 65, "<script>"):
            with pytest.raises(BadName):
                users.add(tx, odd, Role.VIEWER, "", NOON)
        with pytest.raises(NotFound):
            users.get(tx, "nobody")


def test_the_last_administrator_stays_one(database: Database) -> None:
    with database.write() as tx:
        assert not users.has_administrator(tx)
        ann = users.add(tx, "ann", Role.ADMINISTRATOR, "hash", NOON)
        assert users.has_administrator(tx)
        with pytest.raises(LastAdministrator):
            users.lock(tx, ann.id, NOON)
        with pytest.raises(LastAdministrator):
            users.set_role(tx, ann.id, Role.VIEWER)
        bob = users.add(tx, "bob", Role.ADMINISTRATOR, "hash", NOON)
        users.lock(tx, ann.id, NOON)
        with pytest.raises(LastAdministrator):
            users.lock(tx, bob.id, NOON)
        users.unlock(tx, ann.id)
        users.set_role(tx, bob.id, Role.VIEWER)
        assert [(one.name, one.role) for one in users.all_users(tx)] == [
            ("ann", Role.ADMINISTRATOR),
            ("bob", Role.VIEWER),
        ]


def test_a_session_is_found_by_its_token_until_it_ends(database: Database) -> None:
    with database.write() as tx:
        ann = users.add(tx, "ann", Role.OPERATOR, "hash", NOON)
        first = sessions.begin(tx, NewSession(ann.id, "1" * 64, "h"), NOON, NOON + minutes(9))
        second = sessions.begin(tx, NewSession(ann.id, "2" * 64), NOON, NOON + minutes(9))
        found = sessions.find(tx, "1" * 64)
        assert found is not None
        assert (found.id, found.user, found.role, found.host) == (first, "ann", Role.OPERATOR, "h")
        assert [one.id for one in sessions.of_user(tx, ann.id)] == [second, first]
        assert sessions.end_all(tx, ann.id, but=second) == 1
        assert sessions.find(tx, "1" * 64) is None
        sessions.end(tx, second)
        assert sessions.all_sessions(tx) == []


def test_a_lock_ends_all_sessions_of_a_user(database: Database) -> None:
    with database.write() as tx:
        ann = users.add(tx, "ann", Role.OPERATOR, "hash", NOON)
        sessions.begin(tx, NewSession(ann.id, "1" * 64), NOON, NOON + minutes(9))
        users.lock(tx, ann.id, NOON)
        assert users.get_by_id(tx, ann.id).is_locked
        assert sessions.all_sessions(tx) == []


def test_sessions_that_are_too_old_or_idle_are_cleared(database: Database) -> None:
    with database.write() as tx:
        ann = users.add(tx, "ann", Role.OPERATOR, "hash", NOON)
        old = sessions.begin(tx, NewSession(ann.id, "1" * 64), NOON, NOON + minutes(5))
        idle = sessions.begin(tx, NewSession(ann.id, "2" * 64), NOON, NOON + minutes(90))
        used = sessions.begin(tx, NewSession(ann.id, "3" * 64), NOON, NOON + minutes(90))
        sessions.see(tx, {old: NOON + minutes(4), used: NOON + minutes(4)})
        cleared = sessions.clear(tx, NOON + minutes(5), NOON + minutes(1))
        assert {one.id for one in cleared} == {old, idle}
        assert [one.id for one in sessions.all_sessions(tx)] == [used]


def test_the_newest_hosts_of_a_user_are_kept_and_a_browser_has_one_token(
    database: Database,
) -> None:
    with database.write() as tx:
        ann = users.add(tx, "ann", Role.VIEWER, "hash", NOON)
        first = Familiar("10.0.0.1", "a" * 64, NOON)
        familiar_hosts.note(tx, ann.id, first)
        again = replace(first, token_hash="b" * 64, at=NOON + minutes(1))
        familiar_hosts.note(tx, ann.id, again, instead="a" * 64)
        assert familiar_hosts.of_user(tx, ann.id) == [again]
        for number in range(30):
            other = Familiar(f"10.0.1.{number}", f"{number:064}", NOON + minutes(2 + number))
            familiar_hosts.note(tx, ann.id, other)
        kept = familiar_hosts.of_user(tx, ann.id)
        assert len(kept) == familiar_hosts.MOST
        assert kept[0].host == "10.0.1.29"
