"""What the page and the API show, read from the database in one transaction.

The page is for the administrator: patients stay masked, URLs carry row numbers only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from storage import events, index, ledger, outbox
from storage.database import Transaction
from storage.records import (
    Counts,
    Delivery,
    DeliveryState,
    Event,
    FindingRow,
    Header,
    Job,
    JobResults,
    JobState,
    StudyRow,
)

PAGE = 10


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """All objects of a job to one destination."""

    destination: str
    sent: int
    failed: int
    waiting: int
    next_try: datetime | None
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
    seconds: float | None

    @property
    def can_retry(self) -> bool:
        sending_failed = any(one.failed for one in self.deliveries)
        return self.job.state is JobState.FAILED or sending_failed


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as a card."""

    study: StudyRow
    modalities: str
    title: str
    date: str
    patient: str
    jobs: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class StatusView:
    """The whole page."""

    counts: Counts
    alarms: tuple[Event, ...]
    studies: tuple[StudyView, ...]
    offset: int
    has_older: bool
    now: datetime


def status(tx: Transaction, offset: int = 0) -> StatusView:
    """What the page shows, from the study at ``offset`` on, newest first."""
    studies = index.list_studies(tx, limit=PAGE + 1, offset=offset)
    return StatusView(
        counts=events.counts(tx),
        alarms=tuple(events.open_alarms(tx, limit=20)),
        studies=tuple(study_view(tx, study) for study in studies[:PAGE]),
        offset=offset,
        has_older=len(studies) > PAGE,
        now=datetime.now(UTC),
    )


def study_view(tx: Transaction, study: StudyRow) -> StudyView:
    """One study with its jobs, newest first."""
    jobs = ledger.list_jobs(tx, study_id=study.id, limit=50)
    modalities = {str(one.header.get("Modality", "?")) for one in index.series_heads(tx, study.id)}
    return StudyView(
        study=study,
        modalities="/".join(sorted(modalities)),
        title=str(study.header.get("StudyDescription") or "Study without description"),
        date=_date(study.header),
        patient=masked(str(study.header.get("PatientID", ""))),
        jobs=tuple(job_view(tx, job) for job in jobs),
    )


def job_view(tx: Transaction, job: Job) -> JobView:
    """One job with findings and deliveries."""
    seconds = None
    if job.started_at and job.finished_at:
        seconds = max(0.0, (job.finished_at - job.started_at).total_seconds())
    deliveries = outbox.list_deliveries(tx, job_id=job.id, limit=100_000)
    return JobView(job, ledger.results_of(tx, job.id), _by_destination(deliveries), seconds)


def _by_destination(deliveries: Sequence[Delivery]) -> tuple[DeliveryView, ...]:
    found: dict[str, list[Delivery]] = {}
    for one in deliveries:
        found.setdefault(one.destination, []).append(one)
    return tuple(_delivery_view(name, rows) for name, rows in sorted(found.items()))


def _delivery_view(name: str, rows: Sequence[Delivery]) -> DeliveryView:
    waiting = [one for one in rows if one.state in (DeliveryState.PENDING, DeliveryState.SENDING)]
    return DeliveryView(
        destination=name,
        sent=sum(one.state is DeliveryState.SENT for one in rows),
        failed=sum(one.state is DeliveryState.FAILED for one in rows),
        waiting=len(waiting),
        next_try=min((one.not_before for one in waiting if one.attempts), default=None),
        reason=next((one.reason for one in rows if one.reason), ""),
    )


def masked(patient_id: str) -> str:
    """The last two characters of a patient ID: enough to tell two apart, no more."""
    if not patient_id:
        return "no ID"
    return "…" + patient_id[-2:] if len(patient_id) > 4 else "…"


def _date(header: Header) -> str:
    text = str(header.get("StudyDate", ""))
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdigit() else ""


# --- for people -----------------------------------------------------------------------------------


def number(finding: FindingRow) -> str:
    """A value with as many digits as a reader can use."""
    if finding.value is None:
        return finding.text
    size = abs(finding.value)
    if size >= 100:
        return f"{finding.value:,.0f}".replace(",", " ").replace("-", "−")
    return f"{finding.value:.3g}".replace("-", "−")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in words."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    for limit, size, word in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {word} ago"
    return f"{seconds / 86_400:.0f} days ago"


def until(moment: datetime | None, now: datetime) -> str:
    """How long from now, in words."""
    if moment is None or moment <= now:
        return "now"
    seconds = (moment - now).total_seconds()
    return f"in {seconds:.0f} s" if seconds < 90 else f"in {seconds / 60:.0f} min"


# --- for programs ---------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A record as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def job_json(view: JobView) -> dict[str, Any]:
    """A job for the API."""
    job = view.job
    hidden = {"study_instance_uid", "series_instance_uid", "key"}
    shown = {name: value for name, value in plain(job).items() if name not in hidden}
    return {
        **shown,
        "seconds": view.seconds,
        "findings": plain(view.results.findings),
        "remarks": plain(view.results.remarks),
        "objects": [{"kind": one.kind, "bytes": one.size_bytes} for one in view.results.objects],
        "previews": [f"/previews/{job.id}/{n}.png" for n in range(len(view.results.previews))],
        "deliveries": [{**plain(one), "state": one.state} for one in view.deliveries],
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """A delivery for the API, without UIDs."""
    made = delivery.object
    return {**plain(delivery), "object": {"kind": made.kind, "bytes": made.size_bytes}}


def study_json(view: StudyView) -> dict[str, Any]:
    """A study for the API, without what identifies the patient."""
    hidden = {"header", "study_instance_uid"}
    shown = {name: value for name, value in plain(view.study).items() if name not in hidden}
    return {
        **shown,
        "modalities": view.modalities,
        "description": view.title,
        "date": view.date,
        "patient": view.patient,
        "jobs": [job_json(one) for one in view.jobs],
    }
