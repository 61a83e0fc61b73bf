"""What each event says as a message: the tables of PS3.15 A.5.3, one function an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from node.audit import codes
from node.audit.codes import Code
from node.audit.events import (
    Accessed,
    Actor,
    AuditEvent,
    Deleted,
    Exported,
    Imported,
    Login,
    Logout,
    Outcome,
    Query,
    RecordingStarted,
    RecordingStopped,
    Refused,
    Right,
    RightsChanged,
    Started,
    Stopped,
    Subject,
    TrailRead,
    TransferBegun,
    Transferred,
)
from node.audit.message import Part, Thing, Told, detailed, study_and_patient

_EXECUTE, _CREATE, _READ, _DELETE = "E", "C", "R", "D"
_SYSTEM, _REPORT, _SECURITY = "2", "3", "13"
_USER_ROLE = "11"
_RIGHT_TYPES = {
    Right.USER: codes.USER_SECURITY_CHANGED,
    Right.ROLE: codes.ROLES_CHANGED,
    Right.RESTRICTION: codes.OBJECT_SECURITY_CHANGED,
    Right.SETTINGS: codes.SECURITY_CONFIGURATION,
}


@dataclass(frozen=True, slots=True)
class Line:
    """A message, and what the trail is searched by."""

    told: Told
    by: Actor
    subject: Subject | None = None
    what: str = ""


def lines(event: AuditEvent, node: Actor) -> list[Line]:
    """What an event says, of each study once. ``node``: the node itself."""
    return list(_TELL[type(event)](event, node))


def _activity(kind: Code) -> Callable[[Any, Actor], Iterable[Line]]:
    def tell(event: Started | Stopped, node: Actor) -> Iterable[Line]:
        """A.5.3.1"""
        parts = (Part(node, (codes.APPLICATION,)),)
        told = Told(codes.APPLICATION_ACTIVITY, _EXECUTE, Outcome.SUCCESS, parts, kind)
        yield Line(told, node, what=kind.meaning)

    return tell


def _login(event: Login, node: Actor) -> Iterable[Line]:
    """A.5.3.12"""
    yield _authentication(event.by, node, codes.LOGIN, event.outcome, event.reason)


def _logout(event: Logout, node: Actor) -> Iterable[Line]:
    """A.5.3.12"""
    yield _authentication(event.by, node, codes.LOGOUT, Outcome.SUCCESS, event.reason)


def _authentication(by: Actor, node: Actor, kind: Code, outcome: Outcome, reason: str) -> Line:
    parts = (Part(by, is_requestor=True), Part(node))
    told = Told(codes.USER_AUTHENTICATION, _EXECUTE, outcome, parts, kind, reason)
    return Line(told, by, what=kind.meaning)


def _query(event: Query, node: Actor) -> Iterable[Line]:
    """A.5.3.10"""
    parts = (Part(event.by, (codes.SOURCE,), is_requestor=True), Part(node, (codes.DESTINATION,)))
    details = detailed([("TransferSyntax", event.transfer_syntax_uid)])
    is_dimse = event.service.replace(".", "").isdigit()
    kind = codes.SOP_CLASS_UID if is_dimse else codes.SEARCH_CRITERIA
    asked = Thing(event.service, kind, _SYSTEM, _REPORT, query=event.asked, details=details)
    told = Told(codes.QUERY, _EXECUTE, event.outcome, parts, reason=event.reason, things=(asked,))
    yield Line(told, event.by, what="C-FIND" if is_dimse else event.service)


def _accessed(event: Accessed, node: Actor) -> Iterable[Line]:
    """A.5.3.6"""
    parts = (Part(event.by, is_requestor=True), Part(node))
    for subject in event.subjects:
        told = Told(
            codes.INSTANCES_ACCESSED,
            _READ,
            event.outcome,
            parts,
            things=tuple(study_and_patient(subject, "6")),
        )
        yield Line(told, event.by, subject, event.what)


def _begun(event: TransferBegun, node: Actor) -> Iterable[Line]:
    """A.5.3.3"""
    parts = (
        Part(event.sender, (codes.SOURCE,), is_requestor=True),
        Part(event.receiver, (codes.DESTINATION,)),
    )
    things = tuple(study_and_patient(event.subject, "1"))
    told = Told(codes.TRANSFER_BEGUN, _EXECUTE, Outcome.SUCCESS, parts, things=things)
    yield Line(told, event.sender, event.subject, "reception begun")


def _transferred(event: Transferred, node: Actor) -> Iterable[Line]:
    """A.5.3.7"""
    by = event.requestor or (event.sender if event.is_received else event.receiver)
    parts = [
        Part(event.sender, (codes.SOURCE,), is_requestor=by is event.sender),
        Part(event.receiver, (codes.DESTINATION,), is_requestor=by is event.receiver),
    ]
    if event.requestor is not None:
        parts.append(Part(event.requestor, is_requestor=True))
    action, cycle = (_CREATE, "1") if event.is_received else (_READ, "11")
    for subject in event.subjects:
        told = Told(
            codes.INSTANCES_TRANSFERRED,
            action,
            event.outcome,
            tuple(parts),
            reason=event.reason,
            things=tuple(study_and_patient(subject, cycle)),
        )
        yield Line(told, by, subject, "received" if event.is_received else "sent")


def _exported(event: Exported, node: Actor) -> Iterable[Line]:
    """A.5.3.4"""
    media = Part(Actor(event.destination), (codes.DESTINATION_MEDIA,), media=codes.MEDIA_URI)
    parts = (Part(event.by, (codes.SOURCE,), is_requestor=True), media)
    for subject in event.subjects:
        things = tuple(study_and_patient(subject, "10"))
        told = Told(codes.EXPORT, _READ, event.outcome, parts, reason=event.reason, things=things)
        yield Line(told, event.by, subject, f"to {event.destination}")


def _imported(event: Imported, node: Actor) -> Iterable[Line]:
    """A.5.3.5"""
    media = Part(Actor(event.source), (codes.SOURCE_MEDIA,), media=codes.MEDIA_URI)
    parts = (Part(event.by, (codes.DESTINATION,), is_requestor=True), media)
    for subject in event.subjects:
        things = tuple(study_and_patient(subject, "2"))
        told = Told(codes.IMPORT, _CREATE, event.outcome, parts, reason=event.reason, things=things)
        yield Line(told, event.by, subject, f"from {event.source}")


def _deleted(event: Deleted, node: Actor) -> Iterable[Line]:
    """A.5.3.8"""
    told = Told(
        codes.STUDY_DELETED,
        _DELETE,
        event.outcome,
        (Part(event.by, is_requestor=True), Part(node)),
        reason=event.reason,
        things=tuple(study_and_patient(event.subject, "15")),
    )
    yield Line(told, event.by, event.subject, event.reason)


def _rights(event: RightsChanged, node: Actor) -> Iterable[Line]:
    """A.5.3.11"""
    about = Thing(
        event.whom,
        codes.USER_ID,
        _SYSTEM,
        _USER_ROLE,
        details=detailed([("Alert Description", event.change)]),
    )
    what = f"{event.whom}: {event.change}"
    yield _alert(event.by, node, _RIGHT_TYPES[event.right], Outcome.SUCCESS, about, what)


def _refused(event: Refused, node: Actor) -> Iterable[Line]:
    """A.5.3.11"""
    kind = codes.NODE_AUTHENTICATION if event.is_node else codes.RESTRICTED_FUNCTION
    about = Thing(
        event.what,
        codes.NODE_ID if event.is_node else codes.URI,
        _SYSTEM,
        _SECURITY,
        details=detailed([("Alert Description", event.reason)]),
    )
    what = f"{event.what}: {event.reason}"
    yield _alert(event.by, node, kind, Outcome.MINOR_FAILURE, about, what)


def _alert(by: Actor, node: Actor, kind: Code, outcome: Outcome, about: Thing, what: str) -> Line:
    """The node reports; who is alerted of performed it."""
    parts = (Part(node), Part(by, is_requestor=True))
    told = Told(codes.SECURITY_ALERT, _EXECUTE, outcome, parts, kind, what, (about,))
    return Line(told, by, what=what)


def _read(event: TrailRead, node: Actor) -> Iterable[Line]:
    """A.5.3.2"""
    about = Thing("/audit", codes.URI, _SYSTEM, _SECURITY, name="Security Audit Log")
    parts = (Part(event.by, is_requestor=True),)
    told = Told(codes.AUDIT_LOG_USED, _READ, Outcome.SUCCESS, parts, things=(about,))
    yield Line(told, event.by, what="audit trail read")


def _recording_stopped(event: RecordingStopped, node: Actor) -> Iterable[Line]:
    """A.5.3.11"""
    yield _recording(node, codes.RECORDING_STOPPED, Outcome.MAJOR_FAILURE, event.reason)


def _recording_started(event: RecordingStarted, node: Actor) -> Iterable[Line]:
    """A.5.3.11"""
    what = f"{event.lost} events were not recorded"
    yield _recording(node, codes.RECORDING_STARTED, Outcome.SUCCESS, what)


def _recording(node: Actor, kind: Code, outcome: Outcome, what: str) -> Line:
    about = Thing("/audit", codes.URI, _SYSTEM, _SECURITY, name="Security Audit Log")
    told = Told(codes.SECURITY_ALERT, _EXECUTE, outcome, (Part(node),), kind, what, (about,))
    return Line(told, node, what=what)


_TELL: dict[type[Any], Callable[[Any, Actor], Iterable[Line]]] = {
    Started: _activity(codes.APPLICATION_START),
    Stopped: _activity(codes.APPLICATION_STOP),
    Login: _login,
    Logout: _logout,
    Query: _query,
    Accessed: _accessed,
    TransferBegun: _begun,
    Transferred: _transferred,
    Exported: _exported,
    Imported: _imported,
    Deleted: _deleted,
    RightsChanged: _rights,
    Refused: _refused,
    TrailRead: _read,
    RecordingStopped: _recording_stopped,
    RecordingStarted: _recording_started,
}
