"""Studies and jobs as pages and the API show them, read in one transaction.

What is told here of patients is masked; pages name them to whoever may see names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.web import wording
from storage import (
    instance_ledger,
    overview,
    selection,
)
from storage.database import Transaction
from storage.instance_ledger import InstanceLedger
from storage.overview import DeliveryCount
from storage.records import (
    DeliveryState,
    Job,
    JobResults,
    JobState,
    StudyRow,
)
from storage.selection import LeftOut

_WAITING = (DeliveryState.PENDING, DeliveryState.SENDING)
PAGE = 10
FETCHES = 5
JOBS_EACH = 50
"""Jobs of a study that are shown; the newest."""


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
    left_out: tuple[LeftOut, ...] = ()

    @property
    def state(self) -> str:
        if self.failed:
            return "failed"
        if self.waiting:
            return "pending"
        return "sent" if self.sent or not self.left_out else "left_out"


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


Indexing = Callable[[str], int]
"""How many instances of a study (by UID) are stored and not yet in the index."""


# --- cards ----------------------------------------------------------------------------------------


def study_views(
    tx: Transaction, studies: Sequence[StudyRow], indexing: Indexing, objects: bool = False
) -> list[StudyView]:
    """Studies with their jobs, newest first; asks no more for many than for one."""
    ids = [study.id for study in studies]
    jobs = overview.jobs_of_studies(tx, ids, JOBS_EACH)
    views = job_views(tx, [job for members in jobs.values() for job in members], objects)
    shown = {view.job.id: view for view in views}
    modalities = overview.modalities(tx, ids)
    ways = instance_ledger.of_studies(tx, studies)
    return [
        StudyView(
            study=study,
            modalities="/".join(one or "?" for one in modalities.get(study.id, ())),
            title=wording.study_title(study.header),
            date=wording.study_date(study.header),
            patient=wording.masked(str(study.header.get("PatientID", ""))),
            jobs=tuple(shown[job.id] for job in jobs.get(study.id, ())),
            ledger=ways[study.id],
            indexing=indexing(study.study_instance_uid),
        )
        for study in studies
    ]


def job_views(tx: Transaction, jobs: Sequence[Job], objects: bool = False) -> list[JobView]:
    """Jobs with findings and deliveries; with ``objects`` also what they made."""
    ids = [job.id for job in jobs]
    results = overview.results_of_jobs(tx, ids, objects)
    sent = overview.deliveries_of_jobs(tx, ids)
    left_out = selection.left_out_of_jobs(tx, ids)
    starts = overview.last_starts(tx, ids)
    return [
        JobView(
            job,
            results[job.id],
            _by_destination(
                sent.get(job.id, ()), [one for one in left_out if one.job_id == job.id]
            ),
            starts.get(job.id),
        )
        for job in jobs
    ]


def _by_destination(
    counts: Sequence[DeliveryCount], left_out: Sequence[LeftOut]
) -> tuple[DeliveryView, ...]:
    found: dict[str, list[DeliveryCount]] = {}
    for one in counts:
        found.setdefault(one.destination, []).append(one)
    return tuple(
        _delivery_view(name, members, [one for one in left_out if one.destination == name])
        for name, members in sorted(found.items())
    )


def _delivery_view(
    name: str, counts: Sequence[DeliveryCount], left_out: Sequence[LeftOut]
) -> DeliveryView:
    tried = [one for one in counts if one.state is not DeliveryState.LEFT_OUT]
    return DeliveryView(
        destination=name,
        sent=sum(one.number for one in counts if one.state is DeliveryState.SENT),
        failed=sum(one.number for one in counts if one.state is DeliveryState.FAILED),
        waiting=sum(one.number for one in counts if one.state in _WAITING),
        next_try=min((one.next_try for one in counts if one.next_try), default=None),
        reason=next((one.reason for one in tried if one.reason), ""),
        left_out=tuple(left_out),
    )
