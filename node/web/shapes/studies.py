"""Studies and jobs as programs get them: of ``/api`` and of ``wetread status --json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from node.web.shapes.base import Moment, Shape, Text
from node.web.shapes.history import Event, Made
from node.web.views import JobView, StudyView
from storage.kinds import ObjectKind
from storage.records import JobState, Priority, Stage, StudyState


class Finding(Shape):
    """A line of what a job found."""

    structure: Text = Field(examples=["Left lung"])
    name: Text = Field(examples=["Volume"])
    value: float | None = Field(examples=[1695.4])
    """null where the finding is a text, or no number."""
    unit: Text = Field(examples=["mL"])
    """A UCUM code."""
    text: Text = ""


class LeftOut(Shape):
    """Objects of a kind that a destination is not sent."""

    kind: ObjectKind
    number: int
    reason: Text


class Sent(Shape):
    """How much of a job went to one destination, in objects."""

    destination: str = Field(examples=["pacs"])
    """Its name in the settings."""
    sent: int
    failed: int
    """Refused, or given up."""
    waiting: int
    next_try: Moment | None
    """When the next attempt is due, after a failed one."""
    reason: Text
    """Why an attempt failed; empty when none did."""
    left_out: list[LeftOut]
    """What it does not take, or gets in another form."""
    state: Literal["failed", "pending", "sent", "left_out"]
    """failed when an object failed, else pending while one waits, else sent; left_out where
    nothing was sent."""


class JobRow(Shape):
    """A row of the job ledger."""

    id: int
    state: JobState
    analyzer: str = Field(examples=["lung_segmentation"])
    analyzer_version: str = Field(examples=["1.0.0"])
    parameters: dict[str, Any]
    """As the rule sets them, by name; the analyzer says their units."""
    study_id: int
    rule: str
    """The rule of the settings that fired."""
    priority: Priority
    destinations: list[str]
    refusals: list[Text]
    """Why no series fits; not empty only where the job reports just that."""
    notices: bool
    """Whether a failure is reported to the destinations too."""
    attempts: int
    created_at: Moment
    started_at: Moment | None
    """First start: it dates the results, so that a repeat makes the same objects."""
    finished_at: Moment | None
    not_before: Moment
    """When it is due."""
    reason: Text
    """Why it failed, waits or does not apply."""
    traceback: Text
    predecessor_id: int | None
    """The job whose results this one takes the place of."""


class Job(JobRow):
    """A job with what it found, made and delivered."""

    seconds: float | None
    """How long its last run took; null while it has not ended."""
    findings: list[Finding]
    remarks: list[Text]
    objects: list[Made]
    """The DICOM objects it made."""
    previews: list[str] = Field(examples=[["/previews/7/0.png"]])
    """Paths of PNG files on this node."""
    deliveries: list[Sent]

    @classmethod
    def of(cls, view: JobView) -> Job:
        """A job of the page as it is sent."""
        return cls.model_validate(_job(view))


class JobHistory(Job):
    """A job with its transitions."""

    events: list[Event]
    """The newest first."""

    @classmethod
    def of_job(cls, view: JobView, events: list[Any]) -> JobHistory:
        """A job of the page and its events, as they are sent."""
        return cls.model_validate({**_job(view), "events": events})


def _job(view: JobView) -> dict[str, Any]:
    made = view.results
    return {
        **JobRow.columns(view.job),
        "seconds": view.seconds,
        "findings": made.findings,
        "remarks": made.remarks,
        "objects": made.objects,
        "previews": [f"/previews/{view.job.id}/{n}.png" for n in range(len(made.previews))],
        "deliveries": view.deliveries,
    }


class Count(Shape):
    """So many of all."""

    done: int
    total: int


class Gap(Shape):
    """Instances that stand still on their way for longer than they should."""

    stage: Stage
    """The stage they have not reached."""
    missing: int
    """How many."""
    since: Moment


class WayRow(Shape):
    """What the instance ledger counts."""

    announced: int | None
    """Instances that peers have announced; null where nobody announces."""
    missing: int
    """Announced, and not stored."""
    stored: int
    """Synced on disk and indexed."""
    jobs: Count
    """Those that came to a result, be it that they do not apply."""
    sent: Count
    """Results, once for each destination."""
    committed: Count
    """Of the results that were sent to destinations which are asked to commit."""
    gaps: list[Gap]


class Way(WayRow):
    """How far a study's images have come."""

    received: int
    """Stored, or on the way into the index."""


class StudyRow(Shape):
    """What the index counts of a study."""

    id: int
    state: StudyState
    """complete when all images have come; that says nothing of what was found."""
    generation: int
    """How often it has been complete."""
    series: int
    """From outside; so are the instances."""
    instances: int
    results: int
    """Instances of series that this node made itself."""
    first_received_at: Moment
    last_received_at: Moment
    completed_at: Moment | None
    note: Text
    """Why nothing was run, when no rule fired."""


class Study(StudyRow):
    """A study with its jobs."""

    modalities: Text = Field(examples=["CT/SR"])
    description: Text = Field(examples=["CT Thorax"])
    date: str = Field(examples=["2026-03-01"])
    """Study Date (0008,0020); empty where it is missing."""
    patient: Text = Field(examples=["…56"])
    """The last two characters of the patient ID: enough to tell two apart."""
    way: Way
    jobs: list[Job]
    """The newest first, at most 50."""

    @classmethod
    def of(cls, view: StudyView) -> Study:
        """A study of the page as it is sent."""
        way = {
            **WayRow.columns(view.ledger),
            "received": view.ledger.stored + view.indexing,
        }
        return cls.model_validate(
            {
                **StudyRow.columns(view.study),
                "modalities": view.modalities,
                "description": view.title,
                "date": view.date,
                "patient": view.patient,
                "way": way,
                "jobs": [_job(one) for one in view.jobs],
            }
        )
