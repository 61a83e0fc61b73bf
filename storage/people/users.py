"""Who may use the node: users, their roles and the hashes of their passwords."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import NotFound, StorageError

MOST_NAME = 64


class Role(StrEnum):
    """What somebody may do; each may what those before it may."""

    VIEWER = "viewer"
    """Reads studies, images and results."""
    OPERATOR = "operator"
    """Also acts: retries, cancels, releases, fetches, uploads."""
    ADMINISTRATOR = "administrator"
    """Also users, audit, settings, restrictions, deletion."""

    def includes(self, other: Role) -> bool:
        """Whether it may all that the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class BadName(StorageError):
    """It cannot be a user's name, or another has it; the message says which."""


class LastAdministrator(StorageError):
    """Nobody could administer the node any more."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    provider: who knows his password, where that is not this node; subject: what that calls him.
    password_hash: as ``access.passwords`` makes it; empty: none, he cannot log in by it.
    """

    id: int
    name: str
    role: Role
    provider: str
    subject: str
    password_hash: str
    created_at: datetime
    password_at: datetime | None
    locked_at: datetime | None

    @property
    def is_locked(self) -> bool:
        return self.locked_at is not None


def folded(name: str) -> str:
    """A name as it is kept and compared: whatever its case and the form of its letters."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def add(
    tx: Transaction, name: str, role: Role, password_hash: str, at: datetime, provider: str = ""
) -> User:
    """A new user.

    Raises
    ------
    BadName
    """
    kept = _checked(name)
    if find(tx, kept) is not None:
        raise BadName(f"there is a user {kept} already")
    values = {
        "name": kept,
        "role": role.value,
        "provider": provider,
        "password_hash": password_hash,
        "password_at": at if password_hash else None,
        "created_at": at,
    }
    tx.execute(sa.insert(schema.users).values(values))
    return get(tx, kept)


def find(tx: Transaction, name: str) -> User | None:
    """The user of a name, in whatever case it is typed."""
    query = sa.select(schema.users).where(schema.users.c.name == folded(name))
    row = tx.execute(query).one_or_none()
    return None if row is None else _user(row)


def of_provider(
    tx: Transaction, provider: str, subject: str, name: str, role: Role, at: datetime
) -> User:
    """The user that a provider calls ``subject``, with the role that it has now; made at its first
    login.

    It is never one of another provider, or of this node, that has the same name: then it gets one
    of its own.

    Raises
    ------
    LastAdministrator
    """
    table = schema.users
    is_it = (table.c.provider == provider, table.c.subject == subject)
    row = tx.execute(sa.select(table).where(*is_it)).one_or_none()
    if row is None:
        values = {
            "name": _free_name(tx, name, f"{provider} {subject}"),
            "role": role.value,
            "provider": provider,
            "subject": subject,
            "created_at": at,
        }
        tx.execute(sa.insert(table).values(values))
    elif row.role != role.value:
        set_role(tx, row.id, role)
    return _user(tx.execute(sa.select(table).where(*is_it)).one())


def find_of_provider(tx: Transaction, provider: str, subject: str) -> User | None:
    """The user that a provider calls ``subject``, if he has ever logged in."""
    table = schema.users
    is_it = (table.c.provider == provider, table.c.subject == subject)
    row = tx.execute(sa.select(table).where(*is_it)).one_or_none()
    return None if row is None else _user(row)


def _free_name(tx: Transaction, wanted: str, whose: str) -> str:
    """A name like the one that is wanted which nobody has."""
    plain = "".join(one for one in folded(wanted) if one.isalnum() or one in "._-@+")[:MOST_NAME]
    digest = hashlib.sha256(whose.encode()).hexdigest()
    for size in (0, 6, 12, 32):
        name = f"{plain[: MOST_NAME - size - 1]}-{digest[:size]}" if size else plain
        if name and find(tx, name) is None:
            return name
    raise BadName("no name is free for this account")


def get(tx: Transaction, name: str) -> User:
    """Raises NotFound."""
    found = find(tx, name)
    if found is None:
        raise NotFound(f"there is no user {folded(name)}")
    return found


def get_by_id(tx: Transaction, user_id: int) -> User:
    """Raises NotFound."""
    row = tx.execute(sa.select(schema.users).where(schema.users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no user {user_id}")
    return _user(row)


def all_users(tx: Transaction) -> list[User]:
    """In the order of their names."""
    query = sa.select(schema.users).order_by(schema.users.c.name)
    return [_user(row) for row in tx.execute(query)]


def set_password(tx: Transaction, user_id: int, password_hash: str, at: datetime) -> None:
    """What proves who he is from now on."""
    _set(tx, user_id, password_hash=password_hash, password_at=at)


def renew_hash(tx: Transaction, user_id: int, password_hash: str) -> None:
    """The same password, hashed as it is done today."""
    _set(tx, user_id, password_hash=password_hash)


def set_role(tx: Transaction, user_id: int, role: Role) -> None:
    """Raises LastAdministrator."""
    if role is not Role.ADMINISTRATOR:
        _keep_an_administrator(tx, user_id)
    _set(tx, user_id, role=role.value)


def lock(tx: Transaction, user_id: int, at: datetime) -> None:
    """He cannot log in any more, and his sessions are over.

    Raises
    ------
    LastAdministrator
    """
    _keep_an_administrator(tx, user_id)
    _set(tx, user_id, locked_at=at)
    sessions = schema.sessions
    tx.execute(sa.delete(sessions).where(sessions.c.user_id == user_id))


def unlock(tx: Transaction, user_id: int) -> None:
    _set(tx, user_id, locked_at=None)


def has_administrator(tx: Transaction) -> bool:
    """Whether somebody can administer the node."""
    return tx.execute(_administrators().limit(1)).first() is not None


def _administrators() -> sa.Select[Any]:
    table = schema.users
    return sa.select(table.c.id).where(
        table.c.role == Role.ADMINISTRATOR.value, table.c.locked_at.is_(None)
    )


def _keep_an_administrator(tx: Transaction, without: int) -> None:
    able = set(tx.execute(_administrators()).scalars())
    if able == {without}:
        raise LastAdministrator("this is the last administrator: make another one first")


def _set(tx: Transaction, user_id: int, **values: Any) -> None:
    tx.execute(sa.update(schema.users).where(schema.users.c.id == user_id).values(values))


def _checked(name: str) -> str:
    """Raises BadName."""
    kept = folded(name)
    if not 0 < len(kept) <= MOST_NAME:
        raise BadName(f"a user's name has 1 to {MOST_NAME} characters")
    if not all(one.isalnum() or one in "._-@+" for one in kept):
        raise BadName("a user's name is made of letters, digits and . _ - @ +")
    return kept


def _user(row: sa.Row[Any]) -> User:
    return User(
        row.id,
        row.name,
        Role(row.role),
        row.provider,
        row.subject,
        row.password_hash,
        row.created_at,
        row.password_at,
        row.locked_at,
    )
