"""What a destination gets of a job and what it does not: rows of the outbox, decided together.

pending | sending → left_out, with the reason; left_out → pending when what it gave way to did not
arrive, or when a person asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage import outbox, schema, successors
from storage.database import Transaction
from storage.errors import NotFound
from storage.kinds import ObjectKind
from storage.records import Delivery, DeliveryState, Level
from storage.restriction import only_seen
from storage.successors import Superseded

_LEFT_OUT = DeliveryState.LEFT_OUT
_PENDING = DeliveryState.PENDING


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many objects of a kind that a job made were not sent to a destination, and why."""

    job_id: int
    destination: str
    kind: ObjectKind
    reason: str
    number: int


def of_jobs(tx: Transaction, destination: str, job_ids: Iterable[int]) -> list[Delivery]:
    """All that was ever owed to a destination of some jobs, job after job."""
    table = schema.deliveries
    query = outbox.select_deliveries().where(table.c.destination == destination)
    return [
        outbox.delivery_of(row)
        for part in outbox.parts(sorted(set(job_ids)))
        for row in tx.execute(query.where(table.c.job_id.in_(part)).order_by(table.c.id))
    ]


def states_of(
    tx: Transaction, destination: str, sop_instance_uids: Iterable[str]
) -> dict[str, DeliveryState | None]:
    """Where objects that the node has made stand at a destination; None: not owed to it.

    Instances that came from outside are left out.
    """
    table, results = schema.deliveries, schema.results
    goes_there = sa.and_(table.c.result_id == results.c.id, table.c.destination == destination)
    query = sa.select(results.c.sop_instance_uid, table.c.state).select_from(
        results.outerjoin(table, goes_there)
    )
    return {
        row.sop_instance_uid: DeliveryState(row.state) if row.state else None
        for part in outbox.parts(sorted(set(sop_instance_uids)))
        for row in tx.execute(query.where(results.c.sop_instance_uid.in_(part)))
    }


def leave_out(tx: Transaction, reasons: Mapping[int, str], at: datetime) -> None:
    """Deliveries that are owed or under way are not sent; the reason of each stays with it."""
    table = schema.deliveries
    by_reason: dict[str, list[int]] = {}
    for delivery_id, reason in reasons.items():
        by_reason.setdefault(reason, []).append(delivery_id)
    for reason, ids in by_reason.items():
        query = sa.select(table.c.id, table.c.state).where(table.c.id.in_(ids))
        before = {row.id: DeliveryState(row.state) for row in tx.execute(query)}
        outbox.change_all(tx, ids, state=_LEFT_OUT.value, status=None, reason=reason)
        for state in set(before.values()):
            changed = [one for one, was in before.items() if was is state]
            outbox.tell_all(tx, at, Level.INFO, changed, _LEFT_OUT, reason, state)


def jobs_of(tx: Transaction, delivery_ids: Iterable[int]) -> list[int]:
    """The jobs that made what is delivered."""
    table = schema.deliveries
    query = sa.select(table.c.job_id).distinct()
    found = {
        job_id
        for part in outbox.parts(sorted(delivery_ids))
        for job_id in tx.scalars(query.where(table.c.id.in_(part)))
    }
    return sorted(found)


def reconsider(
    tx: Transaction, refused: Delivery, kinds: Collection[ObjectKind], at: datetime
) -> int:
    """What was left out of these kinds of the same job is owed again: what it gave way to was
    refused. That itself is not."""
    found = _ids(tx, refused.destination, refused.job_id, (_LEFT_OUT,), kinds)
    ids = [one for one in found if one != refused.id]
    _owe_again(tx, ids, at, "what it gave way to was refused")
    return len(ids)


