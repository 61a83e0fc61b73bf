"""``wetread user …``: who may log in. A password is asked for, or read from stdin; never an
argument, which others on the machine could see."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path

from node.config.load import load
from node.errors import SettingsError
from node.web.access import passwords
from node.web.access.passwords import BadPassword
from storage import sessions, users
from storage.database import Database, open_database, visit_database
from storage.users import Role, User


def add(path: Path, name: str, role: str) -> int:
    """A new user with a password. Gives the command's exit status.

    Raises
    ------
    SettingsError, BadPassword, StorageError
    """
    chosen = _role(role)
    database = open_database(load(path).database_url())
    try:
        made = passwords.hash_of(_asked())
        with database.write() as tx:
            user = users.add(tx, name, chosen, made, _now())
    finally:
        database.close()
    print(f"{user.name} may log in, with the role {user.role}")
    return 0


def set_password(path: Path, name: str) -> int:
    """Another password; all sessions are over."""
    database, user = _known(path, name)
    try:
        made = passwords.hash_of(_asked())
        with database.write() as tx:
            users.set_password(tx, user.id, made, _now())
            sessions.end_all(tx, user.id)
    finally:
        database.close()
    print(f"{user.name} has a new password, and is logged out everywhere")
    return 0


def lock(path: Path, name: str) -> int:
    """He cannot log in any more, and all his sessions are over."""
    database, user = _known(path, name)
    with database.write() as tx:
        users.lock(tx, user.id, _now())
    database.close()
    print(f"{user.name} is locked, and logged out everywhere")
    return 0


def unlock(path: Path, name: str) -> int:
    """He can log in again."""
    database, user = _known(path, name)
    with database.write() as tx:
        users.unlock(tx, user.id)
    database.close()
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


def _known(path: Path, name: str) -> tuple[Database, User]:
    database = visit_database(load(path).database_url(), read_only=False)
    with database.read() as tx:
        return database, users.get(tx, name)


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
