"""How much the node expects of its peers, and they of it: totals by state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.records import AnnouncementState, CommitmentState, ResultCommitmentState


@dataclass(frozen=True, slots=True)
class Expected:
    """Totals by state."""

    announcements: Mapping[str, int]
    requests: Mapping[str, int]
    """Commitment that peers ask of the node."""
    results: Mapping[str, int]
    """Commitment that the node asks of destinations."""


def count(tx: Transaction) -> Expected:
    """The totals at this moment."""
    return Expected(
        _by_state(tx, schema.announcements, AnnouncementState),
        _by_state(tx, schema.commitment_requests, CommitmentState),
        _by_state(tx, schema.result_commitments, ResultCommitmentState),
    )


def _by_state(tx: Transaction, table: sa.Table, states: type[StrEnum]) -> dict[str, int]:
    query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
    found = {state: number for state, number in tx.execute(query)}
    return {state.value: found.get(state.value, 0) for state in states}
