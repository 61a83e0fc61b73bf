"""The frozen records that cross the border of ``storage``, and the states they can be in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.kinds import ObjectKind

Header = Mapping[str, Any]
"""pydicom keyword → plain value (str, int, float, list of these) of one instance's header."""


class StudyState(StrEnum):
    RECEIVING = "receiving"
    COMPLETE = "complete"


class JobState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    CANCELLED = "cancelled"
    """A person did not want it to run, or to go on; what it had made by then is not kept."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """Not sent: a newer result of the same analysis goes to the destination."""
    LEFT_OUT = "left_out"
    """Not sent: the destination does not take it, or gets the finding in another form."""


class AnnouncementKind(StrEnum):
    """By which service instances were announced."""

    MPPS = "mpps"
    """Modality Performed Procedure Step. PS3.4 F."""
    IAN = "ian"
    """Instance Availability Notification. PS3.4 R."""
    COMMITMENT = "commitment"
    """A storage commitment request names the instances that its sender has sent. PS3.4 J."""


class StepStatus(StrEnum):
    """Performed Procedure Step Status (0040,0252), as the standard writes it."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


class AnnouncementState(StrEnum):
    """What the node still expects of an announcement."""

    IN_PROGRESS = "in_progress"
    AWAITED = "awaited"
    """Its list is final, and instances on it are missing."""
    ARRIVED = "arrived"
    GIVEN_UP = "given_up"
    """Instances on it were waited for in vain; they may still come."""
    DISCONTINUED = "discontinued"


class CommitmentState(StrEnum):
    """A peer's storage commitment request."""

    RECEIVED = "received"
    CHECKED = "checked"
    """The report is owed."""
    REPORTED = "reported"
    FAILED = "failed"
    """The requestor could not be told."""


class ResultCommitmentState(StrEnum):
    """Whether a destination has taken responsibility for a result."""

    OWED = "owed"
    REQUESTED = "requested"
    COMMITTED = "committed"
    REFUSED = "refused"


class Stage(StrEnum):
    """The stages of a study's way at which instances can be left behind."""

    RECEIVED = "received"
    COMPLETED = "completed"
    ANALYZED = "analyzed"
    SENT = "sent"
    COMMITTED = "committed"


class Priority(StrEnum):
    """Clinical priority, in the words of IHE and DICOM worklists."""

    STAT = "stat"
    URGENT = "urgent"
    ROUTINE = "routine"


class Topic(StrEnum):
    """What an event is about."""

    NODE = "node"
    STUDY = "study"
    JOB = "job"
    DELIVERY = "delivery"
    INSTANCE = "instance"
    ANNOUNCEMENT = "announcement"
    COMMITMENT = "commitment"
    AUDIT = "audit"


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"
    """Someone must act: shown on the status page until it is acknowledged."""


class PutOutcome(StrEnum):
    """What became of a received instance's file."""

    NEW = "new"
    SAME = "same"
    """The same UID with the same bytes was there already."""
    CONFLICT = "conflict"
    """The same UID with other bytes was there: the new one is in quarantine."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an instance lies. ``sha256`` is of the data set's bytes, without preamble and meta."""

    outcome: PutOutcome
    key: str
    size_bytes: int
    sha256: str
    incoming: str
    """Name of the hard link that stays until the index has the instance."""


