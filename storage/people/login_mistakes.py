"""Wrong passwords of the last hour, so that a restart forgives none.

By whom is kept as a digest: what somebody typed as a name may have been a password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction


@dataclass(frozen=True, slots=True)
class MistakesBy:
    """What mistakes are counted by. digest: of who made them, in hexadecimal."""

    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class Mistakes:
    """How many there were, when the last one, and from when on the next try is let through."""

    by: MistakesBy
    number: int
    last_at: datetime
    next_at: datetime


def keep(
    tx: Transaction, made: Sequence[Mistakes], forgiven: Sequence[MistakesBy], since: datetime
) -> None:
    """Those that changed; what is forgiven, and whatever is older than ``since``, goes."""
    table = schema.login_mistakes
    changed = [*(one.by for one in made), *forgiven]
    if changed:
        is_it = (table.c.kind == sa.bindparam("of_kind")) & (
            table.c.digest == sa.bindparam("of_digest")
        )
        keys = [{"of_kind": one.kind, "of_digest": one.digest} for one in changed]
        tx.execute(sa.delete(table).where(is_it), keys)
    if made:
        rows = [
            {
                "kind": one.by.kind,
                "digest": one.by.digest,
                "number": one.number,
                "last_at": one.last_at,
                "next_at": one.next_at,
            }
            for one in made
        ]
        tx.execute(sa.insert(table), rows)
    tx.execute(sa.delete(table).where(table.c.last_at < since))


def recent(tx: Transaction, since: datetime) -> list[Mistakes]:
    """The oldest first."""
    table = schema.login_mistakes
    query = sa.select(table).where(table.c.last_at >= since).order_by(table.c.last_at)
    return [
        Mistakes(MistakesBy(row.kind, row.digest), row.number, row.last_at, row.next_at)
        for row in tx.execute(query)
    ]
