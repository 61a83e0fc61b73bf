"""``wetread user``: passwords come from stdin, never from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node import cli
from node.audit import telling
from node.audit.events import Actor, RightsChanged
from node.audit.journal import decoded
from node.errors import SettingsError
from node.web.access.app_passwords import NotMade, secret_hash
from node.web.access.passwords import BadPassword, is_right
from storage.database import open_database
from storage.errors import NotFound
from storage.people import app_passwords, sessions, users
from storage.people.sessions import NewSession
from storage.people.users import LastAdministrator, Role
from tests.storage.samples import NOON, minutes


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text("")
    return path


def run(config: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli.app, ["user", *words, "--config", str(config)], input=typed)


def test_users_are_added_listed_locked_and_given_another_password(config: Path) -> None:
    assert run(
        config, "add", "Ann", "--role", "operator", typed="right horse battery\n"
    ).output == ("ann may log in, with the role operator\n")
    database = open_database(f"sqlite:///{config.parent}/var/wetread.db")
    with database.write() as tx:
        ann = users.get(tx, "ann")
        sessions.begin(tx, NewSession(ann.id, "1" * 64), NOON, NOON + minutes(9))
    assert is_right(ann.password_hash, "right horse battery")
    assert ann.password_hash.startswith("$argon2id$")
    assert run(config, "passwd", "ann", typed="another horse\n").exit_code == 0
    with database.read() as tx:
        assert is_right(users.get(tx, "ann").password_hash, "another horse")
        assert sessions.all_sessions(tx) == [], "whoever used the old one is logged out"
    assert run(config, "lock", "ann").exit_code == 0
    assert run(config, "list").output == "ann\toperator\tlocked\n"
    assert run(config, "unlock", "ann").exit_code == 0
    assert run(config).output == "ann\toperator\n"
    database.close()


def told(config: Path) -> list[RightsChanged]:
    """What stands in the journals that the node will empty."""
    journals = (config.parent / "var" / "audit").glob("*.jsonl")
    lines = [line for one in journals for line in one.read_bytes().splitlines()]
    found = sorted(map(decoded, lines), key=lambda one: one[1])
    return [event for event, _ in found if isinstance(event, RightsChanged)]


def test_what_the_command_line_changes_stands_in_the_audit_trail(config: Path) -> None:
    typed = "right horse battery\n"
    run(config, "add", "ann", typed=typed)
    run(config, "passwd", "ann", typed=typed)
    run(config, "lock", "ann")
    run(config, "unlock", "ann")
    secret = run(config, "app-password", "ann", "--label", "x").output.strip()
    run(config, "lock", "nobody")
    changes = told(config)
    assert [one.change.partition(",")[0] for one in changes] == [
        "a new user with the role viewer",
        "has a new password",
        "locked",
        "unlocked",
        "a new app password 1 with the role viewer",
    ]
    (line,) = telling.lines(changes[2], Actor("WETREAD"))
    assert line.what.startswith("ann: locked"), "the page says whom"
    assert {one.whom for one in changes} == {"ann"}
    assert all(one.by.name and one.by.is_person for one in changes)
    assert not any(secret in one.change for one in changes)


def test_what_cannot_be_done_is_a_named_error(config: Path) -> None:
    with pytest.raises(BadPassword, match="10 to 1024"):
        raise run(config, "add", "ann", typed="short\n").exception or AssertionError
    with pytest.raises(BadPassword, match="so few different"):
        raise run(config, "add", "ann", typed="aaaaaaaaaaaa\n").exception or AssertionError
    with pytest.raises(SettingsError, match="viewer, operator, administrator"):
        raise run(config, "add", "ann", "--role", "boss").exception or AssertionError
    with pytest.raises(NotFound):
        raise run(config, "lock", "ann").exception or AssertionError
    typed = "right horse battery\n"
    assert run(config, "add", "ann", "--role", Role.ADMINISTRATOR, typed=typed).exit_code == 0
    with pytest.raises(LastAdministrator):
        raise run(config, "lock", "ann").exception or AssertionError
    assert run(config, "shout").exit_code == 2


def test_an_app_password_is_made_and_printed_once(config: Path) -> None:
    run(config, "add", "ann", typed="right horse battery\n")
    made = run(config, "app-password", "ann", "--label", "Horos", "--host", "10.0.0.0/24")
    assert made.exit_code == 0
    database = open_database(f"sqlite:///{config.parent}/var/wetread.db")
    with database.read() as tx:
        found = app_passwords.find(tx, secret_hash(made.output.strip()))
    database.close()
    assert found is not None
    assert (found.owner, found.label, found.role, found.host) == (
        "ann",
        "Horos",
        Role.VIEWER,
        "10.0.0.0/24",
    )
    more = run(config, "app-password", "ann", "--label", "x", "--role", "operator")
    assert isinstance(more.exception, NotMade)
    assert isinstance(run(config, "app-password", "bob", "--label", "x").exception, NotFound)
