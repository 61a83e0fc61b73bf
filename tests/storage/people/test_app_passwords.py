"""Passwords of machines, and accounts of a provider, on both databases."""

from __future__ import annotations

from datetime import timedelta

from storage.database import Database
from storage.people import app_passwords, users
from storage.people.app_passwords import NewAppPassword
from storage.people.users import Role
from tests.storage.samples import NOON

LATER = NOON + timedelta(days=30)


def test_an_app_password_may_no_more_than_its_owner_at_any_time(database: Database) -> None:
    with database.write() as tx:
        boss = users.add(tx, "boss", Role.ADMINISTRATOR, "x", NOON)
        ann = users.add(tx, "ann", Role.OPERATOR, "x", NOON)
        new = NewAppPassword(ann.id, "Horos", Role.OPERATOR, "", "a0" * 32, "ann", LATER)
        number = app_passwords.add(tx, new, NOON)
        assert app_passwords.get(tx, number).role is Role.OPERATOR
        users.set_role(tx, ann.id, Role.VIEWER)
        assert app_passwords.get(tx, number).role is Role.VIEWER
        users.set_role(tx, ann.id, Role.ADMINISTRATOR)
        assert app_passwords.get(tx, number).role is Role.OPERATOR
        users.lock(tx, ann.id, NOON)
        assert not app_passwords.get(tx, number).is_good(NOON)
        assert app_passwords.of_user(tx, boss.id) == []


def test_an_app_password_ends_by_its_date_or_when_it_is_ended(database: Database) -> None:
    with database.write() as tx:
        ann = users.add(tx, "ann", Role.OPERATOR, "x", NOON)
        new = NewAppPassword(ann.id, "Horos", Role.VIEWER, "", "a0" * 32, "ann", LATER)
        number = app_passwords.add(tx, new, NOON)
        found = app_passwords.find(tx, "a0" * 32)
        assert found is not None and found.is_good(NOON) and not found.is_good(LATER)
        app_passwords.use(tx, number, NOON, "10.0.0.8")
        app_passwords.end(tx, number, NOON + timedelta(days=1))
        app_passwords.end(tx, number, LATER)
        ended = app_passwords.get(tx, number)
        assert (ended.ended_at, ended.used_from) == (NOON + timedelta(days=1), "10.0.0.8")
        assert not ended.is_good(NOON)


def test_an_account_of_a_provider_is_never_taken_for_a_user_of_the_same_name(
    database: Database,
) -> None:
    with database.write() as tx:
        local = users.add(tx, "admin", Role.ADMINISTRATOR, "x", NOON)
        theirs = users.of_provider(tx, "https://a", "s-1", "Admin", Role.VIEWER, NOON)
        other = users.of_provider(tx, "https://b", "s-1", "admin", Role.VIEWER, NOON)
        assert len({local.id, theirs.id, other.id}) == 3
        assert theirs.name.startswith("admin-")
        again = users.of_provider(tx, "https://a", "s-1", "renamed", Role.OPERATOR, NOON)
        assert (again.id, again.name, again.role) == (theirs.id, theirs.name, Role.OPERATOR)
        assert users.of_provider(tx, "https://a", "s-2", "<b>", Role.VIEWER, NOON).name == "b"
        assert users.of_provider(tx, "https://a", "s-3", "…", Role.VIEWER, NOON).name
