"""What peers announce: instances that were made, or sent, and whether all of them have come.

in_progress → awaited → arrived | given_up, or discontinued. An announcement names instances by UID
and the studies they belong to; its list is final when its status is. What arrived is the index's
to say: nothing here is told when an instance comes, whoever wants to know has to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.errors import NotFound, StorageError
from storage.records import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Header,
    Level,
    Reference,
    StepStatus,
    StudyState,
    Topic,
)

_AT_ONCE = 500
HOLDING = (AnnouncementState.IN_PROGRESS, AnnouncementState.AWAITED)
"""In these states an announcement keeps its studies open."""


class DuplicateAnnouncement(StorageError):
    """An announcement with this UID stands there already."""


class StepIsFinal(StorageError):
    """The step is completed or discontinued: it may no longer be changed. PS3.4 F.7.2.2.2."""


@dataclass(frozen=True, slots=True)
class NewAnnouncement:
    """An announcement to enter. ``uid`` is its SOP instance's, or a transaction's."""

    kind: AnnouncementKind
    uid: str
    sender_ae: str
    status: StepStatus
    studies: tuple[str, ...]
    """Study instance UIDs; may be empty where the service names none."""
    instances: tuple[Reference, ...]
    attributes: Header


def enter(tx: Transaction, new: NewAnnouncement, at: datetime) -> int:
    """Enter an announcement; gives its id.

    Raises
    ------
    DuplicateAnnouncement
    """
    table = schema.announcements
    if find(tx, new.kind, new.uid) is not None:
        raise DuplicateAnnouncement("an announcement with this UID stands there already")
    state = _state(new.status)
    row = tx.execute(
        sa.insert(table).values(
            kind=new.kind.value,
            uid=new.uid,
            sender_ae=new.sender_ae,
            status=new.status.value,
            state=state.value,
            announced_at=at,
            changed_at=at,
            attributes=dict(new.attributes),
        )
    )
    entered = int((row.inserted_primary_key or (0,))[0])
    studies = [
        {"announcement_id": entered, "study_instance_uid": uid}
        for uid in dict.fromkeys(new.studies)
    ]
    if studies:
        tx.execute(sa.insert(schema.announced_studies), studies)
    _replace_instances(tx, entered, new.instances)
    _event(tx, at, entered, "", state, f"{new.kind.value}: {len(new.instances)} instances")
    return entered


def find(
    tx: Transaction, kind: AnnouncementKind, uid: str, for_update: bool = False
) -> Announcement | None:
    """An announcement by its UID; with ``for_update`` nobody else changes it meanwhile."""
    table = schema.announcements
    query = sa.select(table).where(table.c.kind == kind.value, table.c.uid == uid)
    row = tx.execute(query.with_for_update() if for_update else query).one_or_none()
    return None if row is None else _announcements(tx, [row])[0]


def change(
    tx: Transaction,
    announcement: Announcement,
    at: datetime,
    status: StepStatus,
    attributes: Header,
    instances: Sequence[Reference] | None,
) -> None:
    """Change a step in progress; ``instances`` replaces its list, None leaves it.

    Raises
    ------
    StepIsFinal
    """
    if announcement.status is not StepStatus.IN_PROGRESS:
        raise StepIsFinal("the step may no longer be changed")
    state = _state(status)
    _set(
        tx,
        announcement.id,
        status=status.value,
        state=state.value,
        changed_at=at,
        attributes=dict(attributes),
    )
    if instances is not None:
        _replace_instances(tx, announcement.id, instances)
    if state is not announcement.state:
        _event(tx, at, announcement.id, announcement.state, state, status.value.lower())


def _state(status: StepStatus) -> AnnouncementState:
    return {
        StepStatus.IN_PROGRESS: AnnouncementState.IN_PROGRESS,
        StepStatus.COMPLETED: AnnouncementState.AWAITED,
        StepStatus.DISCONTINUED: AnnouncementState.DISCONTINUED,
    }[status]


def _replace_instances(
    tx: Transaction, announcement_id: int, instances: Iterable[Reference]
) -> None:
    table = schema.announced_instances
    tx.execute(sa.delete(table).where(table.c.announcement_id == announcement_id))
    rows = {
        one.sop_instance_uid: {
            "announcement_id": announcement_id,
            "sop_instance_uid": one.sop_instance_uid,
            "sop_class_uid": one.sop_class_uid,
        }
        for one in instances
    }
    if rows:
        tx.execute(sa.insert(table), list(rows.values()))


# --- what has come of them ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Glance:
    """An announcement, and what has happened to it and to its studies; no instance is counted."""

    id: int
    state: AnnouncementState
    is_final: bool
    """Whether its list is."""
    changed_at: datetime
    last_received_at: datetime | None
    """When something came for one of its studies."""
    revision: int
    """Another one whenever something has come for its studies, or for any, if it names none."""

    @property
    def mark(self) -> tuple[datetime, int]:
        """While it stays the same, the same instances are missing."""
        return self.changed_at, self.revision


def glances(tx: Transaction, *states: AnnouncementState) -> list[Glance]:
    """All announcements in these states, oldest first."""
    return _glances(tx, _in_states(states))


def is_anything_open(tx: Transaction) -> bool:
    """Whether a study is not complete, or an announcement holds one open: else nothing is due."""
    return bool(tx.scalar(_anything_open()))


@cache
def _anything_open() -> sa.Select[bool]:
    """Made once: making it takes longer than asking it, and it is asked all the time."""
    table, studies = schema.announcements, schema.studies
    receiving = sa.exists().where(studies.c.state == StudyState.RECEIVING.value)
    holding = sa.exists().where(table.c.state.in_([state.value for state in HOLDING]))
    return sa.select(sa.or_(receiving, holding))


def reopened_glances(tx: Transaction) -> list[Glance]:
    """Those that were given up and whose studies are open, oldest first."""
    return _glances(tx, _reopened())


@cache
def _in_states(states: tuple[AnnouncementState, ...]) -> sa.Select[Any]:
    return _select_glances(schema.announcements.c.state.in_([state.value for state in states]))


@cache
def _reopened() -> sa.Select[Any]:
    table, named, studies = schema.announcements, schema.announced_studies, schema.studies
    of_open_studies = (
        sa.select(named.c.announcement_id)
        .join(studies, named.c.study_instance_uid == studies.c.study_instance_uid)
        .where(studies.c.state == StudyState.RECEIVING.value)
    )
    given_up = schema.unindexed(table.c.state) == AnnouncementState.GIVEN_UP.value
    return _select_glances(given_up, table.c.id.in_(of_open_studies))


def _select_glances(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    table, named, studies = schema.announcements, schema.announced_studies, schema.studies
    newest = sa.select(sa.func.max(schema.instances.c.id)).scalar_subquery()
    named_none = sa.func.count(named.c.study_instance_uid) == 0
    return (
        sa.select(
            table.c.id,
            table.c.state,
            table.c.status,
            table.c.changed_at,
            sa.func.max(studies.c.last_received_at).label("last_received_at"),
            sa.case((named_none, newest), else_=sa.func.sum(studies.c.revision)).label("revision"),
        )
        .select_from(table)
        .outerjoin(named, named.c.announcement_id == table.c.id)
        .outerjoin(studies, studies.c.study_instance_uid == named.c.study_instance_uid)
        .where(*which)
        .group_by(table.c.id)
        .order_by(table.c.id)
    )


def _glances(tx: Transaction, query: sa.Select[Any]) -> list[Glance]:
    return [
        Glance(
            row.id,
            AnnouncementState(row.state),
            row.status == StepStatus.COMPLETED.value,
            row.changed_at,
            row.last_received_at,
            int(row.revision or 0),
        )
        for row in tx.execute(query)
    ]


def held_studies(tx: Transaction) -> frozenset[str]:
    """UIDs of the studies that announcements keep open."""
    return frozenset(tx.scalars(_held_studies()))


@cache
def _held_studies() -> sa.Select[str]:
    table, named = schema.announcements, schema.announced_studies
    query = sa.select(named.c.study_instance_uid).join(table)
    states = [state.value for state in HOLDING]
    return query.where(table.c.state.in_(states))


def arrived(tx: Transaction, announcement: Announcement, at: datetime) -> None:
    """Every instance on a final list is there."""
    _move(tx, announcement, at, AnnouncementState.ARRIVED, "all instances are there")


def give_up(tx: Transaction, announcement: Announcement, at: datetime, why: str) -> None:
    """Stop holding studies open for an announcement. What it lacks still counts as a gap."""
    _move(tx, announcement, at, AnnouncementState.GIVEN_UP, why, Level.WARNING)
    count_missing(tx, announcement.id)


def count_missing(tx: Transaction, announcement_id: int) -> int:
    """Count what an announcement lacks that is waited for no longer, and keep the number."""
    missing = missing_of(tx, announcement_id)
    _set(tx, announcement_id, missing=missing)
    return missing


def get_all(tx: Transaction, ids: Sequence[int]) -> list[Announcement]:
    """Announcements by row id, oldest first."""
    table = schema.announcements
    found: list[Announcement] = []
    for start in range(0, len(ids), _AT_ONCE):
        query = sa.select(table).where(table.c.id.in_(ids[start : start + _AT_ONCE]))
        found += _announcements(tx, tx.execute(query.order_by(table.c.id)).all())
    return found


def in_state(tx: Transaction, *states: AnnouncementState) -> list[Announcement]:
    """All announcements in these states, oldest first."""
    table = schema.announcements
    query = sa.select(table).where(table.c.state.in_([state.value for state in states]))
    return _announcements(tx, tx.execute(query.order_by(table.c.id)).all())


def of_study(tx: Transaction, study_instance_uid: str) -> list[Announcement]:
    """The announcements that name a study, oldest first."""
    table, named = schema.announcements, schema.announced_studies
    query = (
        sa.select(table)
        .join(named)
        .where(named.c.study_instance_uid == study_instance_uid)
        .order_by(table.c.id)
    )
    return _announcements(tx, tx.execute(query).all())


def missing_of(tx: Transaction, announcement_id: int) -> int:
    """How many announced instances are not in the index."""
    named, instances = schema.announced_instances, schema.instances
    there = sa.exists().where(instances.c.sop_instance_uid == named.c.sop_instance_uid)
    query = sa.select(sa.func.count()).where(named.c.announcement_id == announcement_id, ~there)
    return tx.scalar(query) or 0


def is_missing_any(tx: Transaction, announcement_id: int) -> bool:
    """Whether an announced instance is not in the index; looks no further than the first."""
    named, instances = schema.announced_instances, schema.instances
    there = sa.exists().where(instances.c.sop_instance_uid == named.c.sop_instance_uid)
    query = sa.select(named.c.sop_instance_uid).where(
        named.c.announcement_id == announcement_id, ~there
    )
    return tx.execute(query.limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class Announced:
    """What the announcements of a study name."""

    instances: int
    """Different ones."""
    missing: int
    """Of each announcement those that are not in the index, added up."""


def announced_in_studies(
    tx: Transaction, study_instance_uids: Sequence[str]
) -> dict[str, Announced]:
    """What was announced of studies; one that nobody announced is left out."""
    instances, studies = schema.announced_instances, schema.announced_studies
    joined = studies.outerjoin(instances, instances.c.announcement_id == studies.c.announcement_id)
    study = studies.c.study_instance_uid
    query = (
        sa.select(study, sa.func.count(sa.distinct(instances.c.sop_instance_uid)))
        .select_from(joined)
        .where(study.in_(study_instance_uids))
        .group_by(study)
    )
    named = {uid: number for uid, number in tx.execute(query)}
    missing = _missing_in(tx, list(named))
    return {uid: Announced(number, missing.get(uid, 0)) for uid, number in named.items()}


def _missing_in(tx: Transaction, study_instance_uids: Sequence[str]) -> dict[str, int]:
    """What has arrived is not looked for again."""
    table, studies = schema.announcements, schema.announced_studies
    named, instances = schema.announced_instances, schema.instances
    there = sa.exists().where(instances.c.sop_instance_uid == named.c.sop_instance_uid)
    query = (
        sa.select(studies.c.study_instance_uid, sa.func.count())
        .select_from(studies)
        .join(table, table.c.id == studies.c.announcement_id)
        .join(named, named.c.announcement_id == table.c.id)
        .where(studies.c.study_instance_uid.in_(study_instance_uids))
        .where(table.c.state != AnnouncementState.ARRIVED.value, ~there)
        .group_by(studies.c.study_instance_uid)
    )
    return {uid: number for uid, number in tx.execute(query)} if study_instance_uids else {}


def unannounced_in(tx: Transaction, study_id: int) -> int:
    """How many instances of a study from outside no MPPS and no notification names.

    Commitment requests do not count: a sender may ask after every series.
    """
    instances, series = schema.instances, schema.series
    named, table = schema.announced_instances, schema.announcements
    final = (AnnouncementState.ARRIVED.value, AnnouncementState.AWAITED.value)
    strong = (AnnouncementKind.MPPS.value, AnnouncementKind.IAN.value)
    is_named = sa.exists(
        sa.select(named.c.announcement_id)
        .join(table, table.c.id == named.c.announcement_id)
        .where(
            named.c.sop_instance_uid == instances.c.sop_instance_uid,
            table.c.state.in_(final),
            table.c.kind.in_(strong),
        )
    )
    query = (
        sa.select(sa.func.count())
        .select_from(instances.join(series, instances.c.series_id == series.c.id))
        .where(series.c.study_id == study_id, ~series.c.own, ~is_named)
    )
    return tx.scalar(query) or 0


def vouched_studies(tx: Transaction) -> list[int]:
    """Open studies that an arrived MPPS or notification names, by row id."""
    return [int(one) for one in tx.scalars(_vouched_studies())]


@cache
def _vouched_studies() -> sa.Select[int]:
    table, named, studies = schema.announcements, schema.announced_studies, schema.studies
    strong = (AnnouncementKind.MPPS.value, AnnouncementKind.IAN.value)
    return (
        sa.select(studies.c.id)
        .distinct()
        .join(named, named.c.study_instance_uid == studies.c.study_instance_uid)
        .join(table, table.c.id == named.c.announcement_id)
        .where(
            studies.c.state == StudyState.RECEIVING.value,
            table.c.state == AnnouncementState.ARRIVED.value,
            table.c.kind.in_(strong),
        )
        .order_by(studies.c.id)
    )


# --- rows -----------------------------------------------------------------------------------------


def _announcements(tx: Transaction, rows: Sequence[sa.Row[Any]]) -> list[Announcement]:
    studies = _studies_of(tx, [row.id for row in rows])
    return [
        Announcement(
            id=row.id,
            kind=AnnouncementKind(row.kind),
            uid=row.uid,
            sender_ae=row.sender_ae,
            status=StepStatus(row.status),
            state=AnnouncementState(row.state),
            announced_at=row.announced_at,
            changed_at=row.changed_at,
            attributes=row.attributes,
            studies=tuple(studies.get(row.id, ())),
        )
        for row in rows
    ]


def _studies_of(tx: Transaction, ids: Sequence[int]) -> Mapping[int, list[str]]:
    table = schema.announced_studies
    found: dict[int, list[str]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = sa.select(table).where(table.c.announcement_id.in_(ids[start : start + _AT_ONCE]))
        for row in tx.execute(query.order_by(table.c.study_instance_uid)):
            found.setdefault(row.announcement_id, []).append(row.study_instance_uid)
    return found


def _move(
    tx: Transaction,
    announcement: Announcement,
    at: datetime,
    state: AnnouncementState,
    why: str,
    level: Level = Level.INFO,
) -> None:
    _set(tx, announcement.id, state=state.value)
    _event(tx, at, announcement.id, announcement.state, state, why, level)


def _set(tx: Transaction, announcement_id: int, **values: Any) -> None:
    table = schema.announcements
    if (
        tx.execute(sa.update(table).where(table.c.id == announcement_id).values(**values)).rowcount
        == 0
    ):
        raise NotFound(f"there is no announcement {announcement_id}")


def _event(
    tx: Transaction,
    at: datetime,
    announcement_id: int,
    before: str,
    after: AnnouncementState,
    reason: str,
    level: Level = Level.INFO,
) -> None:
    events.record(tx, at, level, Topic.ANNOUNCEMENT, announcement_id, before, after, reason)
