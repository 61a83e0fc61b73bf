"""Refused instances that were kept aside: one row for each, however often it is sent again.

A file's name holds the digest of its bytes, so a repeat makes neither file nor row: it is counted.
All that was refused of one study for one kind of reason shares an alarm while that is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.errors import NotFound, StorageError
from storage.records import Level, Topic
from storage.restriction import only_of_seen_uids
from storage.upsert import insert

_QUARANTINED = "quarantined"
_AT_ONCE = 500
_MAX_UID = 64
"""PS3.5 chapter 9: what is longer is no UID, and kept only in the file."""


class RefusalKind(StrEnum):
    """Why an instance was kept aside; the file's name begins with it."""

    CONFLICT = "conflict"
    """Its UID is taken by an instance with other bytes."""
    REPLACED = "replaced"
    """Not refused: stored, until a person accepted other bytes in its place."""
    RETURNED = "returned"
    """Not refused: it came back of a result that the node made, with other bytes; the node's own
    are what it holds."""
    UNREADABLE = "unreadable"
    SOP_CLASS_MISMATCH = "sop-class-mismatch"
    SOP_INSTANCE_MISMATCH = "sop-instance-mismatch"


@dataclass(frozen=True, slots=True)
class Refused:
    """An instance that was refused just now, and lies in the quarantine folder."""

    key: str
    """Its file there."""
    kind: RefusalKind
    reason: str
    sha256: str
    """Of the data set's bytes."""
    sop_instance_uid: str = ""
    """As the command called it."""
    study_instance_uid: str = ""
    """Empty where the data set could not be read."""
    calling_ae: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row: a refused instance, and how often it was sent."""

    id: int
    refused: Refused
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    accepted_at: datetime | None = None
    """When a person wanted it to take the place of what is stored."""


class NoCorrection(StorageError):
    """What was refused cannot take the place of a stored instance; the message says why not."""


def enter(tx: Transaction, at: datetime, refused: Refused) -> None:
    """Count a refused instance; the first time, raise the alarm or join the open one."""
    table = schema.quarantine
    _count(tx, at, refused)
    row = tx.execute(sa.select(table).where(table.c.key == refused.key)).one()
    if row.event_id is not None:
        return
    event_id = _open_alarm(tx, row) or _raise_alarm(tx, at, row)
    tx.execute(sa.update(table).where(table.c.id == row.id).values(event_id=event_id))
    members = sa.select(sa.func.count()).where(table.c.event_id == event_id)
    events.reword(tx, event_id, _wording(row, tx.scalar(members) or 1))


def returned(tx: Transaction, at: datetime, study_id: int, kept: Sequence[Refused]) -> None:
    """Results came back with other bytes, and lie in quarantine; no alarm: nothing is to be done.

    The event of it tells of those that were not seen before.
    """
    table = schema.quarantine
    names = [one.key for one in kept]
    seen = len(tx.scalars(sa.select(table.c.id).where(table.c.key.in_(names))).all())
    for one in kept:
        _count(tx, at, one)
    if len(set(names)) > seen:
        reason = (
            f"{len(set(names)) - seen} results of this node came back with other bytes"
            f" (from {kept[0].calling_ae or 'unknown'}): its own are kept, those lie in quarantine"
        )
        events.record(tx, at, Level.INFO, Topic.STUDY, study_id, "", RefusalKind.RETURNED, reason)


def _count(tx: Transaction, at: datetime, refused: Refused) -> None:
    table = schema.quarantine
    is_uid = len(refused.sop_instance_uid) <= _MAX_UID
    row = {
        "key": refused.key,
        "kind": refused.kind.value,
        "reason": refused.reason,
        "sha256": refused.sha256,
        "sop_instance_uid": refused.sop_instance_uid if is_uid else "",
        "study_instance_uid": refused.study_instance_uid,
        "calling_ae": refused.calling_ae,
        "count": 1,
        "first_seen_at": at,
        "last_seen_at": at,
    }
    again = {"count": table.c["count"] + 1, "last_seen_at": at, "calling_ae": refused.calling_ae}
    statement = insert(tx.dialect.name, table).values(row)
    tx.execute(statement.on_conflict_do_update(index_elements=[table.c.key], set_=again))


def _open_alarm(tx: Transaction, row: sa.Row[Any]) -> int | None:
    """The alarm of the same study and kind that nobody has acknowledged.

    What names no study is told apart by who sent it.
    """
    table, alarms = schema.quarantine, schema.events
    query = (
        sa.select(table.c.event_id)
        .join(alarms, alarms.c.id == table.c.event_id)
        .where(table.c.study_instance_uid == row.study_instance_uid, table.c.kind == row.kind)
        .where(alarms.c.acknowledged.is_(False))
        .order_by(table.c.event_id.desc())
        .limit(1)
    )
    if not row.study_instance_uid:
        query = query.where(table.c.calling_ae == row.calling_ae)
    return tx.scalar(query)


def _raise_alarm(tx: Transaction, at: datetime, row: sa.Row[Any]) -> int:
    studies = schema.studies
    query = sa.select(studies.c.id).where(studies.c.study_instance_uid == row.study_instance_uid)
    study_id = tx.scalar(query)
    subject = Topic.INSTANCE if study_id is None else Topic.STUDY
    about = row.id if study_id is None else study_id
    return events.record(tx, at, Level.ALARM, subject, about, "", _QUARANTINED, "")


def _wording(row: sa.Row[Any], number: int) -> str:
    images = "1 image" if number == 1 else f"{number} images"
    sender = row.calling_ae or "unknown"
    return f"{images} refused and kept in quarantine: {row.reason} (from {sender})"


_SEEN = (schema.quarantine.c.last_seen_at, schema.quarantine.c.id)


def newest(tx: Transaction, limit: int = 100) -> list[Quarantined]:
    """What was refused, the last seen first."""
    table = schema.quarantine
    order = (table.c.last_seen_at.desc(), table.c.id.desc())
    seen = only_of_seen_uids(tx, table.c.study_instance_uid)
    rows = tx.execute(sa.select(table).where(*seen).order_by(*order).limit(limit))
    return [_quarantined(row) for row in rows]


def _quarantined(row: sa.Row[Any]) -> Quarantined:
    refused = Refused(
        key=row.key,
        kind=RefusalKind(row.kind),
        reason=row.reason,
        sha256=row.sha256,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        calling_ae=row.calling_ae,
    )
    return Quarantined(
        row.id,
        refused,
        row._mapping["count"],
        row.first_seen_at,
        row.last_seen_at,
        row.accepted_at,
    )


# --- corrections ----------------------------------------------------------------------------------


def accept(tx: Transaction, quarantined_id: int, at: datetime, whole_study: bool = False) -> int:
    """A person wants the newer bytes; gives how many images that concerns.

    whole_study: all that was refused of the same study for the same reason; of several to one
        UID the last seen.

    Raises
    ------
    NotFound, NoCorrection
    """
    table = schema.quarantine
    seen = only_of_seen_uids(tx, table.c.study_instance_uid)
    chosen = sa.select(table).where(table.c.id == quarantined_id, *seen)
    row = tx.execute(chosen).one_or_none()
    if row is None:
        raise NotFound(f"there is no refused image {quarantined_id}")
    if row.kind != RefusalKind.CONFLICT.value:
        raise NoCorrection(f"it was refused for another reason: {row.reason}")
    wanted = [row]
    if whole_study and row.study_instance_uid:
        alike = sa.select(table).where(
            table.c.study_instance_uid == row.study_instance_uid, table.c.kind == row.kind
        )
        newest = {one.sop_instance_uid: one for one in tx.execute(alike.order_by(*_SEEN)).all()}
        wanted = list(newest.values())
    ids = [one.id for one in wanted]
    for start in range(0, len(ids), _AT_ONCE):
        some = table.c.id.in_(ids[start : start + _AT_ONCE])
        tx.execute(sa.update(table).where(some).values(accepted_at=at))
    return len(ids)


def accepted(tx: Transaction, limit: int = _AT_ONCE) -> list[Quarantined]:
    """What is to take the place of stored instances, study by study."""
    table = schema.quarantine
    query = sa.select(table).where(table.c.accepted_at.is_not(None))
    rows = tx.execute(query.order_by(table.c.study_instance_uid, table.c.id).limit(limit))
    return [_quarantined(row) for row in rows]


def replaced(tx: Transaction, at: datetime, done: Quarantined, old: Refused) -> None:
    """The newer bytes are stored; the old ones lie in quarantine, as history."""
    table = schema.quarantine
    event_id = tx.scalar(sa.select(table.c.event_id).where(table.c.id == done.id))
    tx.execute(sa.delete(table).where(table.c.id == done.id))
    left = sa.select(sa.func.count()).where(table.c.event_id == event_id)
    if event_id is not None and not tx.scalar(left):
        events.acknowledge(tx, event_id)
    _count(tx, at, old)


def drop_acceptance(tx: Transaction, done: Quarantined) -> None:
    """It stays refused."""
    table = schema.quarantine
    tx.execute(sa.update(table).where(table.c.id == done.id).values(accepted_at=None))
