"""From where a user has logged in before: what others do elsewhere does not lock him out there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction

MOST = 20
"""Of one user; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Familiar:
    """A browser by which a user has logged in.

    token_hash: of what the browser was given to be known by.
    """

    host: str
    token_hash: str
    at: datetime


def of_user(tx: Transaction, user_id: int) -> list[Familiar]:
    """The newest first."""
    table = schema.familiar_hosts
    query = sa.select(table).where(table.c.user_id == user_id).order_by(table.c.at.desc())
    return [Familiar(row.host, row.token_hash, row.at) for row in tx.execute(query)]


def note(tx: Transaction, user_id: int, now: Familiar, instead: str = "") -> None:
    """He has logged in; the browser gets a new token ``instead`` of the one it had."""
    table = schema.familiar_hosts
    mine = table.c.user_id == user_id
    kept = [one.token_hash for one in of_user(tx, user_id) if one.token_hash != instead]
    tx.execute(sa.delete(table).where(mine, table.c.token_hash.not_in(kept[: MOST - 1])))
    tx.execute(
        sa.insert(table).values(
            user_id=user_id, host=now.host, token_hash=now.token_hash, at=now.at
        )
    )
