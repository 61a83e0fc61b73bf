"""Passwords of machines and desktop viewers: each of an owner, for a role, from a place, to an end.

Of a password only the SHA-256 is kept. It is made of 256 random bits, so that nobody can try them
all: a hash that is slow on purpose, as people's passwords need it, would only slow down whoever
asks for a thousand frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.people.users import Role

UNSEEN = timedelta(days=30)
"""So long the app passwords of somebody whom a provider knows outlast his last login, where nobody
has said otherwise."""


@dataclass(frozen=True, slots=True)
class AppPassword:
    """What it may, and from where. An owner who is locked, or may less by now, lends no more; nor
    does one whom a provider knows and who has not logged in for ``unseen``: nobody has asked since
    what he may.

    host: an address or a network; empty: anywhere.
    """

    id: int
    owner_id: int
    owner: str
    owner_role: Role
    is_owner_locked: bool
    label: str
    asked_role: Role
    host: str
    created_by: str
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None
    used_from: str
    ended_at: datetime | None
    is_owner_elsewhere: bool = False
    """A provider knows who he is, and what he may."""
    owner_seen_at: datetime | None = None
    """When he logged in last."""

    @property
    def role(self) -> Role:
        """What it may now."""
        asked, owner = self.asked_role, self.owner_role
        return asked if owner.includes(asked) else owner

    def is_good(self, at: datetime, unseen: timedelta = UNSEEN) -> bool:
        """Whether it still lets anybody in."""
        is_over = self.ended_at is not None or at >= self.ends_at or self.is_owner_locked
        return not is_over and not self.rests(at, unseen)

    def rests(self, at: datetime, unseen: timedelta = UNSEEN) -> bool:
        """Whether its owner has to log in before it lets anybody in again."""
        seen = self.owner_seen_at
        return self.is_owner_elsewhere and (seen is None or at - seen >= unseen)


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """One that is to be made. ``secret_hash``: 64 hexadecimal digits, of a random secret."""

    owner_id: int
    label: str
    role: Role
    host: str
    secret_hash: str
    created_by: str
    ends_at: datetime


def add(tx: Transaction, new: NewAppPassword, at: datetime) -> int:
    """Gives its row."""
    values = {
        "user_id": new.owner_id,
        "label": new.label,
        "role": new.role.value,
        "host": new.host,
        "secret_hash": new.secret_hash,
        "created_by": new.created_by,
        "created_at": at,
        "ends_at": new.ends_at,
    }
    key = tx.execute(sa.insert(schema.app_passwords).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def find(tx: Transaction, secret_hash: str) -> AppPassword | None:
    """The one of a secret, whether it is good or not."""
    query = _query().where(schema.app_passwords.c.secret_hash == secret_hash)
    row = tx.execute(query).one_or_none()
    return None if row is None else _app_password(row)


def get(tx: Transaction, app_password_id: int) -> AppPassword:
    """Raises NotFound."""
    query = _query().where(schema.app_passwords.c.id == app_password_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no app password {app_password_id}")
    return _app_password(row)


def all_app_passwords(tx: Transaction) -> list[AppPassword]:
    """The newest first."""
    return [_app_password(row) for row in tx.execute(_query().order_by(_id.desc()))]


def of_user(tx: Transaction, user_id: int) -> list[AppPassword]:
    """A user's, the newest first."""
    query = _query().where(schema.app_passwords.c.user_id == user_id)
    return [_app_password(row) for row in tx.execute(query.order_by(_id.desc()))]


def use(tx: Transaction, app_password_id: int, at: datetime, host: str) -> None:
    """It was shown, from this address."""
    _set(tx, app_password_id, used_at=at, used_from=host)


def end(tx: Transaction, app_password_id: int, at: datetime) -> None:
    """It is worth nothing from now on; one that has ended stays as it was."""
    table = schema.app_passwords
    is_it = (table.c.id == app_password_id, table.c.ended_at.is_(None))
    tx.execute(sa.update(table).where(*is_it).values(ended_at=at))


def end_all(tx: Transaction, user_id: int, at: datetime) -> int:
    """All of a user's are worth nothing from now on; gives how many were until now."""
    table = schema.app_passwords
    his = (table.c.user_id == user_id, table.c.ended_at.is_(None), table.c.ends_at > at)
    return tx.execute(sa.update(table).where(*his).values(ended_at=at)).rowcount


_id = schema.app_passwords.c.id


def _set(tx: Transaction, app_password_id: int, **values: Any) -> None:
    tx.execute(sa.update(schema.app_passwords).where(_id == app_password_id).values(values))


def _query() -> sa.Select[Any]:
    table, users = schema.app_passwords, schema.users
    seen = schema.familiar_hosts
    owner = (
        users.c.provider.label("owner_provider"),
        sa.select(sa.func.max(seen.c.at))
        .where(seen.c.user_id == users.c.id)
        .scalar_subquery()
        .label("owner_seen_at"),
        users.c.name.label("owner"),
        users.c.role.label("owner_role"),
        users.c.locked_at.label("owner_locked_at"),
    )
    return sa.select(table, *owner).join(users, users.c.id == table.c.user_id)


def _app_password(row: sa.Row[Any]) -> AppPassword:
    return AppPassword(
        row.id,
        row.user_id,
        row.owner,
        Role(row.owner_role),
        row.owner_locked_at is not None,
        row.label,
        Role(row.role),
        row.host,
        row.created_by,
        row.created_at,
        row.ends_at,
        row.used_at,
        row.used_from,
        row.ended_at,
        bool(row.owner_provider),
        row.owner_seen_at,
    )
