"""Services of DIMSE-N (PS3.7 10): how requests reach them, and what is answered when they fail.

A service is a pure matter of requests and answers; this module alone ties it to pynetdicom.
"""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from io import BytesIO
from typing import Any, Protocol, TypeVar

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dsutils import decode

from node import statuses
from node.clock import system_clock
from node.dimse.rights import ALL, Right
from node.dimse.services import reference_lists
from node.dimse.services.event_reports import OrderedDimse
from node.dimse.services.reference_lists import Listed, Lists
from node.dimse.session import Session
from node.statuses import StatusRow, general
from storage.elements import NotPlain
from storage.errors import DatabaseUnavailable, UnreadableInstance
from storage.records import Reference

log: structlog.stdlib.BoundLogger = structlog.get_logger()

UNSERVED = general(
    statuses.UNRECOGNISED_OPERATION, "the node serves no such operation of the SOP class"
)
"""Answered to every operation that is in no table."""
ALWAYS = (
    general(statuses.SUCCESS, "done, durably"),
    general(
        statuses.PROCESSING_FAILURE,
        "a fault of this node; the comment has an id that is in its log",
    ),
    general(statuses.INVALID_ARGUMENT_VALUE, "the data set cannot be read, or a UID is none"),
    general(
        statuses.NO_SUCH_SOP_CLASS,
        "the request names another SOP class than its presentation context",
    ),
    general(statuses.NOT_AUTHORISED, "the peer has not the right to `store`"),
    general(statuses.RESOURCE_LIMITATION, "the database is away: worth another try"),
)
"""What any request may be answered, whatever it asks for."""
LACKING = (
    general(statuses.MISSING_ATTRIBUTE, "an attribute of type 1 is missing; the comment names it"),
    general(statuses.MISSING_ATTRIBUTE_VALUE, "an attribute of type 1 is empty"),
)

MAX_UID_LENGTH = 64
LARGE_BYTES = 256 * 1024
"""Of a data set: beyond it, it costs memory to read."""
LARGE_AT_ONCE = 2
"""So many large ones are served at one time, whoever sends them; the others wait."""

_large = threading.Semaphore(LARGE_AT_ONCE)
T = TypeVar("T")


class Operation(StrEnum):
    """A DIMSE-N operation or notification that the node serves."""

    CREATE = "N-CREATE"
    SET = "N-SET"
    ACTION = "N-ACTION"
    EVENT_REPORT = "N-EVENT-REPORT"


@dataclass(frozen=True, slots=True)
class Request:
    """What a peer asks. ``type_id`` is the action's or the event's."""

    operation: Operation
    sop_class_uid: str
    sop_instance_uid: str
    """Empty where an N-CREATE-RQ leaves it to the SCP."""
    dataset: Dataset
    type_id: int = 0
    calling_ae: str = ""
    host: str = ""
    association: str = ""
    lists: Lists = field(default_factory=dict)
    """The lists of instances of an N-ACTION or N-EVENT-REPORT; they are not in the ``dataset``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: success, unless a ``Refusal`` was raised."""

    sop_instance_uid: str = ""
    """The UID that the SCP chose for an N-CREATE."""


