"""What happened, as programs get it: deliveries, events, refused images, deletions."""

from __future__ import annotations

from pydantic import Field

from node.web.shapes.base import Moment, Shape, Text
from storage.deletions import DeletionState, Scope
from storage.kinds import ObjectKind
from storage.quarantine import Quarantined, RefusalKind
from storage.records import DeliveryState, Level, Topic


class Made(Shape):
    """A DICOM object that a job made."""

    kind: ObjectKind
    size_bytes: int = Field(serialization_alias="bytes")
    """Size of its file, in bytes."""


class Delivery(Shape):
    """One object on its way to one destination."""

    id: int
    job_id: int
    destination: str = Field(examples=["pacs"])
    state: DeliveryState
    object: Made
    attempts: int
    not_before: Moment
    """When the next attempt is due."""
    status: int | None = Field(examples=[0xA900])
    """The status of C-STORE in the last answer (PS3.7 C), or what STOW-RS gave as Failure Reason or
    Warning Reason (PS3.18 I.2); 0 where a file was written; null where nothing was answered."""
    reason: Text
    sent_at: Moment | None
    in_doubt: bool
    """Whether an earlier attempt may have come through: its answer is not known."""


class Event(Shape):
    """One transition, with its time and reason."""

    id: int
    at: Moment
    level: Level
    """alarm: someone must act; it stands on the page until it is acknowledged."""
    subject: Topic
    """What it is about."""
    subject_id: int
    """The row number of that; 0 for the node."""
    from_state: str
    to_state: str
    reason: Text
    acknowledged: bool


class Refusal(Shape):
    """An image that was refused and kept aside."""

    id: int
    file: str
    """Its name in the quarantine folder, with a digest in the place of its UID."""
    kind: RefusalKind
    reason: Text
    sender: Text = Field(serialization_alias="from")
    """The calling AE title."""
    count: int
    """How often it was sent."""
    first_seen_at: Moment
    last_seen_at: Moment
    accepted_at: Moment | None
    """When a person wanted it to take the place of what is stored."""

    @classmethod
    def of(cls, row: Quarantined) -> Refusal:
        """A row of the quarantine as it is sent."""
        refused = row.refused
        return cls(
            id=row.id,
            file=refused.key,
            kind=refused.kind,
            reason=refused.reason,
            sender=refused.calling_ae,
            count=row.count,
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            accepted_at=row.accepted_at,
        )


class Deletion(Shape):
    """A deletion that was asked for, and how far it came. It stays when the study is gone."""

    id: int
    asked_at: Moment
    asked_by: str
    """A rule of the settings, or a command; never a name."""
    reason: str
    scope: Scope
    study_id: int
    even_undelivered: bool
    """Also what was not delivered, or not committed to."""
    state: DeletionState
    answer: str
    """Why it was refused."""
    instances: int
    """Images that were deleted."""
    results: int
    """Result files that were deleted."""
    size_bytes: int
    """What that freed, in bytes."""
    finished_at: Moment | None
