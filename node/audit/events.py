"""What is worth a line in the audit trail, in the words of PS3.15 A.5.3.

Whoever acts records one of these; how it becomes a message is the business of ``message``. A study
may be named by its UID alone: whose it is is looked up when the event is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Outcome(Enum):
    """EventOutcomeIndicator (PS3.15 A.5.2)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts or is acted with: a person, or an application.

    name: of a person the login name, of an application its AE title or address.
    address: host name or IP address, where it is known.
    is_ae: whether the name is an AE title.
    """

    name: str
    address: str = ""
    is_person: bool = False
    is_ae: bool = False


@dataclass(frozen=True, slots=True)
class OfClass:
    """So many instances of one SOP class."""

    sop_class_uid: str
    instances: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A study, and whose. What is empty is looked up when the event is kept: give it where the
    study may be gone by then.

    study_id, job_id: the row of the study, or of a job of it, where its UID is not at hand.
    """

    study_instance_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    accession_number: str = ""
    classes: tuple[OfClass, ...] = ()
    study_id: int = 0
    job_id: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """The node listens (A.5.3.1)."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The node has ended in order (A.5.3.1)."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody showed who he is, or failed to (A.5.3.12)."""

    by: Actor
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Logout:
    """A session was ended, by its owner, by somebody else or by time (A.5.3.12)."""

    by: Actor
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A search was answered, or refused (A.5.3.10).

    service: the SOP class UID of a C-FIND, or the path of a search over the web.
    asked: the identifier as it was encoded, or the query string.
    """

    by: Actor
    service: str
    asked: bytes
    transfer_syntax_uid: str = ""
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Accessed:
    """Somebody saw images, results or headers of studies (A.5.3.6). One a look: a page, a viewer
    opened; who loads frames of a study again and again is told once in a while."""

    by: Actor
    subjects: tuple[Subject, ...]
    what: str = ""
    outcome: Outcome = Outcome.SUCCESS


@dataclass(frozen=True, slots=True)
class TransferBegun:
    """The first instance of a study has come over an association (A.5.3.3): should the node be cut
    off before its end, this is what is known of it."""

    sender: Actor
    receiver: Actor
    subject: Subject


@dataclass(frozen=True, slots=True)
class Transferred:
    """Instances went from one application to another (A.5.3.7). One for each study and way.

    requestor: who asked for it where that is neither end, as of a C-MOVE.
    is_received: whether the node is the receiver.
    seconds: how long it took, where it was asked for; no message says it, the metrics do.
    """

    sender: Actor
    receiver: Actor
    subjects: tuple[Subject, ...]
    requestor: Actor | None = None
    is_received: bool = True
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Exported:
    """Data left the node for files, a folder or a browser's download (A.5.3.4)."""

    by: Actor
    destination: str
    subjects: tuple[Subject, ...]
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """Data came in from files (A.5.3.5)."""

    by: Actor
    source: str
    subjects: tuple[Subject, ...]
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A study is gone, or a part of it (A.5.3.8)."""

    by: Actor
    subject: Subject
    reason: str = ""
    outcome: Outcome = Outcome.SUCCESS


class Right(StrEnum):
    """What of the rights was changed: the event type of A.5.3.11 (CID 401)."""

    USER = "user"
    """A user made, locked, renamed; a password or an app password set."""
    ROLE = "role"
    """Somebody has another role."""
    RESTRICTION = "restriction"
    """Who may see which studies."""
    SETTINGS = "settings"
    """The security of the node itself."""


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """Somebody may do more or less than before (A.5.3.11). ``whom``: the user, group or AE title;
    ``change`` in words, without a secret."""

    by: Actor
    right: Right
    whom: str
    change: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody was refused (A.5.3.11): an association, or a function his role does not have.

    what: the function or route by name, never an address with what was asked in it.
    is_node: it was an association or a certificate, not a person.
    """

    by: Actor
    what: str
    reason: str
    is_node: bool = False


@dataclass(frozen=True, slots=True)
class TrailRead:
    """Somebody looked at the audit trail (A.5.3.2)."""

    by: Actor


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    """From now on events are lost (A.5.3.11)."""

    reason: str


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    """Events are kept again; ``lost`` were not (A.5.3.11)."""

    lost: int


AuditEvent = (
    Started
    | Stopped
    | Login
    | Logout
    | Query
    | Accessed
    | TransferBegun
    | Transferred
    | Exported
    | Imported
    | Deleted
    | RightsChanged
    | Refused
    | TrailRead
    | RecordingStopped
    | RecordingStarted
)
