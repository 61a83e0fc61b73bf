"""Peers' storage commitment requests: what each asks about, what was found, and the report owed.

received → checked → reported | failed. A row is committed before the request is answered, so a
report is owed whatever happens to the node or the association.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.errors import NotFound, StorageError
from storage.records import (
    CheckedReference,
    CommitmentRequest,
    CommitmentState,
    Level,
    Reference,
    StoredInstance,
    Topic,
)

_AT_ONCE = 500


class TransactionUIDTaken(StorageError):
    """The requestor has used the Transaction UID for other instances."""


def enter(
    tx: Transaction,
    transaction_uid: str,
    requestor_ae: str,
    host: str,
    association: str,
    references: Iterable[Reference],
    at: datetime,
) -> int:
    """Enter a request; gives its id.

    The same request again gets no second row: it is checked and reported anew.

    Raises
    ------
    TransactionUIDTaken
    """
    table = schema.commitment_requests
    wanted = frozenset(references)
    query = sa.select(table.c.id).where(
        table.c.transaction_uid == transaction_uid, table.c.requestor_ae == requestor_ae
    )
    known = tx.scalar(query.with_for_update())
    values = {
        "host": host,
        "association": association,
        "state": CommitmentState.RECEIVED.value,
        "received_at": at,
        "not_before": at,
        "attempts": 0,
        "reason": "",
    }
    if known is not None:
        if frozenset(one.reference for one in references_of(tx, known)) != wanted:
            raise TransactionUIDTaken("the Transaction UID is in use for other instances")
        _set(tx, known, **values)
        _event(tx, at, known, Level.INFO, "", CommitmentState.RECEIVED, "asked again")
        return int(known)
    row = tx.execute(
        sa.insert(table).values(
            transaction_uid=transaction_uid, requestor_ae=requestor_ae, **values
        )
    )
    entered = int((row.inserted_primary_key or (0,))[0])
    tx.execute(
        sa.insert(schema.commitment_references),
        [
            {
                "request_id": entered,
                "sop_instance_uid": one.sop_instance_uid,
                "sop_class_uid": one.sop_class_uid,
            }
            for one in wanted
        ],
    )
    reason = f"{len(wanted)} instances, asked by {requestor_ae}"
    _event(tx, at, entered, Level.INFO, "", CommitmentState.RECEIVED, reason)
    return entered


def due(
    tx: Transaction, state: CommitmentState, at: datetime, limit: int = 100
) -> list[CommitmentRequest]:
    """Requests that are to be checked, or reported, now; the longest waiting first."""
    query = _due().limit(limit)
    return [_request(row) for row in tx.execute(query, {"state": state.value, "at": at})]


@cache
def _due() -> sa.Select[Any]:
    table = schema.commitment_requests
    return (
        sa.select(table)
        .where(table.c.state == sa.bindparam("state"), table.c.not_before <= sa.bindparam("at"))
        .order_by(table.c.not_before, table.c.id)
    )


def is_any_open(tx: Transaction) -> bool:
    """Whether a request is to be checked or reported, now or later."""
    return bool(tx.scalar(_any_open()))


@cache
def _any_open() -> sa.Select[bool]:
    table = schema.commitment_requests
    states = (CommitmentState.RECEIVED.value, CommitmentState.CHECKED.value)
    return sa.select(sa.exists().where(table.c.state.in_(states)))


def get(tx: Transaction, request_id: int) -> CommitmentRequest:
    """One request.

    Raises
    ------
    NotFound
    """
    table = schema.commitment_requests
    row = tx.execute(sa.select(table).where(table.c.id == request_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no commitment request {request_id}")
    return _request(row)


def references_of(tx: Transaction, request_id: int) -> list[CheckedReference]:
    """The instances a request names, with what was found."""
    table = schema.commitment_references
    query = sa.select(table).where(table.c.request_id == request_id)
    return [
        CheckedReference(Reference(row.sop_class_uid, row.sop_instance_uid), row.failure)
        for row in tx.execute(query.order_by(table.c.sop_instance_uid, table.c.sop_class_uid))
    ]


def not_indexed(tx: Transaction, request_id: int) -> list[str]:
    """The SOP instance UIDs of a request that the index does not have."""
    named, instances = schema.commitment_references, schema.instances
    known = sa.exists().where(instances.c.sop_instance_uid == named.c.sop_instance_uid)
    query = sa.select(named.c.sop_instance_uid).distinct()
    return sorted(tx.scalars(query.where(named.c.request_id == request_id, ~known)))


def stored_instances(tx: Transaction, uids: Sequence[str]) -> Mapping[str, StoredInstance]:
    """What the index has of these SOP instance UIDs."""
    table = schema.instances
    found: dict[str, StoredInstance] = {}
    for start in range(0, len(uids), _AT_ONCE):
        query = sa.select(table).where(table.c.sop_instance_uid.in_(uids[start : start + _AT_ONCE]))
        for row in tx.execute(query):
            found[row.sop_instance_uid] = StoredInstance(
                row.id, row.sop_instance_uid, row.sop_class_uid, row.transfer_syntax_uid,
                row.key, row.size_bytes, row.sha256, row.header, row.own,
            )  # fmt: skip
    return found


def studies_of(tx: Transaction, request_id: int) -> list[str]:
    """The study instance UIDs of those instances of a request that the index has."""
    named, instances = schema.commitment_references, schema.instances
    series, studies = schema.series, schema.studies
    query = (
        sa.select(studies.c.study_instance_uid)
        .distinct()
        .select_from(named)
        .join(instances, instances.c.sop_instance_uid == named.c.sop_instance_uid)
        .join(series, series.c.id == instances.c.series_id)
        .join(studies, studies.c.id == series.c.study_id)
        .where(named.c.request_id == request_id)
    )
    return sorted(tx.scalars(query))


def checked(
    tx: Transaction,
    request_id: int,
    at: datetime,
    findings: Sequence[CheckedReference],
    due: datetime,
) -> None:
    """Every instance was looked at: the report is owed, and due at a time."""
    table = schema.commitment_references
    by_failure: dict[int, list[Reference]] = {}
    for one in findings:
        by_failure.setdefault(one.failure or 0, []).append(one.reference)
    for failure, members in by_failure.items():
        for start in range(0, len(members), _AT_ONCE):
            part = [
                (one.sop_instance_uid, one.sop_class_uid)
                for one in members[start : start + _AT_ONCE]
            ]
            pair = sa.tuple_(table.c.sop_instance_uid, table.c.sop_class_uid)
            tx.execute(
                sa.update(table)
                .where(table.c.request_id == request_id, pair.in_(part))
                .values(failure=failure)
            )
    _set(tx, request_id, state=CommitmentState.CHECKED.value, not_before=due, attempts=0)
    bad = sum(bool(one.failure) for one in findings)
    level = Level.ALARM if bad else Level.INFO
    reason = f"{len(findings) - bad} instances committed"
    if bad:
        sender = get(tx, request_id).requestor_ae
        reason = (
            f"{bad} of {len(findings)} instances that {sender} asked about are missing or damaged"
        )
    _event(tx, at, request_id, level, CommitmentState.RECEIVED, CommitmentState.CHECKED, reason)


def check_later(tx: Transaction, request_id: int, not_before: datetime) -> None:
    """Instances are missing that may still be on their way."""
    _set(tx, request_id, not_before=not_before)


def reported(tx: Transaction, request_id: int, at: datetime) -> None:
    """The requestor has the report."""
    _set(tx, request_id, state=CommitmentState.REPORTED.value, reported_at=at, reason="")
    before = CommitmentState.CHECKED
    _event(tx, at, request_id, Level.INFO, before, CommitmentState.REPORTED, "")


def report_later(tx: Transaction, request_id: int, not_before: datetime, reason: str) -> None:
    """The report did not get through: due again at ``not_before``."""
    table = schema.commitment_requests
    values = {"not_before": not_before, "reason": reason, "attempts": table.c.attempts + 1}
    _set(tx, request_id, **values)


def failed(tx: Transaction, request_id: int, at: datetime, reason: str) -> None:
    """The requestor cannot be told: an alarm."""
    _set(tx, request_id, state=CommitmentState.FAILED.value, reason=reason)
    before = CommitmentState.CHECKED
    _event(tx, at, request_id, Level.ALARM, before, CommitmentState.FAILED, reason)


def _set(tx: Transaction, request_id: int, **values: Any) -> None:
    table = schema.commitment_requests
    if tx.execute(sa.update(table).where(table.c.id == request_id).values(**values)).rowcount == 0:
        raise NotFound(f"there is no commitment request {request_id}")


def _event(
    tx: Transaction,
    at: datetime,
    request_id: int,
    level: Level,
    before: str,
    after: CommitmentState,
    reason: str,
) -> None:
    events.record(tx, at, level, Topic.COMMITMENT, request_id, before, after, reason)


def _request(row: sa.Row[Any]) -> CommitmentRequest:
    return CommitmentRequest(
        id=row.id,
        transaction_uid=row.transaction_uid,
        requestor_ae=row.requestor_ae,
        host=row.host,
        association=row.association,
        state=CommitmentState(row.state),
        received_at=row.received_at,
        not_before=row.not_before,
        attempts=row.attempts,
        reason=row.reason,
    )
