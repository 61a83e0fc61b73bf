"""N-EVENT-REPORT-RQ over an association that a peer opened (PS3.7 10.1.1).

pynetdicom's own ``send_n_event_report`` is made for an association on which nothing else goes on:
it takes the next message, whatever it is, for the response, and its fragments can mix with those of
other messages. Here responses are recognised by their message id as they arrive, and one message
is sent at a time.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode

from node import statuses
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.wire.commands import p_data

LAST_MESSAGE_ID = 0xFFFF
MOST_UNREAD = 16
"""Messages that wait to be sent to a peer before who answers it waits."""
UNREAD_S = 0.002


@dataclass(frozen=True, slots=True)
class EventReport:
    """What is reported. PS3.7 10.1.1.1."""

    sop_class_uid: str
    sop_instance_uid: str
    event_type: int
    dataset: Dataset


class OrderedDimse(DIMSEServiceProvider):
    """Sends one message at a time, and none of ours while an N-ACTION waits for its response."""

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self._order = threading.Condition(threading.RLock())
        self._unanswered = 0

    def action_received(self) -> None:
        """An N-ACTION is being served; its response goes before any report."""
        with self._order:
            self._unanswered += 1

    def send_msg(self, primitive: Any, context_id: int) -> None:
        with self._order:
            super().send_msg(primitive, context_id)
            if isinstance(primitive, N_ACTION) and primitive.MessageIDBeingRespondedTo is not None:
                self._unanswered = max(0, self._unanswered - 1)
                self._order.notify_all()

    def send_encoded(self, context_id: int, command_set: bytes, data_set: bytes) -> None:
        """Send a message that is encoded already; waits while the peer has many to read.

        Raises
        ------
        PeerUnavailable
            The association is over.
        """
        queue: Any = self.dul.to_provider_queue
        while queue.qsize() > MOST_UNREAD and self.assoc.is_established:
            time.sleep(UNREAD_S)
        if not self.assoc.is_established:
            raise PeerUnavailable("", PeerFault.ABORTED, "the association is over")
        longest = self.maximum_pdu_size
        pdus = p_data(context_id, command_set, longest)
        with self._order:
            queue.put(pdus + p_data(context_id, data_set, longest, is_command=False))

    def send_after_answers(self, primitive: Any, context_id: Any, timeout_s: float) -> bool:
        """Send when no N-ACTION waits for its response; false when that took too long."""
        with self._order:
            if not self._order.wait_for(lambda: self._unanswered == 0, timeout_s):
                return False
            self.send_msg(primitive, context_id)
            return True


@dataclass(slots=True)
class _Open:
    association: Association
    dimse: OrderedDimse
    calling_ae: str
    host: str
    answers: dict[int, SimpleQueue[int]] = field(default_factory=dict)
    last_id: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Associations(Protocol):
    """Associations that peers have open with the node, in whichever process."""

    def of_peer(self, calling_ae: str, host: str) -> list[str]:
        """The names of a peer's associations, newest first."""

    def is_open(self, name: str) -> bool:
        """Whether it still is."""

    def report(self, name: str, report: EventReport, timeout_s: float) -> int:
        """Send a report; the status that the peer answers.

        Raises
        ------
        PeerUnavailable
        """


class OpenAssociations:
    """The live associations over which something can be reported. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def prepare(self, association: Association) -> None:
        """Make a new association fit for reports, before it is used."""
        association.dimse = OrderedDimse(association)

    def add(self, name: str, association: Association, calling_ae: str, host: str) -> None:
        """An association was accepted. ``name`` is the one in the log."""
        dimse = association.dimse
        if not isinstance(dimse, OrderedDimse):
            raise TypeError("the association was not prepared")
        one = _Open(association, dimse, calling_ae, host)
        association.bind(evt.EVT_DIMSE_RECV, _take_answer, [one])
        with self._lock:
            self._open[name] = one

    def remove(self, name: str) -> None:
        with self._lock:
            self._open.pop(name, None)

    def of_peer(self, calling_ae: str, host: str) -> list[str]:
        """The names of a peer's associations, newest first."""
        with self._lock:
            found = [
                name
                for name, one in self._open.items()
                if one.calling_ae == calling_ae and one.host == host
            ]
        return found[::-1]

    def is_open(self, name: str) -> bool:
        with self._lock:
            one = self._open.get(name)
        return one is not None and bool(one.association.is_established)

    def report(self, name: str, report: EventReport, timeout_s: float) -> int:
        """Send a report; the status that the peer answers.

        Raises
        ------
        PeerUnavailable
            The association is over or lacks the presentation context, or nothing is answered.
        """
        with self._lock:
            one = self._open.get(name)
        if one is None or not one.association.is_established:
            raise PeerUnavailable(name, PeerFault.ABORTED, "the association is over")
        context = next(
            (
                context
                for context in one.association.accepted_contexts
                if context.abstract_syntax == report.sop_class_uid
            ),
            None,
        )
        if context is None:
            reason = "the association has no presentation context for the report"
            raise PeerUnavailable(name, PeerFault.NO_CONTEXT, reason)
        message_id, answers = _expect_answer(one)
        try:
            message = _message(report, message_id, context.transfer_syntax[0])
            if not one.dimse.send_after_answers(message, context.context_id, timeout_s):
                raise PeerUnavailable(name, PeerFault.TIMED_OUT, "a request was not answered")
            return _answer(one, answers, name, timeout_s)
        finally:
            with one.lock:
                one.answers.pop(message_id, None)


def _expect_answer(one: _Open) -> tuple[int, SimpleQueue[int]]:
    with one.lock:
        one.last_id = one.last_id % LAST_MESSAGE_ID + 1
        answers = one.answers[one.last_id] = SimpleQueue()
        return one.last_id, answers


def _answer(one: _Open, answers: SimpleQueue[int], name: str, timeout_s: float) -> int:
    waited_s = 0.0
    while waited_s < timeout_s:
        try:
            return answers.get(timeout=0.1)
        except Empty:
            waited_s += 0.1
            if not one.association.is_established:
                reason = "the association ended before the report was answered"
                raise PeerUnavailable(name, PeerFault.ABORTED, reason) from None
    raise PeerUnavailable(name, PeerFault.TIMED_OUT, "the report was not answered in time")


def _take_answer(event: evt.Event, one: _Open) -> None:
    """Runs in the thread that reads. pynetdicom drops the response afterwards: nobody waits."""
    message = event.message
    if not isinstance(message, N_EVENT_REPORT_RSP):
        return
    command = message.command_set
    with one.lock:
        answers = one.answers.get(int(command.get("MessageIDBeingRespondedTo") or 0))
    if answers is not None:
        answers.put(int(command.get("Status", statuses.PROCESSING_FAILURE)))


def _message(report: EventReport, message_id: int, transfer_syntax: Any) -> N_EVENT_REPORT:
    message = N_EVENT_REPORT()
    message.MessageID = message_id
    message.AffectedSOPClassUID = report.sop_class_uid
    message.AffectedSOPInstanceUID = report.sop_instance_uid
    message.EventTypeID = report.event_type
    encoded = encode(
        report.dataset,
        transfer_syntax.is_implicit_VR,
        transfer_syntax.is_little_endian,
        transfer_syntax.is_deflated,
    )
    if encoded is None:
        raise ValueError("the report cannot be encoded")
    message.EventInformation = BytesIO(encoded)
    return message
