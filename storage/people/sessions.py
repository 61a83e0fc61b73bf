"""Who is logged in. Of a session's token only its hash is kept: who reads the table is nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.people.users import Role


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it begins.

    host: the address it was begun from; browser: what that calls itself.
    provider_session: what the provider, who knows the password, calls it.
    """

    user_id: int
    token_hash: str
    host: str = ""
    browser: str = ""
    provider_session: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A session with its user."""

    id: int
    user_id: int
    user: str
    role: Role
    provider: str
    is_locked: bool
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    host: str
    browser: str
    provider_session: str


def begin(tx: Transaction, new: NewSession, at: datetime, ends_at: datetime) -> int:
    """Gives its row."""
    values = {
        "user_id": new.user_id,
        "token_hash": new.token_hash,
        "created_at": at,
        "seen_at": at,
        "ends_at": ends_at,
        "host": new.host,
        "browser": new.browser,
        "provider_session": new.provider_session,
    }
    key = tx.execute(sa.insert(schema.sessions).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def find(tx: Transaction, token_hash: str) -> Session | None:
    """The session of a token, whether it is over or not."""
    query = _query().where(schema.sessions.c.token_hash == token_hash)
    row = tx.execute(query).one_or_none()
    return None if row is None else _session(row)


def of_user(tx: Transaction, user_id: int) -> list[Session]:
    """A user's, the newest first."""
    query = _query().where(schema.sessions.c.user_id == user_id)
    return [_session(row) for row in tx.execute(_newest_first(query))]


def all_sessions(tx: Transaction) -> list[Session]:
    """Everybody's, the newest first."""
    return [_session(row) for row in tx.execute(_newest_first(_query()))]


def of_provider(tx: Transaction, provider: str) -> list[Session]:
    """Those of whoever has logged in there, the newest first."""
    query = _query().where(schema.users.c.provider == provider)
    return [_session(row) for row in tx.execute(_newest_first(query))]


def see(tx: Transaction, seen: Mapping[int, datetime]) -> None:
    """Somebody did something in these sessions."""
    table = schema.sessions
    for session_id, at in seen.items():
        tx.execute(sa.update(table).where(table.c.id == session_id).values(seen_at=at))


def end(tx: Transaction, session_id: int) -> None:
    """Its token is worth nothing from now on; nothing happens where it is over."""
    table = schema.sessions
    tx.execute(sa.delete(table).where(table.c.id == session_id))


def end_all(tx: Transaction, user_id: int, but: int | None = None) -> int:
    """A user's, ``but`` one; gives how many."""
    table = schema.sessions
    query = sa.delete(table).where(table.c.user_id == user_id)
    if but is not None:
        query = query.where(table.c.id != but)
    return tx.execute(query).rowcount


def clear(tx: Transaction, at: datetime, seen_before: datetime) -> list[Session]:
    """Those that are over, by age or because nobody did anything since; gives them."""
    table = schema.sessions
    over = sa.or_(table.c.ends_at <= at, table.c.seen_at <= seen_before)
    found = [_session(row) for row in tx.execute(_query().where(over))]
    tx.execute(sa.delete(table).where(table.c.id.in_([one.id for one in found])))
    return found


def _query() -> sa.Select[Any]:
    table, users = schema.sessions, schema.users
    about = users.c.name, users.c.role, users.c.provider, users.c.locked_at
    return sa.select(table, *about).join(users, users.c.id == table.c.user_id)


def _newest_first(query: sa.Select[Any]) -> sa.Select[Any]:
    return query.order_by(schema.sessions.c.id.desc())


def _session(row: sa.Row[Any]) -> Session:
    return Session(
        row.id,
        row.user_id,
        row.name,
        Role(row.role),
        row.provider,
        row.locked_at is not None,
        row.created_at,
        row.seen_at,
        row.ends_at,
        row.host,
        row.browser,
        row.provider_session,
    )