def reconsider_above(tx: Transaction, sent: Delivery, reason: str, at: datetime) -> int:
    """What was left out for this reason of the same study is owed again: what it refers to may be
    what was sent now."""
    table, jobs, this = schema.deliveries, schema.jobs, schema.jobs.alias("this")
    query = (
        sa.select(table.c.id)
        .join(jobs, jobs.c.id == table.c.job_id)
        .join(this, this.c.study_id == jobs.c.study_id)
        .join(schema.results, schema.results.c.id == table.c.result_id)
        .where(this.c.id == sent.job_id, table.c.destination == sent.destination)
        .where(table.c.state == _LEFT_OUT.value, table.c.reason == reason)
        .where(schema.results.c.is_current)
        .order_by(table.c.id)
    )
    ids = list(tx.scalars(query))
    _owe_again(tx, ids, at, "what it refers to may have been sent meanwhile")
    return len(ids)


def ask_for(tx: Transaction, destination: str, job_id: int, at: datetime) -> int:
    """A person wants all of a job to be considered anew. Gives how many objects are owed again.

    Raises
    ------
    NotFound
    Superseded
        A newer job's results go there: the older ones would come to lie on top of them.
    """
    jobs = schema.jobs
    is_it = (jobs.c.id == job_id, *only_seen(tx, jobs.c.study_id))
    if tx.scalar(sa.select(jobs.c.id).where(*is_it)) is None:
        raise NotFound(f"there is no job {job_id}")
    successor = successors.that_owes(tx, job_id, destination)
    if successor is not None:
        raise Superseded(job_id, successor)
    before = _ids(tx, destination, job_id, (_PENDING,))
    outbox.enter(tx, job_id, (destination,), at)
    entered = set(_ids(tx, destination, job_id, (_PENDING,))) - set(before)
    ids = _ids(tx, destination, job_id, (_LEFT_OUT, DeliveryState.FAILED))
    _owe_again(tx, ids, at, "asked for by a person")
    return len(entered) + len(ids)


def _ids(
    tx: Transaction,
    destination: str,
    job_id: int,
    states: Iterable[DeliveryState],
    kinds: Collection[ObjectKind] = tuple(ObjectKind),
) -> list[int]:
    """Of what is still there: a job that ran again may have written over what it made before."""
    table, results = schema.deliveries, schema.results
    query = (
        sa.select(table.c.id)
        .join(results, results.c.id == table.c.result_id)
        .where(table.c.job_id == job_id, table.c.destination == destination)
        .where(results.c.id.in_(list(outbox.made_last(tx, job_id))))
        .where(table.c.state.in_([one.value for one in states]))
        .where(results.c.kind.in_([one.value for one in kinds]))
    )
    return list(tx.scalars(query.order_by(table.c.id)))


def _owe_again(tx: Transaction, ids: list[int], at: datetime, why: str) -> None:
    table = schema.deliveries
    for state in (_LEFT_OUT, DeliveryState.FAILED):
        query = sa.select(table.c.id).where(table.c.id.in_(ids), table.c.state == state.value)
        some = list(tx.scalars(query))
        outbox.change_all(tx, some, state=_PENDING.value, not_before=at, attempts=0, reason="")
        outbox.tell_all(tx, at, Level.INFO, some, _PENDING, why, state)


def left_out_of_jobs(tx: Transaction, job_ids: Iterable[int]) -> list[LeftOut]:
    """What was not sent of some jobs, by destination, kind and reason."""
    table, results = schema.deliveries, schema.results
    key = (table.c.job_id, table.c.destination, results.c.kind, table.c.reason)
    query = (
        sa.select(*key, sa.func.count().label("number"))
        .join(results, results.c.id == table.c.result_id)
        .where(table.c.state == _LEFT_OUT.value)
        .group_by(*key)
        .order_by(*key)
    )
    return [
        LeftOut(row.job_id, row.destination, ObjectKind(row.kind), row.reason, row.number)
        for part in outbox.parts(sorted(set(job_ids)))
        for row in tx.execute(query.where(table.c.job_id.in_(part)))
    ]
