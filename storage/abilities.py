"""What each destination takes, as it last said or showed, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.upsert import insert


@dataclass(frozen=True, slots=True)
class KnownAbilities:
    """What is known of a destination.

    telling: how it tells at all, in the words of who asked it.
    accepted: pairs of SOP class and transfer syntax that it said it takes.
    refused: SOP classes of which it took no object since, whatever it had said.
    """

    destination: str
    asked_at: datetime
    telling: str
    accepted: frozenset[tuple[str, str]]
    refused: frozenset[str] = frozenset()

    def without(self, sop_class_uid: str) -> KnownAbilities:
        """The same, once an object of that class was refused."""
        return replace(self, refused=self.refused | {sop_class_uid})


def get(tx: Transaction, destination: str) -> KnownAbilities | None:
    """None while it was never asked, or is to be asked anew."""
    table = schema.abilities
    row = tx.execute(sa.select(table).where(table.c.destination == destination)).one_or_none()
    if row is None:
        return None
    accepted = frozenset((sop_class, syntax) for sop_class, syntax in row.accepted)
    return KnownAbilities(
        row.destination, row.asked_at, row.telling, accepted, frozenset(row.refused)
    )


def put(tx: Transaction, known: KnownAbilities) -> None:
    """In the place of what was known; two at once do not meet."""
    values = {
        "asked_at": known.asked_at,
        "telling": known.telling,
        "accepted": sorted(map(list, known.accepted)),
        "refused": sorted(known.refused),
    }
    new = insert(tx.dialect.name, schema.abilities)
    query = new.values(destination=known.destination, **values)
    tx.execute(query.on_conflict_do_update(index_elements=["destination"], set_=values))


def forget(tx: Transaction, destination: str) -> None:
    """It is asked again before anything more is sent there."""
    table = schema.abilities
    tx.execute(sa.delete(table).where(table.c.destination == destination))
