"""What the page shows, read from the database in one transaction.

The page is for the administrator: patients stay masked, URLs carry row numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.web import alarms, wording
from node.web.alarms import Alarm
from storage import events, gaps, index, instance_ledger, ledger, outbox, quarantine
from storage.database import Transaction
from storage.errors import NotFound
from storage.instance_ledger import InstanceLedger
from storage.quarantine import RefusalKind
from storage.records import (
    Counts,
    Delivery,
    DeliveryState,
    Job,
    JobResults,
    JobState,
    StudyRow,
    Subject,
)

PAGE = 10
PROBLEMS_AT_MOST = 1000
_WAITING = (DeliveryState.PENDING, DeliveryState.SENDING)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which studies the page shows: all, one, or those where something failed."""

    offset: int = 0
    study: int | None = None
    problems: bool = False

    def query(self, offset: int | None = None) -> str:
        """The selection as the query of a URL, perhaps at another offset."""
        parts = [f"offset={self.offset if offset is None else max(0, offset)}"]
        if self.study is not None:
            parts.append(f"study={self.study}")
        if self.problems:
            parts.append("problems=true")
        return "&".join(parts)


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """All objects of a job to one destination."""

    destination: str
    sent: int
    failed: int
    waiting: int
    next_try: datetime | None
    """When the next attempt is due, after a failed one."""
    reason: str

    @property
    def state(self) -> str:
        if self.failed:
            return "failed"
        return "pending" if self.waiting else "sent"


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with what it found and where that went."""

    job: Job
    results: JobResults
    deliveries: tuple[DeliveryView, ...]
    started_at: datetime | None
    """When it ran last; the job's own ``started_at`` is its first run's."""

    @property
    def seconds(self) -> float | None:
        """How long its last run took; None while it has not ended."""
        if self.started_at is None or self.job.finished_at is None:
            return None
        return max(0.0, (self.job.finished_at - self.started_at).total_seconds())

    @property
    def failed(self) -> bool:
        return self.job.state is JobState.FAILED or any(one.failed for one in self.deliveries)

    @property
    def can_retry(self) -> bool:
        return self.failed and self.job.state not in (JobState.RUNNING, JobState.PENDING)


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as a card."""

    study: StudyRow
    modalities: str
    title: str
    date: str
    patient: str
    jobs: tuple[JobView, ...]
    ledger: InstanceLedger
    indexing: int
    """Instances that are stored and not yet in the index."""

    @property
    def failed(self) -> bool:
        return bool(self.ledger.gaps) or any(one.failed for one in self.jobs)


@dataclass(frozen=True, slots=True)
class DestinationView:
    """A destination, and whether something waits for it."""

    name: str
    next_due: datetime | None
    """None when nothing is owed."""
    reason: str
    """Why the last attempt failed; empty when it did not."""


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """An image that was refused and kept aside; ``at`` is when it was last sent."""

    at: datetime
    key: str
    reason: str
    count: int
    """How often it was sent."""
    id: int
    is_correction: bool
    """It may take the place of what is stored, if a person wants it."""
    is_accepted: bool


@dataclass(frozen=True, slots=True)
class StatusView:
    """The whole page."""

    counts: Counts
    alarms: tuple[Alarm, ...]
    destinations: tuple[DestinationView, ...]
    quarantined: tuple[QuarantinedFile, ...]
    studies: tuple[StudyView, ...]
    has_older: bool


Indexing = Callable[[str], int]
"""How many instances of a study (by UID) are stored and not yet in the index."""


def status(
    tx: Transaction, selection: Selection, destinations: Sequence[str], indexing: Indexing
) -> StatusView:
    """What the page shows, newest study first."""
    studies = _selected(tx, selection)
    counts = events.counts(tx)
    return StatusView(
        counts=counts,
        alarms=alarms.open_alarms(tx) if counts.alarms else (),
        destinations=_destinations(tx, destinations),
        quarantined=_quarantined(tx) if counts.quarantined else (),
        studies=tuple(study_view(tx, study, indexing) for study in studies[:PAGE]),
        has_older=len(studies) > PAGE,
    )