@dataclass(frozen=True, slots=True)
class InstanceAttributes:
    """What the index keeps of an instance; see ``storage.header.attributes.extract``."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    study: Header
    """Patient and study level attributes."""
    series: Header
    """Series level attributes and those that routing rules match."""
    instance: Header
    """InstanceNumber, Rows, Columns, NumberOfFrames, ImageType, ImagePositionPatient,
    ImageOrientationPatient, PixelSpacing, SliceThickness, FrameOfReferenceUID … where present."""


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """A received instance on its way into the index."""

    attributes: InstanceAttributes
    placement: Placement
    received_at: datetime
    calling_ae: str = ""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An indexed instance: enough to find, order and verify it."""

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    key: str
    size_bytes: int
    sha256: str
    """As of ``storage.holdings.Held``."""
    header: Header
    own: bool = False
    """Whether its bytes lie with the results."""


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """An indexed series with its instances, as routing and the input contracts see it.

    ``header`` is that of the first instance that an analyzer could read, or else of the first
    (study, series and instance level together). ``disagreements``: attributes of the patient on
    which the images disagree.
    """

    id: int
    study_id: int
    series_instance_uid: str
    header: Header
    instances: tuple[StoredInstance, ...]
    disagreements: tuple[str, ...] = ()
    part: str = ""
    """What tells it from other parts of the same series; empty where it is the whole series."""
    part_name: str = ""
    """What people call the part: "image 2"; empty where it has no name."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to enter into the ledger. Unique by its first four fields and its weights.

    ``refusals`` non-empty: no series fits; the job only writes the report that says so.
    ``destinations`` are names from the settings.
    """

    inputs_digest: str
    analyzer: str
    analyzer_version: str
    parameters_digest: str
    parameters: Header
    study_id: int
    series_id: int
    instance_ids: tuple[int, ...]
    rule: str
    priority: Priority
    destinations: tuple[str, ...]
    refusals: tuple[str, ...] = ()
    notices: bool = True
    """Whether a failure is reported to the destinations too."""
    companions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Instances of other series of the study, by the role they play."""
    waits_for: tuple[str, ...] = ()
    """Keys of the jobs that have to end before this one is due."""
    weights: str = ""
    """Digest of the trained models that the analyzer answers from; empty where it has none."""
    variant: str = ""
    """Jobs of one analyzer with other variants stand beside one another: none takes the place of
    the other."""
    every_series: bool = False
    """Whether its rule runs on each series that fits: it takes the place of jobs on its own series
    alone."""
    missing: str = ""
    """What was missing of the study, in words, where it was not complete; part of the digest of the
    inputs, for the results say it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the job ledger."""

    id: int
    key: str
    """sha256 of inputs digest, analyzer, version, parameters digest and weights: names files and
    UIDs."""
    state: JobState
    analyzer: str
    analyzer_version: str
    parameters: Header
    study_id: int
    study_instance_uid: str
    series_instance_uid: str
    rule: str
    priority: Priority
    destinations: tuple[str, ...]
    refusals: tuple[str, ...]
    notices: bool
    attempts: int
    created_at: datetime
    started_at: datetime | None
    """First start: it dates the results, so that a repeat makes the same objects."""
    finished_at: datetime | None
    not_before: datetime
    reason: str
    traceback: str
    predecessor_id: int | None
    """The job whose results this one supersedes."""
    forms: tuple[ObjectKind, ...] = ()
    """Further forms of its findings that it made, or is to make."""
    is_further: bool = False
    """Whether it is done and due again, for further forms alone."""
    weights: str = ""
    """Digest of the trained models; empty: the analyzer has none, or an older node entered it."""
    cancel_wish: str = ""
    """Who wants it not to go on, and why, while it runs; and then until what stands above it
    knows."""
    variant: str = ""
    every_series: bool = False
    missing: str = ""
    unmade: Mapping[ObjectKind, str] = field(default_factory=dict)
    """Further forms that could not be made, and why; nothing waits for them."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """A line of a job's own log: what its worker told, without anything that tells of a patient."""

    at: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class ResultObject:
    """A result's DICOM file, written and synced, ready to be entered and delivered."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    kind: ObjectKind
    key: str
    """Path below the results folder."""
    size_bytes: int
    sha256: str
    """Of the whole file."""
    attributes: InstanceAttributes | None = field(default=None, compare=False)
    """What the index keeps of it; None where nobody has read it."""


class RowKind(StrEnum):
    """What a line for people says."""

    FINDING = "finding"
    ABSENT = "absent"
    """It was looked for, and is not there."""
    RANGE = "range"
    """The reference range of the number above, which that line has as well."""
    MADE = "made"
    """Something was made: images, a map, a registration."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One line for people: on the status page, in the demo, in the log of an author."""

    structure: str
    name: str
    value: float | None
    unit: str
    text: str = ""
    kind: RowKind = RowKind.FINDING
    reference: str = ""
    """The reference range of the value, in words; empty without one."""
    is_unusual: bool = False
    """Whether the value lies outside that range."""
    certainty: float | None = None
    """How sure it is, in per cent; None where nobody says."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> FindingRow:
        """A line as a job's row keeps it."""
        return cls(**{**stored, "kind": RowKind(stored.get("kind", RowKind.FINDING))})


