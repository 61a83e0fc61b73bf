"""Open alarms as a person sees them: alike ones are one line, and acknowledged together.

A destination that refuses a series of 400 images raises 400 alarms; they say one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from storage import events, ledger, outbox
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Delivery, DeliveryState, Event, Subject

READ_AT_MOST = 2000
SHOWN = 8
"""Kinds that the page lists; the rest are counted."""
_SUBJECTS = {
    Subject.ANNOUNCEMENT: "Announced study",
    Subject.COMMITMENT: "Storage commitment",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """Alike open alarms. ``id`` and ``at`` are the newest one's."""

    id: int
    at: datetime
    text: str
    reason: str
    ids: tuple[int, ...]
    study_id: int | None
    """The study it is about, to show it; None for the node itself and for kinds not shown."""

    @property
    def count(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What makes two alarms alike."""

    subject: Subject
    text: str
    reason: str
    job_id: int | None


def open_alarms(tx: Transaction) -> tuple[Alarm, ...]:
    """What nobody has acknowledged, the newest first."""
    found = events.open_alarms(tx, limit=READ_AT_MOST)
    owed = _refused(tx) if any(one.subject is Subject.DELIVERY for one in found) else {}
    grouped: dict[_Kind, list[Event]] = {}
    for one in found:
        grouped.setdefault(_kind(one, owed), []).append(one)
    return tuple(
        _alarm(kind, members, _study_of(tx, members[0], kind.job_id) if place < SHOWN else None)
        for place, (kind, members) in enumerate(grouped.items())
    )


def acknowledge(tx: Transaction, event_id: int, alike: bool) -> int:
    """Acknowledge an alarm; with ``alike`` also those like it that are older. Gives how many.

    A newer one that came since the page was drawn stays: nobody has seen it.

    Raises
    ------
    NotFound
    """
    ids = {event_id}
    if alike:
        for alarm in open_alarms(tx):
            if event_id in alarm.ids:
                ids |= {one for one in alarm.ids if one < event_id}
    for one in ids:
        events.acknowledge(tx, one)
    return len(ids)


def _refused(tx: Transaction) -> dict[int, Delivery]:
    rows = outbox.list_deliveries(tx, state=DeliveryState.FAILED, limit=READ_AT_MOST)
    return {row.id: row for row in rows}


def _kind(event: Event, refused: Mapping[int, Delivery]) -> _Kind:
    if event.subject is Subject.DELIVERY:
        delivery = refused.get(event.subject_id)
        if delivery is None:  # sent again since
            return _Kind(event.subject, "Delivery failed", event.reason, None)
        text = f"Delivery to {delivery.destination} failed (job {delivery.job_id})"
        return _Kind(event.subject, text, event.reason, delivery.job_id)
    if event.subject is Subject.JOB:
        text = f"Job {event.subject_id} {event.to_state}"
        return _Kind(event.subject, text, event.reason, event.subject_id)
    if event.subject is Subject.INSTANCE:
        return _Kind(event.subject, f"Image {event.to_state}", event.reason, None)
    text = _SUBJECTS.get(event.subject, event.subject.capitalize())
    return _Kind(event.subject, text, event.reason, None)


def _alarm(kind: _Kind, members: list[Event], study_id: int | None) -> Alarm:
    newest = members[0]
    return Alarm(
        id=newest.id,
        at=newest.at,
        text=kind.text,
        reason=kind.reason,
        ids=tuple(one.id for one in members),
        study_id=study_id,
    )


def _study_of(tx: Transaction, event: Event, job_id: int | None) -> int | None:
    if event.subject is Subject.STUDY:
        return event.subject_id
    if job_id is None:
        return None
    try:
        return ledger.get(tx, job_id).study_id
    except NotFound:  # deleted since
        return None
