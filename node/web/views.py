"""What the page shows, read from the database in one transaction.

The page is for the administrator: patients stay masked, URLs carry row numbers only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.web import alarms, places, wording
from node.web.alarms import Alarm
from node.web.prospects import Expected, Prospect, nothing_expected
from storage import (
    abilities,
    events,
    fetches,
    index,
    instance_ledger,
    outbox,
    overview,
    quarantine,
    selection,
)
from storage.abilities import KnownAbilities
from storage.database import Transaction
from storage.fetches import Fetch
from storage.instance_ledger import InstanceLedger
from storage.overview import DeliveryCount
from storage.quarantine import RefusalKind
from storage.records import (
    Counts,
    DeliveryState,
    Job,
    JobResults,
    JobState,
    StudyPlace,
    StudyRow,
)
from storage.selection import LeftOut

_WAITING = (DeliveryState.PENDING, DeliveryState.SENDING)
PAGE = 10
FETCHES = 5
JOBS_EACH = 50
"""Jobs of a study that are shown; the newest."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which studies the page shows: all, one, or those where something failed; and from where."""

    offset: int = 0
    study: int | None = None
    problems: bool = False
    before: StudyPlace | None = None
    after: StudyPlace | None = None

    def query(self) -> str:
        """The selection as the query of a URL."""
        ends = (("before", self.before), ("after", self.after))
        parts = [f"{name}={places.written(place)}" for name, place in ends if place]
        if self.offset:
            parts.append(f"offset={self.offset}")
        if self.study is not None:
            parts.append(f"study={self.study}")
        if self.problems:
            parts.append("problems=true")
        return "&".join(parts)

    def older(self, than: StudyPlace) -> str:
        """The query for what stands below a place."""
        return Selection(problems=self.problems, before=than).query()

    def newer(self, than: StudyPlace) -> str:
        """The query for what stands above a place."""
        return Selection(problems=self.problems, after=than).query()

    @property
    def is_further_down(self) -> bool:
        """Whether it does not begin with the newest."""
        return bool(self.offset or self.before or self.after)


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


@dataclass(frozen=True, slots=True)
class DestinationView:
    """A destination, and whether something waits for it."""

    name: str
    next_due: datetime | None
    """None when nothing is owed."""
    reason: str
    """Why the last attempt failed; empty when it did not."""
    able: KnownAbilities | None = None
    """What it takes, as it last said; None while it was not asked."""
    prospects: tuple[Prospect, ...] = ()
    """What it gets for that reason."""


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
    fetches: tuple[Fetch, ...]
    """The newest."""
    studies: tuple[StudyView, ...]
    newer: StudyPlace | None
    """The place above which there are more; None where there are none."""
    older: StudyPlace | None
    """The place below which there are more."""


Indexing = Callable[[str], int]
"""How many instances of a study (by UID) are stored and not yet in the index."""


def status(
    tx: Transaction,
    chosen_by: Selection,
    destinations: Sequence[str],
    indexing: Indexing,
    expected: Expected = nothing_expected,
) -> StatusView:
    """What the page shows, newest study first."""
    chosen = _selected(tx, chosen_by)
    counts = events.counts(tx, of_all_deliveries=False)
    return StatusView(
        counts=counts,
        alarms=alarms.open_alarms(tx) if counts.alarms else (),
        destinations=_destinations(tx, destinations, expected),
        quarantined=_quarantined(tx) if counts.quarantined else (),
        fetches=tuple(fetches.newest(tx, FETCHES)),
        studies=tuple(study_views(tx, chosen.studies, indexing)),
        newer=chosen.newer,
        older=chosen.older,
    )


# --- which studies --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chosen:
    studies: Sequence[StudyRow]
    newer: StudyPlace | None = None
    older: StudyPlace | None = None


def _selected(tx: Transaction, selection: Selection) -> _Chosen:
    if selection.study is not None:
        return _Chosen(index.get_studies(tx, [selection.study]))
    if selection.after is not None:
        above = _above(tx, selection.problems, selection.after)
        if len(above) >= PAGE:
            more = above[0].place if len(above) > PAGE else None
            shown = above[-PAGE:]
            return _Chosen(shown, shown[0].place if more else None, shown[-1].place)
        selection = Selection(problems=selection.problems)  # the first page
    below = _below(tx, selection)
    shown = below[:PAGE]
    if not shown:
        return _Chosen(shown)
    return _Chosen(
        shown,
        shown[0].place if selection.is_further_down else None,
        shown[-1].place if len(below) > PAGE else None,
    )


def _below(tx: Transaction, selection: Selection) -> list[StudyRow]:
    """One more than fit on the page, if there are more."""
    if not selection.problems:
        return index.list_studies(tx, PAGE + 1, selection.offset, selection.before)
    before = selection.before.id if selection.before else None
    ids = overview.troubled_studies(tx, PAGE + 1, selection.offset, before)
    return index.get_studies(tx, ids)


def _above(tx: Transaction, problems: bool, after: StudyPlace) -> list[StudyRow]:
    if not problems:
        return index.list_newer_studies(tx, PAGE + 1, after)
    return index.get_studies(tx, overview.troubled_studies_above(tx, PAGE + 1, after.id))


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


# --- the rest of the page -------------------------------------------------------------------------


def _destinations(
    tx: Transaction, names: Sequence[str], expected: Expected
) -> tuple[DestinationView, ...]:
    return tuple(_destination(tx, name, expected) for name in names)


def _destination(tx: Transaction, name: str, expected: Expected) -> DestinationView:
    able = abilities.get(tx, name)
    return DestinationView(
        name,
        outbox.next_due(tx, name),
        overview.why_put_off(tx, name),
        able,
        tuple(expected(able)) if able else (),
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
