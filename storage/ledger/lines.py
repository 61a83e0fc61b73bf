"""A job's own log: what its workers told of it, run after run."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from storage import schema
from storage.database import Transaction
from storage.records import JobLine

MOST = 500
"""Lines that are kept of a job: the newest."""


def add_lines(tx: Transaction, job_id: int, lines: Iterable[JobLine]) -> None:
    """Keep what was told during a run."""
    table = schema.job_lines
    rows = [
        {"job_id": job_id, "at": one.at, "level": one.level, "text": one.text} for one in lines
    ][-MOST:]
    if not rows:
        return
    tx.execute(sa.insert(table), rows)
    newest = sa.select(table.c.id).where(table.c.job_id == job_id).order_by(table.c.id.desc())
    oldest_kept = tx.scalar(newest.offset(MOST - 1).limit(1))
    if oldest_kept is not None:
        tx.execute(sa.delete(table).where(table.c.job_id == job_id, table.c.id < oldest_kept))


def lines_of(tx: Transaction, job_id: int) -> list[JobLine]:
    """What is kept of a job, the oldest first."""
    table = schema.job_lines
    query = sa.select(table).where(table.c.job_id == job_id).order_by(table.c.id)
    return [JobLine(row.at, row.level, row.text) for row in tx.execute(query)]