class Refusal(Exception):
    """The request is answered with a failure; ``comment`` holds no patient data."""

    def __init__(self, status: int, comment: str, error_id: int | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[: statuses.MAX_COMMENT_LENGTH]
        self.error_id = error_id


class NotInTable(Exception):
    """A service refuses with a status that its table does not have: a fault of this node."""


class Service(Protocol):
    """A service of one SOP class. Called from association threads."""

    @property
    def sop_class_uid(self) -> str:
        """The SOP class that it serves."""

    @property
    def tables(self) -> Mapping[Operation, Sequence[StatusRow]]:
        """The operations that it serves, each with all that it answers."""

    def serve(self, request: Request) -> Answer:
        """Do what is asked, durably. ``request`` is one of the operations in ``tables``.

        Raises
        ------
        Refusal, DatabaseUnavailable
        """


def bind(association: Association, session: Session, services: Sequence[Service]) -> None:
    """Let the services answer what a peer asks over an association."""
    by_class = {service.sop_class_uid: service for service in services}
    for operation, (event_type, read) in _READ.items():
        association.bind(event_type, _serve, [operation, read, by_class, session])


def serve_over(
    event: evt.Event, operation: Operation, service: Service, peer_ae: str
) -> tuple[Dataset, Dataset | None]:
    """Answer a request that comes over an association which the node itself has opened."""
    session = Session(str(event.assoc.acceptor.address), system_clock())
    session.identify(peer_ae, "")
    session.rights = ALL  # the node has asked for it
    return _serve(event, operation, _READ[operation][1], {service.sop_class_uid: service}, session)


def _serve(
    event: evt.Event,
    operation: Operation,
    read: Callable[[evt.Event], Request],
    by_class: Mapping[str, Service],
    session: Session,
) -> tuple[Dataset, Dataset | None]:
    """Always an answer: whatever goes wrong is a status. Few large ones are served at one time."""
    with _large if _is_large(event.request) else nullcontext():
        return _served(event, operation, read, by_class, session)


def _is_large(request: Any) -> bool:
    names = ("AttributeList", "ModificationList", "ActionInformation", "EventInformation")
    sets = (getattr(request, name, None) for name in names)
    return any(isinstance(one, BytesIO) and one.getbuffer().nbytes > LARGE_BYTES for one in sets)


def _served(
    event: evt.Event,
    operation: Operation,
    read: Callable[[evt.Event], Request],
    by_class: Mapping[str, Service],
    session: Session,
) -> tuple[Dataset, Dataset | None]:
    if operation is Operation.ACTION and isinstance(event.assoc.dimse, OrderedDimse):
        event.assoc.dimse.action_received()
    try:
        if not session.may(Right.STORE):
            raise Refusal(statuses.NOT_AUTHORISED, "This AE title may not announce or ask here")
        request = _identified(read(event), session, str(event.context.abstract_syntax))
        answer = _answered(request, by_class.get(request.sop_class_uid))
    except Refusal as refusal:
        session.log.warning(
            "request_refused",
            operation=operation.value,
            status=f"0x{refusal.status:04X}",
            reason=refusal.comment,
        )
        return _failure(refusal), None
    except DatabaseUnavailable:
        session.log.error("request_refused", operation=operation.value, reason="database away")
        return _failure(Refusal(statuses.RESOURCE_LIMITATION, "Database is unavailable")), None
    except Exception as error:  # noqa: BLE001  border: a peer always gets an answer
        return _failure(_internal_fault(session, operation, error)), None
    return _success(answer)


def _answered(request: Request, service: Service | None) -> Answer:
    """Let the service answer, in the words of its table."""
    if service is None or request.operation not in service.tables:
        raise Refusal(UNSERVED.code, "No such operation of this SOP class")
    try:
        return service.serve(request)
    except Refusal as refusal:
        if all(row.code != refusal.status for row in service.tables[request.operation]):
            raise NotInTable(f"0x{refusal.status:04X}") from refusal
        raise


def _identified(request: Request, session: Session, abstract_syntax: str) -> Request:
    if request.sop_class_uid != abstract_syntax:
        raise Refusal(
            statuses.NO_SUCH_SOP_CLASS, "SOP class differs from the presentation context's"
        )
    if request.sop_instance_uid or request.operation is not Operation.CREATE:
        require_uid(request.sop_instance_uid, "SOP Instance UID")
    return replace(
        request, calling_ae=session.calling_ae, host=session.host, association=session.id
    )


def _created(event: evt.Event) -> Request:
    asked: Any = event.request
    data = _decoded(lambda: event.attribute_list)
    return Request(
        Operation.CREATE, _uid(asked.AffectedSOPClassUID), _uid(asked.AffectedSOPInstanceUID), data
    )


def _modified(event: evt.Event) -> Request:
    asked: Any = event.request
    data = _decoded(lambda: event.modification_list)
    return Request(
        Operation.SET, _uid(asked.RequestedSOPClassUID), _uid(asked.RequestedSOPInstanceUID), data
    )


def _acted(event: evt.Event) -> Request:
    asked: Any = event.request
    data, lists = _with_lists(event, asked.ActionInformation)
    class_uid, instance_uid = _uid(asked.RequestedSOPClassUID), _uid(asked.RequestedSOPInstanceUID)
    type_id = int(asked.ActionTypeID or 0)
    return Request(Operation.ACTION, class_uid, instance_uid, data, type_id, lists=lists)


def _reported(event: evt.Event) -> Request:
    asked: Any = event.request
    data, lists = _with_lists(event, asked.EventInformation)
    class_uid, instance_uid = _uid(asked.AffectedSOPClassUID), _uid(asked.AffectedSOPInstanceUID)
    type_id = int(asked.EventTypeID or 0)
    return Request(Operation.EVENT_REPORT, class_uid, instance_uid, data, type_id, lists=lists)


_READ: dict[Operation, tuple[evt.EventType, Callable[[evt.Event], Request]]] = {
    Operation.CREATE: (evt.EVT_N_CREATE, _created),
    Operation.SET: (evt.EVT_N_SET, _modified),
    Operation.ACTION: (evt.EVT_N_ACTION, _acted),
    Operation.EVENT_REPORT: (evt.EVT_N_EVENT_REPORT, _reported),
}


def _with_lists(event: evt.Event, information: BytesIO | None) -> tuple[Dataset, Lists]:
    """A data set and its lists of instances, which may be long."""
    raw = information.getvalue() if information is not None else b""
    syntax = event.context.transfer_syntax
    if syntax.is_little_endian:
        try:
            rest, lists = reference_lists.split(raw, not syntax.is_implicit_VR)
        except UnreadableInstance as error:
            raise Refusal(statuses.INVALID_ARGUMENT_VALUE, "The data set cannot be read") from error
        except NotPlain:
            pass
        else:
            return _decoded(lambda: decode(BytesIO(rest), syntax.is_implicit_VR, True)), lists
    dataset = _decoded(lambda: decode(BytesIO(raw), syntax.is_implicit_VR, syntax.is_little_endian))
    return dataset, _decoded(lambda: reference_lists.lists_of(dataset))


def _decoded(read: Callable[[], T]) -> T:
    try:
        found = read()
    except Exception as error:
        raise Refusal(statuses.INVALID_ARGUMENT_VALUE, "The data set cannot be read") from error
    return found


def _uid(value: object) -> str:
    return str(value or "")


def _success(answer: Answer) -> tuple[Dataset, Dataset | None]:
    status = Dataset()
    status.Status = statuses.SUCCESS
    reply = Dataset()
    if answer.sop_instance_uid:
        reply.AffectedSOPInstanceUID = answer.sop_instance_uid
    return status, reply


def _failure(refusal: Refusal) -> Dataset:
    status = Dataset()
    status.Status = refusal.status
    status.ErrorComment = refusal.comment
    if refusal.error_id is not None:
        status.ErrorID = refusal.error_id
    return status


def _internal_fault(session: Session, operation: Operation, error: Exception) -> Refusal:
    """Log a fault of our own under a new id. The message is left out: it may quote the data set."""
    fault_id = uuid.uuid4().hex[:12]
    frames = "".join(traceback.format_tb(error.__traceback__))
    session.log.error(
        "request_fault",
        operation=operation.value,
        fault=fault_id,
        error=type(error).__name__,
        traceback=frames,
    )
    return Refusal(statuses.PROCESSING_FAILURE, f"Internal fault {fault_id}")


# --- reading data sets ----------------------------------------------------------------------------


def require_uid(value: object, name: str) -> str:
    """A value as a UID.

    Raises
    ------
    Refusal
    """
    text = str(value or "")
    if len(text) > MAX_UID_LENGTH or not UID(text).is_valid:
        raise Refusal(statuses.INVALID_ARGUMENT_VALUE, f"{name} is missing or no UID")
    return text


def required(dataset: Dataset, keyword: str) -> Any:
    """The value of a type 1 attribute.

    Raises
    ------
    Refusal
        0x0120 where it is missing, 0x0121 where it is empty.
    """
    if keyword not in dataset:
        raise Refusal(statuses.MISSING_ATTRIBUTE, f"{keyword} is missing")
    value = dataset[keyword].value
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        raise Refusal(statuses.MISSING_ATTRIBUTE_VALUE, f"{keyword} is empty")
    return value


def listed(request: Request, keyword: str) -> tuple[Reference, ...]:
    """The instances of a list of type 1, each once.

    Raises
    ------
    Refusal
        0x0120 where it is missing, 0x0121 where it is empty.
    """
    if keyword not in request.lists:
        raise Refusal(statuses.MISSING_ATTRIBUTE, f"{keyword} is missing")
    if not request.lists[keyword]:
        raise Refusal(statuses.MISSING_ATTRIBUTE_VALUE, f"{keyword} is empty")
    return tuple(dict.fromkeys(reference_of(one) for one in request.lists[keyword]))


def reference_of(one: Listed) -> Reference:
    """An item of a list.

    Raises
    ------
    Refusal
    """
    return Reference(
        require_uid(one.sop_class_uid, "ReferencedSOPClassUID"),
        require_uid(one.sop_instance_uid, "ReferencedSOPInstanceUID"),
    )


def references(items: Sequence[Dataset]) -> tuple[Reference, ...]:
    """The items of a Referenced SOP Sequence, each once.

    Raises
    ------
    Refusal
    """
    found = (
        Reference(
            require_uid(item.get("ReferencedSOPClassUID"), "ReferencedSOPClassUID"),
            require_uid(item.get("ReferencedSOPInstanceUID"), "ReferencedSOPInstanceUID"),
        )
        for item in items
    )
    return tuple(dict.fromkeys(found))