def _selected(tx: Transaction, selection: Selection) -> list[StudyRow]:
    """One more than fit on the page, if there are more."""
    if selection.study is not None:
        try:
            return [index.get_study(tx, selection.study)]
        except NotFound:
            return []
    if selection.problems:
        ids = _with_problems(tx)[selection.offset : selection.offset + PAGE + 1]
        return [index.get_study(tx, one) for one in ids]
    return index.list_studies(tx, limit=PAGE + 1, offset=selection.offset)


def _with_problems(tx: Transaction) -> list[int]:
    """The studies with a failed job, a refused object or a gap, newest first."""
    failed = ledger.list_jobs(tx, state=JobState.FAILED, limit=PROBLEMS_AT_MOST)
    refused = outbox.list_deliveries(tx, state=DeliveryState.FAILED, limit=PROBLEMS_AT_MOST)
    others = {one.job_id for one in refused} - {job.id for job in failed}
    found = {job.study_id for job in failed} | {ledger.get(tx, one).study_id for one in others}
    found |= {gap.study_id for gap in gaps.open_gaps(tx) if gap.study_id is not None}
    return sorted(found, reverse=True)


def study_view(tx: Transaction, study: StudyRow, indexing: Indexing) -> StudyView:
    """One study with its jobs, newest first."""
    jobs = ledger.list_jobs(tx, study_id=study.id, limit=50)
    modalities = {str(one.header.get("Modality", "?")) for one in index.series_heads(tx, study.id)}
    return StudyView(
        study=study,
        modalities="/".join(sorted(modalities)),
        title=str(study.header.get("StudyDescription") or "Study without description"),
        date=wording.study_date(study.header),
        patient=wording.masked(str(study.header.get("PatientID", ""))),
        jobs=tuple(job_view(tx, job) for job in jobs),
        ledger=instance_ledger.of_study(tx, study),
        indexing=indexing(study.study_instance_uid),
    )


def job_view(tx: Transaction, job: Job) -> JobView:
    """One job with findings and deliveries."""
    deliveries = outbox.list_deliveries(tx, job_id=job.id, limit=100_000)
    return JobView(
        job, ledger.results_of(tx, job.id), _by_destination(deliveries), _last_start(tx, job)
    )


def _last_start(tx: Transaction, job: Job) -> datetime | None:
    history = events.list_events(tx, Subject.JOB, job.id, limit=20)
    return next((one.at for one in history if one.to_state == JobState.RUNNING.value), None)


def _by_destination(deliveries: Sequence[Delivery]) -> tuple[DeliveryView, ...]:
    found: dict[str, list[Delivery]] = {}
    for one in deliveries:
        found.setdefault(one.destination, []).append(one)
    return tuple(_delivery_view(name, rows) for name, rows in sorted(found.items()))


def _delivery_view(name: str, rows: Sequence[Delivery]) -> DeliveryView:
    waiting = [one for one in rows if one.state in _WAITING]
    return DeliveryView(
        destination=name,
        sent=sum(one.state is DeliveryState.SENT for one in rows),
        failed=sum(one.state is DeliveryState.FAILED for one in rows),
        waiting=len(waiting),
        next_try=min((one.not_before for one in waiting if one.attempts), default=None),
        reason=next((one.reason for one in rows if one.reason), ""),
    )


def _destinations(tx: Transaction, names: Sequence[str]) -> tuple[DestinationView, ...]:
    reasons: dict[str, str] = {}
    for one in outbox.list_deliveries(tx, state=DeliveryState.PENDING, limit=200):
        if one.reason:
            reasons.setdefault(one.destination, one.reason)
    return tuple(
        DestinationView(name, outbox.next_due(tx, name), reasons.get(name, "")) for name in names
    )


def _quarantined(tx: Transaction) -> tuple[QuarantinedFile, ...]:
    return tuple(
        QuarantinedFile(
            row.last_seen_at,
            row.refused.key,
            row.refused.reason,
            row.count,
            row.id,
            row.refused.kind is RefusalKind.CONFLICT and row.accepted_at is None,
            row.accepted_at is not None,
        )
        for row in quarantine.newest(tx, limit=20)
    )
