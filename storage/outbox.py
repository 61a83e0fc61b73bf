"""The outbox: which object is owed to which destination, and what became of it.

pending → sending → sent | failed, or superseded, or left out (``storage.selection``). Rows are
entered with the job that made the objects; what a newer job has taken the place of is not sent any
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage import events, schema, successors
from storage.database import Transaction
from storage.errors import NotFound
from storage.kinds import REPORTS, ObjectKind
from storage.records import Delivery, DeliveryState, Level, Priority, ResultObject, Topic
from storage.restriction import only_of_seen_jobs
from storage.successors import Superseded

_Value = TypeVar("_Value", int, str)

_AT_ONCE = 500
_SUPERSEDED = DeliveryState.SUPERSEDED


def enter(tx: Transaction, job_id: int, destinations: Iterable[str], at: datetime) -> int:
    """Owe every result of a job to every destination; what is owed or sent already stays.

    What an earlier job still owes there is not sent any more, if this one has taken its place.
    """
    table, names = schema.deliveries, tuple(destinations)
    rows = _rows(tx, job_id, names, at)
    if rows:
        tx.execute(sa.insert(table), rows)
    _hurry(tx, job_id, at)
    _drop_what_is_older(tx, job_id, {row["destination"] for row in rows}, at)
    return len(rows)


def _hurry(tx: Transaction, job_id: int, at: datetime) -> None:
    """What was not offered yet may have waited for a further form, which is there now."""
    table = schema.deliveries
    waiting = (table.c.state == DeliveryState.PENDING.value, table.c.attempts == 0)
    query = sa.update(table).where(table.c.job_id == job_id, *waiting, table.c.not_before > at)
    tx.execute(query.values(not_before=at))


def _rows(
    tx: Transaction, job_id: int, destinations: Sequence[str], at: datetime
) -> list[dict[str, Any]]:
    table, jobs = schema.deliveries, schema.jobs
    ids = list(made_last(tx, job_id))
    if not ids:
        return []
    query = sa.select(table.c.result_id, table.c.destination).where(table.c.job_id == job_id)
    known = {(row.result_id, row.destination) for row in tx.execute(query)}
    priority = tx.execute(sa.select(jobs.c.priority).where(jobs.c.id == job_id)).scalar_one()
    overtaken = {one for one in destinations if successors.that_owes(tx, job_id, one)}
    return [
        {
            "job_id": job_id,
            "result_id": result_id,
            "destination": destination,
            "state": (_SUPERSEDED if destination in overtaken else DeliveryState.PENDING).value,
            "urgency": urgency(Priority(priority)),
            "not_before": at,
        }
        for destination in destinations
        for result_id in ids
        if (result_id, destination) not in known
    ]


def made_last(tx: Transaction, job_id: int) -> dict[int, str]:
    """The UIDs of what a job has made, by row numbers, without what it has written over since."""
    table = schema.results
    query = sa.select(table.c.id, table.c.sop_instance_uid)
    found = tx.execute(query.where(table.c.job_id == job_id, table.c.is_current))
    return {row.id: row.sop_instance_uid for row in found.all()}


def _drop_what_is_older(
    tx: Transaction, job_id: int, destinations: Iterable[str], at: datetime
) -> None:
    table, jobs, earlier = schema.deliveries, schema.jobs, schema.jobs.alias("earlier")
    superseded = (
        sa.select(earlier.c.id)
        .select_from(jobs.join(earlier, successors.is_after(jobs, earlier)))
        .where(jobs.c.id == job_id)
    )
    query = sa.select(table.c.id).where(
        table.c.job_id.in_(superseded),
        table.c.destination.in_(tuple(destinations)),
        table.c.state == DeliveryState.PENDING.value,
    )
    _drop(tx, tx.scalars(query).all(), job_id, at, DeliveryState.PENDING)


MADE_ANEW = "not sent: its job ran again, and made it anew"
MADE_AGAIN = "its job ran again, and made this one again"


def ran_again(tx: Transaction, job_id: int, at: datetime) -> None:
    """What is still owed of objects that the job's last run wrote over is not sent; what an earlier
    run had written over, and this one made again, is owed again."""
    gone = _of_results(tx, job_id, DeliveryState.PENDING, is_current=False)
    _drop_pending(tx, gone, at, MADE_ANEW)
    back = _of_results(tx, job_id, _SUPERSEDED, is_current=True, reason=MADE_ANEW)
    values = {"state": DeliveryState.PENDING.value, "not_before": at, "attempts": 0, "reason": ""}
    change_all(tx, back, **values)
    tell_all(tx, at, Level.INFO, back, DeliveryState.PENDING, MADE_AGAIN, _SUPERSEDED)


def _of_results(
    tx: Transaction, job_id: int, state: DeliveryState, is_current: bool, reason: str = ""
) -> list[int]:
    """Deliveries of a job in a state, and of its last run or not."""
    table, results = schema.deliveries, schema.results
    query = (
        sa.select(table.c.id)
        .join(results, results.c.id == table.c.result_id)
        .where(table.c.job_id == job_id, table.c.state == state.value)
        .where(results.c.is_current if is_current else ~results.c.is_current)
        .order_by(table.c.id)
    )
    return list(tx.scalars(query.where(table.c.reason == reason) if reason else query))


def drop_unsent(tx: Transaction, job_id: int, at: datetime, reason: str) -> None:
    """What a job still owes is not sent."""
    table = schema.deliveries
    query = sa.select(table.c.id).where(
        table.c.job_id == job_id, table.c.state == DeliveryState.PENDING.value
    )
    _drop_pending(tx, tx.scalars(query).all(), at, reason)


def _drop_pending(tx: Transaction, gone: Sequence[int], at: datetime, reason: str) -> None:
    if gone:
        change_all(tx, gone, state=_SUPERSEDED.value, reason=reason)
        tell_all(tx, at, Level.INFO, gone, _SUPERSEDED, reason, DeliveryState.PENDING)


def _drop(
    tx: Transaction,
    delivery_ids: Sequence[int],
    successor: int,
    at: datetime,
    before: DeliveryState = DeliveryState.SENDING,
) -> None:
    reason = f"not sent: job {successor} has taken its place"
    change_all(tx, delivery_ids, state=_SUPERSEDED.value, reason=reason)
    tell_all(tx, at, Level.INFO, delivery_ids, _SUPERSEDED, reason, before)


def urgency(priority: Priority) -> int:
    """The place of a priority in the order of sending: 0 goes first."""
    return list(Priority).index(priority)


def claim(
    tx: Transaction, destination: str, at: datetime, limit: int = 500, jobs: int = 1
) -> list[Delivery]:
    """Take the due objects of the next jobs that are equally urgent: STAT first, then by age; of
    each job by the rank of the kind, the report last.

    A report waits for the objects it refers to as long as these wait for another attempt.
    """
    table, results = schema.deliveries, schema.results
    due = _next_jobs(tx, destination, at, jobs)
    if not due:
        return []
    chosen = [one.job_id for one in due if one.urgency == due[0].urgency]
    ranks = {kind.value: kind.rank for kind in ObjectKind}
    rank = sa.case(ranks, value=results.c.kind, else_=len(ranks))
    query = (
        sa.select(table.c.id)
        .join(results, table.c.result_id == results.c.id)
        .where(table.c.job_id.in_(chosen), *_due(destination, at, schema.unindexed))
        .order_by(table.c.urgency, table.c.job_id, rank, results.c.id)
    )
    ids = list(tx.scalars(query.limit(limit)))
    values = {"state": DeliveryState.SENDING.value, "attempts": table.c.attempts + 1}
    change_all(tx, ids, **values)
    found = {row.id: row for row in tx.execute(select_deliveries().where(table.c.id.in_(ids)))}
    return [delivery_of(found[one]) for one in ids]


def _next_jobs(tx: Transaction, destination: str, at: datetime, limit: int) -> Sequence[Any]:
    """Along ``ix_deliveries_next``: what is put off is passed over, and nothing is sorted."""
    table, results = schema.deliveries, schema.results
    query = (
        sa.select(table.c.urgency, table.c.job_id)
        .distinct()
        .join(results, table.c.result_id == results.c.id)
        .where(*_due(destination, at))
        .order_by(table.c.urgency, table.c.job_id)
    )
    return tx.execute(query.limit(limit)).all()


def _due(
    destination: str, at: datetime, state_as: Callable[[Any], Any] = lambda column: column
) -> tuple[sa.ColumnElement[bool], ...]:
    table, results = schema.deliveries, schema.results
    return (
        state_as(table.c.destination) == destination,
        state_as(table.c.state) == DeliveryState.PENDING.value,
        schema.unindexed(table.c.not_before) <= at,
        sa.or_(results.c.kind.not_in(REPORTS), ~_waiting_parts(at)),
    )


def _waiting_parts(at: datetime) -> sa.Exists:
    """Whether something else of the same job is to be sent to the same destination later."""
    table = schema.deliveries
    other, kind = table.alias(), schema.results.alias()
    return sa.exists(
        sa.select(other.c.id)
        .join(kind, other.c.result_id == kind.c.id)
        .where(
            other.c.job_id == table.c.job_id,
            other.c.destination == table.c.destination,
            other.c.state == DeliveryState.PENDING.value,
            other.c.not_before > at,
            kind.c.kind.not_in(REPORTS),
        )
    )


def sent(tx: Transaction, delivery_id: int, at: datetime, status: int, how: str = "") -> None:
    """The destination has stored the object; ``how`` that is known, where not by an answer."""
    values = {"state": DeliveryState.SENT.value, "sent_at": at, "status": status, "reason": ""}
    _set(tx, delivery_id, **values, in_doubt=False)
    _event(tx, at, Level.INFO, delivery_id, DeliveryState.SENT, how)


def failed(
    tx: Transaction, delivery_id: int, at: datetime, status: int | None, reason: str
) -> None:
    """The destination will not take the object: an alarm."""
    _set(tx, delivery_id, state=DeliveryState.FAILED.value, status=status, reason=reason)
    _event(tx, at, Level.ALARM, delivery_id, DeliveryState.FAILED, reason)


def retry_later(
    tx: Transaction,
    delivery_id: int,
    at: datetime,
    not_before: datetime,
    status: int | None,
    reason: str,
    in_doubt: bool = False,
) -> None:
    """Not stored this time, or ``in_doubt``: due again at ``not_before``."""
    successor = _overtaking(tx, delivery_id)
    if successor is not None:
        _drop(tx, [delivery_id], successor, at)
        return
    state = DeliveryState.PENDING
    values = {"state": state.value, "not_before": not_before, "status": status, "reason": reason}
    _set(tx, delivery_id, **values, in_doubt=in_doubt)
    _event(tx, at, Level.WARNING, delivery_id, state, reason)


def give_back(
    tx: Transaction,
    delivery_ids: Sequence[int],
    at: datetime,
    not_before: datetime,
    reason: str = "",
) -> None:
    """Claimed and not offered: due again at ``not_before``, and no attempt.

    ``reason`` says what is waited for; empty keeps what was said before.
    """
    table = schema.deliveries
    ids = _not_overtaken(tx, delivery_ids, at)
    values: dict[str, Any] = {
        "state": DeliveryState.PENDING.value,
        "attempts": table.c.attempts - 1,
        "not_before": not_before,
    }
    change_all(tx, ids, **values, **({"reason": reason} if reason else {}))


def _not_overtaken(tx: Transaction, delivery_ids: Sequence[int], at: datetime) -> list[int]:
    """Of what was being sent that which is still to be; a successor's is sent instead of the
    rest."""
    table, kept = schema.deliveries, list[int]()
    query = sa.select(table.c.id, table.c.job_id, table.c.destination)
    by_job: dict[tuple[int, str], list[int]] = {}
    for part in parts(delivery_ids):
        for row in tx.execute(query.where(table.c.id.in_(part)).order_by(table.c.id)):
            by_job.setdefault((row.job_id, row.destination), []).append(row.id)
    for (job_id, destination), ids in by_job.items():
        successor = successors.that_owes(tx, job_id, destination)
        if successor is None:
            kept += ids
        else:
            _drop(tx, ids, successor, at)
    return kept


def _overtaking(tx: Transaction, delivery_id: int) -> int | None:
    table = schema.deliveries
    query = sa.select(table.c.job_id, table.c.destination).where(table.c.id == delivery_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else successors.that_owes(tx, row.job_id, row.destination)


def release_sending(tx: Transaction, at: datetime, destination: str = "") -> int:
    """What was being sent is due again: at start, or of one destination. Gives how many.

    At start each may have come through. Of one destination when its courier holds nothing: the
    answer to its claim was lost.
    """
    table = schema.deliveries
    query = sa.select(table.c.id).where(table.c.state == DeliveryState.SENDING.value)
    why = "the node was restarted"
    if destination:
        query = query.where(table.c.destination == destination)
        why = "the database was away when it was claimed"
    sending = tx.scalars(query).all()
    ids = _not_overtaken(tx, sending, at)
    doubt = {} if destination else {"in_doubt": True}
    change_all(tx, ids, state=DeliveryState.PENDING.value, not_before=at, **doubt)
    tell_all(tx, at, Level.INFO, ids, DeliveryState.PENDING, why)
    return len(sending)


def restart_job(tx: Transaction, job_id: int, at: datetime) -> int:
    """A person wants what failed to be sent again. Gives how many objects are due.

    What the job has written over since is not there any more.

    Raises
    ------
    Superseded
        A newer job's results go there: the older ones would come to lie on top of them.
    """
    table = schema.deliveries
    before, after = DeliveryState.FAILED, DeliveryState.PENDING
    there = _of_results(tx, job_id, before, is_current=True)
    query = sa.select(table.c.id, table.c.destination).where(table.c.id.in_(there))
    given_up = tx.execute(query).all()
    for destination in {row.destination for row in given_up}:
        successor = successors.that_owes(tx, job_id, destination)
        if successor is not None:
            raise Superseded(job_id, successor)
    ids = [row.id for row in given_up]
    change_all(tx, ids, state=after.value, not_before=at, attempts=0)
    tell_all(tx, at, Level.INFO, ids, after, "restarted by a person", before)
    return len(ids)


def owed(tx: Transaction) -> frozenset[str]:
    """The destinations to which something is still to be sent."""
    table = schema.deliveries
    unsent = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)
    query = sa.select(table.c.destination).where(table.c.state.in_(unsent))
    return frozenset(tx.scalars(query.distinct()))


def next_due(tx: Transaction, destination: str) -> datetime | None:
    """When the next object is due for a destination; None when nothing is owed."""
    table = schema.deliveries
    found: datetime | None = tx.scalar(
        sa.select(sa.func.min(table.c.not_before)).where(
            table.c.destination == destination,
            table.c.state == DeliveryState.PENDING.value,
            *only_of_seen_jobs(tx, table.c.job_id),
        )
    )
    return found


def list_deliveries(
    tx: Transaction,
    job_id: int | None = None,
    study_id: int | None = None,
    state: DeliveryState | None = None,
    limit: int = 200,
) -> list[Delivery]:
    """Deliveries, newest first."""
    table = schema.deliveries
    query = select_deliveries().order_by(table.c.id.desc()).limit(limit)
    query = query.where(*only_of_seen_jobs(tx, table.c.job_id))
    if job_id is not None:
        query = query.where(table.c.job_id == job_id)
    if study_id is not None:
        jobs = schema.jobs
        query = query.join(jobs, table.c.job_id == jobs.c.id).where(jobs.c.study_id == study_id)
    if state is not None:
        query = query.where(table.c.state == state.value)
    return [delivery_of(row) for row in tx.execute(query)]


def result_object(row: sa.Row[Any]) -> ResultObject:
    """The record of a row of ``results``."""
    return ResultObject(
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        series_instance_uid=row.series_instance_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        kind=ObjectKind(row.kind),
        key=row.key,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )


def select_deliveries() -> sa.Select[Any]:
    """Rows of which ``delivery_of`` makes records."""
    table, results = schema.deliveries, schema.results
    columns = [column for column in results.c if column.name not in ("id", "job_id")]
    return sa.select(table, *columns).join(results, table.c.result_id == results.c.id)


def delivery_of(row: sa.Row[Any]) -> Delivery:
    """The record of a row of ``deliveries``, with what it delivers."""
    return Delivery(
        id=row.id,
        job_id=row.job_id,
        destination=row.destination,
        state=DeliveryState(row.state),
        object=result_object(row),
        attempts=row.attempts,
        not_before=row.not_before,
        status=row.status,
        reason=row.reason,
        sent_at=row.sent_at,
        in_doubt=bool(row.in_doubt),
    )


def _set(tx: Transaction, delivery_id: int, **values: Any) -> None:
    table = schema.deliveries
    query = sa.update(table).where(table.c.id == delivery_id).values(**values)
    if tx.execute(query).rowcount == 0:
        raise NotFound(f"there is no delivery {delivery_id}")


def change_all(tx: Transaction, delivery_ids: Sequence[int], **values: Any) -> None:
    """Set columns of deliveries; the event of it is told apart."""
    table = schema.deliveries
    for part in parts(delivery_ids):
        tx.execute(sa.update(table).where(table.c.id.in_(part)).values(**values))


def parts(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """As many at a time as one statement may name."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _event(
    tx: Transaction,
    at: datetime,
    level: Level,
    delivery_id: int,
    state: DeliveryState,
    reason: str,
    before: DeliveryState = DeliveryState.SENDING,
) -> None:
    tell_all(tx, at, level, [delivery_id], state, reason, before)


def tell_all(
    tx: Transaction,
    at: datetime,
    level: Level,
    delivery_ids: Sequence[int],
    state: DeliveryState,
    reason: str,
    before: DeliveryState = DeliveryState.SENDING,
) -> None:
    """Enter the event of a change, one for each delivery."""
    events.record_all(tx, at, level, Topic.DELIVERY, delivery_ids, before, state, reason)