def structures_of(rows: Iterable[FindingRow]) -> frozenset[str]:
    """What something was found in, by name."""
    found = (one for one in rows if one.kind is RowKind.FINDING)
    return frozenset(one.structure or one.name for one in found)


@dataclass(frozen=True, slots=True)
class JobResults:
    """What a finished job leaves behind."""

    objects: tuple[ResultObject, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    previews: tuple[str, ...] = ()
    """Keys of PNG files below the results folder."""
    remarks: tuple[str, ...] = ()
    unmade: Mapping[ObjectKind, str] = field(default_factory=dict)
    """Further forms that could not be made, and why."""

    @property
    def found(self) -> frozenset[str]:
        """What something was found in, by name."""
        return structures_of(self.findings)


@dataclass(frozen=True, slots=True)
class FoundResults:
    """The objects of a job by the record that lies beside them; ``at`` dates them."""

    objects: tuple[ResultObject, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class StudyPlace:
    """Where a study stands in the list, which is by the moment of its last image."""

    last_received_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A line of the list of studies."""

    id: int
    study_instance_uid: str
    state: StudyState
    generation: int
    """How often it has been complete."""
    header: Header
    series: int
    """From outside; so are the instances."""
    instances: int
    results: int
    """Instances of series that the node made itself."""
    first_received_at: datetime
    last_received_at: datetime
    completed_at: datetime | None
    note: str = ""
    """Why nothing was run, when no rule fired."""

    @property
    def place(self) -> StudyPlace:
        return StudyPlace(self.last_received_at, self.id)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of the outbox: one object to one destination."""

    id: int
    job_id: int
    destination: str
    state: DeliveryState
    object: ResultObject
    attempts: int
    not_before: datetime
    status: int | None
    """Of the last answer: that of C-STORE, or the reason that STOW-RS gives, which is the same."""
    reason: str
    sent_at: datetime | None
    in_doubt: bool = False
    """Whether an earlier attempt may have come through: its answer is not known."""


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, with its time and reason."""

    id: int
    at: datetime
    level: Level
    subject: Topic
    subject_id: int
    from_state: str
    to_state: str
    reason: str
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals for the head of the status page."""

    studies: Mapping[StudyState, int] = field(default_factory=dict)
    jobs: Mapping[JobState, int] = field(default_factory=dict)
    deliveries: Mapping[DeliveryState, int] = field(default_factory=dict)
    alarms: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance by its UIDs: an item of a Referenced SOP Sequence (0008,1199)."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a peer has said about instances that it sends. ``uid`` is its SOP instance's, or a
    transaction's."""

    id: int
    kind: AnnouncementKind
    uid: str
    sender_ae: str
    status: StepStatus
    state: AnnouncementState
    announced_at: datetime
    changed_at: datetime
    attributes: Header
    """pydicom keyword → value of the step, as far as the node keeps them."""
    studies: tuple[str, ...] = ()
    """Study instance UIDs."""


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """A peer's storage commitment request."""

    id: int
    transaction_uid: str
    requestor_ae: str
    host: str
    """Where the request came from."""
    association: str
    """The association that brought it, in the log's words."""
    state: CommitmentState
    received_at: datetime
    not_before: datetime
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class CheckedReference:
    """An instance of a commitment request. ``failure`` is a Failure Reason (0008,1197), 0 for
    none, None before it was checked."""

    reference: Reference
    failure: int | None


@dataclass(frozen=True, slots=True)
class ResultToCommit:
    """A result that was sent to a destination which has yet to commit to it."""

    delivery_id: int
    reference: Reference
    attempts: int
