"""Whether destinations have taken responsibility for the results that were sent to them.

owed → requested → committed | refused. A row is entered with the delivery's success, for those
destinations of which commitment is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from storage import outbox, schema
from storage.database import Transaction
from storage.records import Reference, ResultCommitmentState, ResultToCommit

_OPEN = (ResultCommitmentState.OWED.value, ResultCommitmentState.REQUESTED.value)


def owe(tx: Transaction, delivery_id: int, at: datetime) -> None:
    """An object was sent: its destination is to be asked to commit to it."""
    table, deliveries = schema.result_commitments, schema.deliveries
    name = sa.select(deliveries.c.destination).where(deliveries.c.id == delivery_id)
    tx.execute(sa.delete(table).where(table.c.delivery_id == delivery_id))
    tx.execute(
        sa.insert(table).values(
            delivery_id=delivery_id,
            destination=tx.execute(name).scalar_one(),
            state=ResultCommitmentState.OWED.value,
            owed_at=at,
            not_before=at,
        )
    )


def claim(
    tx: Transaction, destination: str, transaction_uid: str, at: datetime, limit: int = 500
) -> list[ResultToCommit]:
    """Take what is to be asked of a destination now, under a Transaction UID.

    ``requested`` is committed before the request goes out, so that a report is understood however
    soon it comes; ``ask_later`` takes it back.
    """
    table, deliveries, results = (schema.result_commitments, schema.deliveries, schema.results)
    query = (
        sa.select(table, results.c.sop_class_uid, results.c.sop_instance_uid)
        .join(deliveries, deliveries.c.id == table.c.delivery_id)
        .join(results, results.c.id == deliveries.c.result_id)
        .where(
            table.c.destination == destination,
            table.c.state.in_(_OPEN),
            table.c.not_before <= at,
        )
        .order_by(table.c.delivery_id)
        .limit(limit)
    )
    due = [
        ResultToCommit(
            row.delivery_id, Reference(row.sop_class_uid, row.sop_instance_uid), row.attempts
        )
        for row in tx.execute(query)
    ]
    if due:
        tx.execute(
            sa.update(table)
            .where(table.c.delivery_id.in_([one.delivery_id for one in due]))
            .values(
                state=ResultCommitmentState.REQUESTED.value,
                transaction_uid=transaction_uid,
                attempts=table.c.attempts + 1,
            )
        )
    return due


def ask_later(
    tx: Transaction, transaction_uid: str, not_before: datetime, was_asked: bool = False
) -> None:
    """When a destination is to be asked again; with ``was_asked`` its report is still awaited."""
    table = schema.result_commitments
    state = ResultCommitmentState.REQUESTED if was_asked else ResultCommitmentState.OWED
    tx.execute(
        sa.update(table)
        .where(table.c.transaction_uid == transaction_uid, table.c.state.in_(_OPEN))
        .values(state=state.value, not_before=not_before)
    )


def settle(
    tx: Transaction,
    transaction_uid: str,
    committed: Sequence[Reference],
    failed: Mapping[Reference, int],
    at: datetime,
) -> int | None:
    """Enter a destination's report; gives how many objects it settled, None for a transaction
    that nobody began.

    What the destination did not commit to counts as not delivered: an alarm, and it can be sent
    again. A report that comes twice changes nothing.
    """
    table, deliveries, results = (schema.result_commitments, schema.deliveries, schema.results)
    query = (
        sa.select(table.c.delivery_id, table.c.state, results.c.sop_instance_uid)
        .join(deliveries, deliveries.c.id == table.c.delivery_id)
        .join(results, results.c.id == deliveries.c.result_id)
        .where(table.c.transaction_uid == transaction_uid)
    )
    rows = tx.execute(query).all()
    if not rows or not transaction_uid:
        return None
    good = {one.sop_instance_uid for one in committed}
    bad = {one.sop_instance_uid: failure for one, failure in failed.items()}
    settled = 0
    for row in rows:
        uid = row.sop_instance_uid
        if row.state not in _OPEN or (uid not in good and uid not in bad):
            continue
        settled += 1
        failure = bad.get(uid)
        state = ResultCommitmentState.COMMITTED
        if failure is not None:
            state = ResultCommitmentState.REFUSED
            reason = f"sent, but the destination does not commit to it (0x{failure:04X})"
            outbox.failed(tx, row.delivery_id, at, None, reason)
        tx.execute(
            sa.update(table)
            .where(table.c.delivery_id == row.delivery_id)
            .values(state=state.value, failure=failure, settled_at=at)
        )
    return settled
