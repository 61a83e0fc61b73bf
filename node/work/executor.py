"""The port between the dispatcher and whatever runs jobs: a ticket goes in, an outcome comes out.

Tickets and outcomes cross process borders: plain frozen records, keys instead of pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from analyzers.contract import Code, Limits, ParameterValues
from node.errors import NodeError
from node.results.modules.source import HierarchicalReference, Maker
from node.results.study.members import Member, Selected
from node.work.stages import Stage
from storage.files.decoded_shelf import DecodedShelf
from storage.files.port import JobPlace, Readable
from storage.kinds import ObjectKind
from storage.records import JobLine, JobResults, StoredInstance

NOTICE_LIMITS = Limits()
"""What writing a report without a result may take, whatever its analyzer is allowed."""


class Verdict(StrEnum):
    """How a job ended."""

    DONE = "done"
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """A report to write instead of an analysis: why there is none."""

    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """An image that goes in: by the role of its series, empty for the analyzed one."""

    role: str
    sop_instance_uid: str
    sha256: str
    """Of its data set, as the index has it now."""


def inputs_of(series: Mapping[str, Iterable[StoredInstance]]) -> tuple[Input, ...]:
    """The images of series by role."""
    return tuple(
        Input(role, one.sop_instance_uid, one.sha256)
        for role, images in series.items()
        for one in images
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of analyses to write, and the key images."""

    members: tuple[Member, ...]

    @property
    def forms(self) -> tuple[ObjectKind, ...]:
        """Whether it is made for readers that know no segments, too."""
        return (ObjectKind.REGIONS,) if any(one.regions for one in self.members) else ()


@dataclass(frozen=True, slots=True)
class Retraction:
    """Objects to take back; ``reason`` is one of ``node.results.study.key_objects.REJECTED``."""

    objects: tuple[Selected, ...]
    reason: str
    forms: tuple[ObjectKind, ...] = ()


@dataclass(frozen=True, slots=True)
class Ticket:
    """All that a worker needs to run one job; it touches no database.

    instances, companions, reported: stored bytes, by key.
    place: where the results go.
    started_at: first start of the job; dates the results.
    inputs: the images of all series.
    """

    job_id: int
    key: str
    analyzer: str
    analyzer_version: str
    parameters: ParameterValues
    instances: tuple[Readable, ...]
    place: JobPlace
    started_at: datetime
    limits: Limits = field(default_factory=Limits)
    predecessor: HierarchicalReference | None = None
    earlier: tuple[str, Readable] | None = None
    """What the predecessor's job reported, with its analyzer."""
    notice: Notice | None = None
    companions: Mapping[str, tuple[Readable, ...]] = field(default_factory=dict)
    """Images of other series of the study, by role."""
    reported: tuple[tuple[str, Readable], ...] = ()
    """Analyzers that went before, and what each reported."""
    notices: bool = True
    """Whether "not applicable" is reported as an object too."""
    title: str = ""
    """What a person calls the analyzer; so a report that it failed needs none of its code."""
    family: Code | None = None
    maker: Maker = field(default_factory=Maker)
    inputs: tuple[Input, ...] = ()
    weights: str = ""
    """Digest of the trained models that the job is for; empty where that is not known."""
    above: Summary | Retraction | None = None
    """What the node itself is to write of a study, where that is the job."""
    forms: tuple[ObjectKind, ...] = ()
    """Further forms of the findings that some destination wants; see ``node.results.forms``."""
    missing: str = ""
    """What the study lacked when a person wanted it analyzed, as ``NewJob`` has it."""
    part: str = ""
    """What people call the part of its series that it is given (``node.series.parts.named``)."""
    volume_of: tuple[int, int] | None = None
    """The how-manieth volume of how many in its one image, where that holds several."""
    is_further: bool = False
    """Whether its objects were made before, and further forms of them are all that is wanted."""
    is_kept: bool = True
    """Whether what it comes to is kept beside its results and found again there; not where the
    place is not the job's own."""

    decoded: DecodedShelf | None = None
    """Where pixels of the images may lie that were decoded while they came."""

    @property
    def inputs_digest(self) -> str:
        """Of the bytes of all images that go in, whatever their order."""
        members = sorted((one.role, one.sop_instance_uid, one.sha256) for one in self.inputs)
        return hashlib.sha256(json.dumps(members).encode()).hexdigest()

    def as_notice(self, verdict: Verdict, reasons: tuple[str, ...]) -> Ticket:
        """The same job, only to write the report that there is no result.

        The analyzer has no part in it, nor are its limits those of the report.
        """
        return replace(self, notice=Notice(verdict, reasons), limits=NOTICE_LIMITS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a ticket. ``transient``: the same ticket may succeed later.

    reason: for whoever runs the node or wrote the analyzer. told: for the report, in its place.
    left: what the analyzer changed in its process and did not put back, in words.
    printed: the beginning of what it wrote to standard output and error. It may tell of a patient:
        shown to whoever called the analyzer by hand, never logged or kept.
    """

    verdict: Verdict
    results: JobResults = field(default_factory=JobResults)
    reason: str = ""
    traceback: str = ""
    transient: bool = False
    waits_for: str = ""
    """What the job waits for, in words: no fault of its own, so no attempt."""
    seconds: float = 0.0
    told: str = ""
    decoders: tuple[str, ...] = ()
    """What decoded the pixels (``identity.decoders``)."""
    left: tuple[str, ...] = ()
    forms: tuple[ObjectKind, ...] = ()
    """The further forms that were to be made, whether there was such a thing or not."""
    printed: str = ""
    lines: tuple[JobLine, ...] = ()
    """What the worker told meanwhile, for the job's own log."""
    decoded_before: tuple[int, int] = (0, 0)
    """How many compressed images were found decoded, and how many were not."""
    said: str = ""
    """Digest of the findings (``identity.digest_of``)."""
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """The manifest of what the objects were made from, where that was not this run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job that runs is."""

    stage: Stage
    since: datetime
    """When that stage began."""
    share: float | None = None
    """How much of the stage is done, 0 to 1; None where nobody counts it."""


class Executor(Protocol):
    """Runs tickets. A fault of one never reaches another: it comes back as an outcome."""

    @property
    def slots(self) -> int:
        """How many tickets may run at once."""

    def submit(self, ticket: Ticket) -> Future[Outcome]:
        """Start a ticket; at most ``slots`` may be unfinished. The future never raises."""

    def end(self, job_id: int) -> None:
        """End the worker of a ticket, and all that it has started; its future tells of that as of
        any end. Nothing where it does not run."""

    def progress(self) -> Mapping[int, Progress]:
        """How far the jobs that run are, by number."""

    def prove(self) -> None:
        """Let every idle worker do something; raise ``WorkersSilent`` when one does not."""

    def stop(self) -> None:
        """End all workers now; what ran is due again at the next start."""


class WorkersSilent(NodeError):
    """A worker did not answer in time."""
