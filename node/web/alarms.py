"""Open alarms as a person sees them: alike ones are one line, and acknowledged together.

A destination that refuses a series of 400 images raises 400 alarms; they say one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage import events, ledger
from storage import open_alarms as standing
from storage.database import Transaction
from storage.open_alarms import AlarmKind
from storage.records import Topic

_SUBJECTS = {
    Topic.ANNOUNCEMENT: "Announced study",
    Topic.COMMITMENT: "Storage commitment",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """Alike open alarms. ``id`` and ``at`` are the newest one's."""

    id: int
    at: datetime
    text: str
    reason: str
    count: int
    study_id: int | None
    """The study it is about, to show it; None for the node itself."""


def of_kinds(tx: Transaction, kinds: Sequence[AlarmKind]) -> tuple[Alarm, ...]:
    """Alike alarms as a person sees them."""
    studies = _studies_of(tx, kinds)
    return tuple(_alarm(kind, studies.get(kind.id)) for kind in kinds)


def acknowledge(tx: Transaction, event_id: int, alike: bool) -> int:
    """Acknowledge an alarm; with ``alike`` also those like it that are older. Gives how many.

    A newer one that came since the page was drawn stays: nobody has seen it.

    Raises
    ------
    NotFound
    """
    if alike:
        return standing.acknowledge_alike(tx, event_id)
    events.acknowledge(tx, event_id)
    return 1


def _alarm(kind: AlarmKind, study_id: int | None) -> Alarm:
    return Alarm(kind.id, kind.at, _text(kind), kind.reason, kind.number, study_id)


def _text(kind: AlarmKind) -> str:
    if kind.subject is Topic.DELIVERY:
        if not kind.destination:  # sent again since
            return "Delivery failed"
        return f"Delivery to {kind.destination} failed (job {kind.job_id})"
    if kind.subject is Topic.JOB:
        return f"Job {kind.job_id} {kind.to_state}"
    if kind.subject is Topic.INSTANCE:
        return f"Image {kind.to_state}"
    if kind.subject is Topic.STUDY:
        return f"Study {kind.subject_id}"
    return _SUBJECTS.get(kind.subject, kind.subject.capitalize())


def _studies_of(tx: Transaction, kinds: Sequence[AlarmKind]) -> dict[int, int]:
    """The study that each kind is about; a job's that has been deleted since is left out."""
    of_jobs = ledger.studies_of(tx, [kind.job_id for kind in kinds if kind.job_id])
    found = {kind.id: kind.subject_id for kind in kinds if kind.subject is Topic.STUDY}
    return found | {kind.id: of_jobs[kind.job_id] for kind in kinds if kind.job_id in of_jobs}
