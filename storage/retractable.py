"""What a destination has, and later results have taken the place of: to be taken back there."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from storage import outbox, own_jobs, schema, successors
from storage.database import Transaction
from storage.kinds import ObjectKind
from storage.records import DeliveryState, ResultObject

DESTINATION, OBJECTS, REASON = "destination", "objects", "reason"
"""Parameters of the job of a retraction: where, what by UIDs, and by which title."""
_OPEN = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)


def is_stored(tx: Transaction, job_id: int, destination: str) -> bool:
    """Whether all that a job owes a destination has come to an end there, and it has some of it."""
    table = schema.deliveries
    query = sa.select(table.c.state).where(
        table.c.job_id == job_id, table.c.destination == destination
    )
    states = set(tx.scalars(query.distinct()))
    return DeliveryState.SENT.value in states and not states.intersection(
        (*_OPEN, DeliveryState.FAILED.value)
    )


def superseded(tx: Transaction, job_id: int, destination: str) -> list[ResultObject]:
    """What the destination has of the jobs that a job has taken the place of, and of what that job
    itself made before; without what was taken back already, and the notes that do so.
    """
    results, deliveries = schema.results, schema.deliveries
    jobs, earlier = schema.jobs, schema.jobs.alias("earlier")
    older = (
        sa.select(earlier.c.id)
        .select_from(jobs.join(earlier, successors.is_after(jobs, earlier)))
        .where(jobs.c.id == job_id)
    )
    query = (
        sa.select(results)
        .join(deliveries, deliveries.c.result_id == results.c.id)
        .where(
            sa.or_(deliveries.c.job_id.in_(older), deliveries.c.job_id == job_id),
            deliveries.c.destination == destination,
            deliveries.c.state == DeliveryState.SENT.value,
            results.c.kind != ObjectKind.RETRACTION.value,
        )
        .order_by(results.c.id)
    )
    current = set(outbox.made_last(tx, job_id).values())
    done = set(_taken_back(tx, job_id, destination))
    return [
        outbox.result_object(row)
        for row in tx.execute(query)
        if row.sop_instance_uid not in current and row.sop_instance_uid not in done
    ]


def by_uid(tx: Transaction, sop_instance_uids: list[str]) -> list[ResultObject]:
    """Results in the order of their UIDs; those that are no longer known are left out."""
    table = schema.results
    query = sa.select(table).where(table.c.sop_instance_uid.in_(sop_instance_uids))
    found = (outbox.result_object(row) for row in tx.execute(query))
    return sorted(found, key=lambda one: one.sop_instance_uid)


def _taken_back(tx: Transaction, job_id: int, destination: str) -> Iterator[str]:
    """The UIDs of what earlier notes to the destination take back, of the same study."""
    jobs, this = schema.jobs, schema.jobs.alias("this")
    query = (
        sa.select(jobs.c.parameters)
        .join(this, this.c.study_id == jobs.c.study_id)
        .where(this.c.id == job_id, schema.unindexed(jobs.c.analyzer) == own_jobs.RETRACTION)
    )
    for parameters in tx.scalars(query):
        if parameters.get(DESTINATION) == destination:
            yield from str(parameters.get(OBJECTS, "")).split()
