"""Which job a newer one has taken the place of: the newer one's results are the ones that count.

A job's successors are the later ones of the same analyzer and variant on the study, on the same
series or, unless the rule runs on every series, by the same rule; of a summary those by the same
rule, of a retraction none. Nothing of a job is sent, and it does not run again, once a successor's
results go to the same place.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storage import own_jobs, schema
from storage.database import Transaction
from storage.errors import StorageError
from storage.records import JobState


class Superseded(StorageError):
    """A newer job has taken the place of this one: ``successor`` is the one to restart."""

    def __init__(self, job_id: int, successor: int) -> None:
        super().__init__(
            f"job {job_id} was superseded by job {successor}, which has more or other images:"
            f" restart job {successor} instead"
        )
        self.successor = successor


def newest_of(tx: Transaction, job_id: int) -> int | None:
    """The job that has taken the place of another; None where nothing has. One that was cancelled
    takes no place."""
    table, later = schema.jobs, schema.jobs.alias("later")
    query = (
        sa.select(sa.func.max(later.c.id))
        .select_from(table.join(later, is_after(later, table)))
        .where(table.c.id == job_id)
        .where(schema.unindexed(later.c.state) != JobState.CANCELLED.value)
    )
    found: int | None = tx.scalar(query)
    return found


def that_owes(tx: Transaction, job_id: int, destination: str) -> int | None:
    """The newest successor of a job of which something goes, or went, to a destination."""
    table, later = schema.jobs, schema.jobs.alias("later")
    deliveries = schema.deliveries
    query = (
        sa.select(sa.func.max(later.c.id))
        .select_from(table.join(later, is_after(later, table)))
        .join(deliveries, deliveries.c.job_id == later.c.id)
        .where(table.c.id == job_id, deliveries.c.destination == destination)
    )
    found: int | None = tx.scalar(query)
    return found


def is_after(later: sa.FromClause, earlier: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether one job, if it has results, takes the place of another."""
    follows = schema.unindexed(later.c.id) > schema.unindexed(earlier.c.id)
    return sa.and_(_is_alike(later, earlier), follows)


def _is_alike(one: Any, other: Any) -> sa.ColumnElement[bool]:
    analyzer = schema.unindexed(one.c.analyzer)
    is_on_same_series = sa.and_(one.c.series_id == other.c.series_id, analyzer != own_jobs.SUMMARY)
    is_of_same_rule = sa.and_(
        one.c.rule == other.c.rule, ~one.c.every_series, ~other.c.every_series
    )
    return sa.and_(
        one.c.study_id == other.c.study_id,
        analyzer == schema.unindexed(other.c.analyzer),
        analyzer != own_jobs.RETRACTION,
        one.c.variant == other.c.variant,
        sa.or_(is_on_same_series, is_of_same_rule),
    )
