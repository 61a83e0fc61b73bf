"""What programs want to have done, and what the node would do."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from node.web.shapes.base import Moment, Shape, Text
from storage.records import Priority


class Again(Shape):
    """A job once more, with other parameters."""

    parameters: dict[str, Any] = Field(examples=[{"sigma_mm": 2.5}])
    """Those that are other than the job's, by name."""
    beside: bool = False
    """Whether the result of the job keeps its place; else the new one takes it."""


class Analysis(Shape):
    """An analysis of a stored study by any analyzer."""

    analyzer: str = Field(examples=["lung_segmentation"])
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Those that are other than the settings', by name."""
    destinations: list[str] = Field(default_factory=list, examples=[["pacs"]])
    """Names of the settings; none: results stay on this node."""
    priority: Priority = Priority.ROUTINE
    beside: bool = False
    """Whether an earlier result of the analyzer on the same series keeps its place."""


class Reason(Shape):
    """Why something is wanted."""

    reason: str = Field(default="", max_length=400, examples=["sent twice"])
    """It stays in the history."""


class Line(Shape):
    """A line of a job's own log."""

    at: Moment
    level: str
    text: Text


class ProgressOf(Shape):
    """How far a job that runs is."""

    job_id: int
    stage: str = Field(examples=["analyzing"])
    since: Moment
    """When the stage began."""
    share: float | None
    """How much of the stage is done, 0 to 1; null where nobody counts it."""


class Queue(Shape):
    """The queue of jobs."""

    suspended: bool
    """Whether no job is started until a person lets the queue go on."""
    since: Moment | None
    said_by: str
    reason: str
    running: list[ProgressOf]


class Series(Shape):
    """What a rule says of one series."""

    words: str = Field(examples=["series 3 (240 images)"])
    outcome: str
    reasons: list[Text]
    """The conditions that it does not meet."""


class Rule(Shape):
    """What a rule would have an analyzer do with a study."""

    rule: str
    analyzer: str
    runs: bool
    """Whether it would run on some series."""
    fires: bool
    """Whether some series meets the rule's conditions."""
    words: Text
    series: list[Series]
    destinations: list[str]
    parameters: dict[str, Any]


class Taken(Shape):
    """What a destination does with a kind of objects."""

    name: str
    sop_classes: list[str]
    syntaxes: list[str]
    why_not: Text
    """Empty where it takes it."""


class Tried(Shape):
    """How a destination answered just now."""

    name: str
    answers: bool
    words: Text
    takes: list[Taken]
