"""Passwords of machines and desktop viewers: random, so that a plain hash of one tells nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.users import Role


@dataclass(frozen=True, slots=True)
class AppPassword:
    """What it may, and from where."""

    id: int
    label: str
    role: Role
    host: str
    created_by: str
    created_at: datetime
    used_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """One that is to be made. ``secret_hash``: 64 hexadecimal digits, of a random secret."""

    label: str
    role: Role
    host: str
    secret_hash: str
    created_by: str


def add(tx: Transaction, new: NewAppPassword, at: datetime) -> int:
    """Gives its row."""
    values = {
        "label": new.label,
        "role": new.role.value,
        "host": new.host,
        "secret_hash": new.secret_hash,
        "created_by": new.created_by,
        "created_at": at,
    }
    key = tx.execute(sa.insert(schema.app_passwords).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def find(tx: Transaction, secret_hash: str) -> AppPassword | None:
    """The one of a secret, whether it has ended or not."""
    table = schema.app_passwords
    row = tx.execute(sa.select(table).where(table.c.secret_hash == secret_hash)).one_or_none()
    return None if row is None else _app_password(row)


def all_app_passwords(tx: Transaction) -> list[AppPassword]:
    """The newest first."""
    table = schema.app_passwords
    return [_app_password(row) for row in tx.execute(sa.select(table).order_by(table.c.id.desc()))]


def use(tx: Transaction, app_password_id: int, at: datetime) -> None:
    """It was shown."""
    _set(tx, app_password_id, used_at=at)


def end(tx: Transaction, app_password_id: int, at: datetime) -> None:
    """It is worth nothing from now on."""
    _set(tx, app_password_id, ended_at=at)


def _set(tx: Transaction, app_password_id: int, **values: Any) -> None:
    table = schema.app_passwords
    tx.execute(sa.update(table).where(table.c.id == app_password_id).values(values))


def _app_password(row: sa.Row[Any]) -> AppPassword:
    return AppPassword(
        row.id,
        row.label,
        Role(row.role),
        row.host,
        row.created_by,
        row.created_at,
        row.used_at,
        row.ended_at,
    )
