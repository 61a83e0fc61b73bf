"""``wetread user …``: who may log in. A password is asked for, or read from stdin; never an
argument, which others on the machine could see."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from node.audit.events import Actor, Right, RightsChanged
from node.audit.journal import Journal
from node.config.load import load
from node.config.settings import Settings
from node.errors import SettingsError
from node.web.access import passwords
from node.web.access.passwords import BadPassword
from storage.database import Transaction, open_database, visit_database
from storage.people import sessions, users
from storage.people.users import Role, User


def add(path: Path, name: str, role: str) -> int:
    """A new user with a password. Gives the command's exit status.

    Raises
    ------
    SettingsError, BadPassword, StorageError
    """
    chosen, settings = _role(role), load(path)
    database = open_database(settings.database_url())
    try:
        made = passwords.hash_of(_asked())
        with database.write() as tx:
            user = users.add(tx, name, chosen, made, _now())
    finally:
        database.close()
    tell(settings, Right.USER, user.name, f"a new user with the role {user.role}")
    print(f"{user.name} may log in, with the role {user.role}")
    return 0


def set_password(path: Path, name: str) -> int:
    """Another password; all sessions are over."""

    def step(tx: Transaction, user: User) -> None:
        users.set_password(tx, user.id, made, _now())
        sessions.end_all(tx, user.id)

    settings = load(path)
    _find(settings, name)
    made = passwords.hash_of(_asked())
    user = _do(settings, name, step, "has a new password")
    print(f"{user.name} has a new password, and is logged out everywhere")
    return 0


def lock(path: Path, name: str) -> int:
    """He cannot log in any more, and all his sessions are over."""
    user = _do(load(path), name, lambda tx, user: users.lock(tx, user.id, _now()), "locked")
    print(f"{user.name} is locked, and logged out everywhere")
    return 0


def unlock(path: Path, name: str) -> int:
    """He can log in again."""
    user = _do(load(path), name, lambda tx, user: users.unlock(tx, user.id), "unlocked")
    print(f"{user.name} may log in again")
    return 0


def show(path: Path) -> int:
    """All users, a line each."""
    database = visit_database(load(path).database_url())
    with database.read() as tx:
        known = users.all_users(tx)
    database.close()
    for one in known:
        print(f"{one.name}\t{one.role}\t{'locked' if one.is_locked else one.provider}".rstrip())
    return 0


def tell(settings: Settings, right: Right, whom: str, change: str) -> None:
    """In the audit trail: who is logged in on this machine has changed what somebody may do."""
    journal = Journal(settings.audit_dir)
    actor = Actor(getpass.getuser(), socket.gethostname(), is_person=True)
    journal.record(RightsChanged(actor, right, whom, f"{change}, on the command line"))
    journal.close()


def _find(settings: Settings, name: str) -> None:
    """Raises NotFound."""
    with closing(visit_database(settings.database_url())) as database, database.read() as tx:
        users.get(tx, name)


def _do(
    settings: Settings, name: str, step: Callable[[Transaction, User], None], change: str
) -> User:
    """Do something to a user, and tell of it.

    Raises
    ------
    NotFound, LastAdministrator
    """
    url = settings.database_url()
    with closing(visit_database(url, read_only=False)) as database, database.write() as tx:
        user = users.get(tx, name)
        step(tx, user)
    tell(settings, Right.USER, user.name, change)
    return user


def _asked() -> str:
    """A password: typed twice at a terminal, else the first line of stdin.

    Raises
    ------
    BadPassword
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    typed = getpass.getpass("Password: ")
    if typed != getpass.getpass("The same again: "):
        raise BadPassword("the two passwords are not alike")
    return typed


def _role(name: str) -> Role:
    """Raises SettingsError."""
    try:
        return Role(name)
    except ValueError as error:
        raise SettingsError(f"no role is called {name!r}: {', '.join(Role)}") from error


def _now() -> datetime:
    return datetime.now(UTC)
