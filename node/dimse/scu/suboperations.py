"""C-STORE sub-operations of a C-GET (PS3.4 C.4.3): instances that come over an association which
the node itself has opened.

They go the way of all instances: as they come into a ``Receiver``, which decides what is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import P_DATA

from node.dimse import contexts
from node.dimse.wire import commands
from node.dimse.wire.commands import C_STORE_RQ, Command
from node.dimse.wire.pdus import Fragment, PduFault, fragments
from node.receive import statuses
from node.receive.offer import Offer
from node.receive.reception import NO_END, Receiver, Reception
from node.receive.statuses import Status

MAX_COMMAND_BYTES = 16 * 1024
MAX_OTHER_DATA_SET_BYTES = 16 * 1024 * 1024
"""Of a response: a Failed SOP Instance UID List of 250 000."""

Answered = Callable[[str, Status], None]
"""Told the SOP Instance UID of each instance that came, and what was answered."""


@dataclass(slots=True)
class _Transfer:
    context_id: int
    request: Command
    reception: Reception
    received_bytes: int = 0


class SubOperations:
    """Takes what the peer sends. Of the association's upper layer thread alone."""

    def __init__(
        self,
        association: Association,
        receiver: Receiver,
        source_ae: str,
        on_answered: Answered = lambda uid, status: None,
    ) -> None:
        self._association = association
        self._receiver = receiver
        self._source_ae = source_ae
        self._on_answered = on_answered
        self._command = bytearray()
        self._other_bytes = 0
        self._transfer: _Transfer | None = None

    def take(self, body: memoryview) -> None:
        """The body of a P-DATA-TF.

        Raises
        ------
        PduFault
            The peer breaks the protocol: the association has to be aborted.
        OSError
            An answer could not be sent.
        """
        for fragment in fragments(body):
            if fragment.is_command:
                self._take_command(fragment)
            else:
                self._take_data(fragment)

    def abandon(self) -> None:
        """The association is over: what came of an instance is deleted."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.reception.abandon()

    def _take_command(self, fragment: Fragment) -> None:
        if self._transfer is not None:
            raise PduFault("a command within a data set")
        self._command += fragment.value
        if len(self._command) > MAX_COMMAND_BYTES:
            raise PduFault("a command set is too long")
        if not fragment.is_last:
            return
        raw, self._command = bytes(self._command), bytearray()
        request = commands.decode(raw)
        if request is not None and request.field == C_STORE_RQ:
            self._begin(fragment.context_id, request)
        else:
            self._other_bytes = 0
            self._forward(fragment.context_id, b"\x03" + raw)

    def _take_data(self, fragment: Fragment) -> None:
        transfer = self._transfer
        if transfer is None:
            self._other_bytes += len(fragment.value)
            if self._other_bytes > MAX_OTHER_DATA_SET_BYTES:
                raise PduFault("the data set of a response is too long")
            control = b"\x02" if fragment.is_last else b"\x00"
            self._forward(fragment.context_id, control + bytes(fragment.value))
            return
        if fragment.context_id != transfer.context_id:
            raise PduFault("a message changes its presentation context")
        transfer.received_bytes += len(fragment.value)
        if self._receiver.has_no_end(transfer.received_bytes):
            raise PduFault(NO_END)
        transfer.reception.write(fragment.value)
        if fragment.is_last:
            status = transfer.reception.finish()
            self._transfer = None
            self._answer(transfer.context_id, transfer.request, status)

    def _begin(self, context_id: int, request: Command) -> None:
        context = self._association._accepted_cx.get(context_id)
        abstract_syntax = str(context.abstract_syntax) if context else ""
        if context is None or not contexts.is_storage(abstract_syntax):
            raise PduFault("a C-STORE outside an accepted storage context")
        refusal = None
        if request.sop_class_uid != abstract_syntax:
            comment = "SOP class differs from the presentation context's"
            refusal = Status(statuses.SOP_CLASS_NOT_SUPPORTED, comment)
        offer = Offer(
            request.sop_class_uid,
            request.sop_instance_uid,
            str(context.transfer_syntax[0]),
            self._source_ae,
        )
        reception = self._receiver.begin(offer, refusal)
        if not request.has_data_set:
            reception.abandon()
            self._answer(context_id, request, Status(statuses.CANNOT_UNDERSTAND, "No data set"))
            return
        self._transfer = _Transfer(context_id, request, reception)

    def _answer(self, context_id: int, request: Command, status: Status) -> None:
        """C-STORE-RSP, at once: the upper layer's thread alone writes to the socket."""
        connection = self._association.dul.socket
        if connection is not None and connection.socket is not None:
            answer = commands.response(request, status.code, status.comment)
            longest = int(self._association.acceptor.maximum_length or 0)
            connection.socket.sendall(commands.p_data(context_id, answer, longest))
        self._on_answered(request.sop_instance_uid, status)

    def _forward(self, context_id: int, value: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((context_id, value))
        self._association.dimse.receive_primitive(primitive)
