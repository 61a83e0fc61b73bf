"""How requests of DIMSE-N reach their services, and what is answered when these fail.

Services are pure matters of requests and answers; this module alone ties them to pynetdicom.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from io import BytesIO
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dsutils import decode

from node import statuses
from node.clock import system_clock
from node.dimse.rights import ALL, Right
from node.dimse.services import reference_lists
from node.dimse.services.event_reports import OrderedDimse
from node.dimse.services.reference_lists import Lists
from node.dimse.services.requests import (
    UNSERVED,
    Answer,
    NotInTable,
    Operation,
    Refusal,
    Request,
    Service,
    require_uid,
)
from node.dimse.session import Session
from storage.errors import DatabaseUnavailable, UnreadableInstance
from storage.header.elements import NotPlain

LARGE_BYTES = 256 * 1024
"""Of a data set: beyond it, it costs memory to read."""
LARGE_AT_ONCE = 2
"""So many large ones are served at one time, whoever sends them; the others wait."""

_large = threading.Semaphore(LARGE_AT_ONCE)
T = TypeVar("T")


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
        comment = session.log_fault(operation.value, error)
        return _failure(Refusal(statuses.PROCESSING_FAILURE, comment)), None
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
