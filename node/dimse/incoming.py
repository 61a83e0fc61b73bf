"""The messages that come over an association, whoever has opened it.

Data sets of C-STORE go into a ``Receiver`` as they come, and are never held; all other messages are
handed to pynetdicom, which collects them in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dsutils import decode
from pynetdicom.pdu_primitives import P_DATA

from node.dimse import contexts
from node.dimse.wire import commands
from node.dimse.wire.commands import C_STORE_RQ, C_STORE_RSP, Command, StoreAnswer
from node.dimse.wire.pdus import Fragment, PduFault, fragments
from node.receive import statuses
from node.receive.offer import Offer
from node.receive.reception import NO_END, Receiver, Reception
from node.receive.statuses import Status

MAX_COMMAND_BYTES = 16 * 1024

Commanded = Callable[[int, bytes], None]
"""Given the presentation context and the whole command set: decides by ``begin`` or ``forward``."""
Respond = Callable[[int, Command, Status], None]
"""Answers a C-STORE-RQ."""


@dataclass(slots=True)
class _Transfer:
    """A C-STORE whose data set is arriving."""

    context_id: int
    request: Command
    reception: Reception
    received_bytes: int = 0


class IncomingMessages:
    """Of one association, and of its upper layer's thread alone."""

    def __init__(
        self,
        association: Association,
        receiver: Receiver,
        most_other_bytes: int,
        on_command: Commanded,
        respond: Respond,
    ) -> None:
        """``most_other_bytes``: of the data set of a message that is no C-STORE."""
        self._association = association
        self._receiver = receiver
        self._most_other_bytes = most_other_bytes
        self._on_command = on_command
        self._respond = respond
        self._command = bytearray()
        self._other_bytes = 0
        self._transfer: _Transfer | None = None

    def take(self, body: memoryview) -> None:
        """The body of a P-DATA-TF.

        Raises
        ------
        PduFault
            The peer breaks the protocol: the association has to be aborted.
        """
        for fragment in fragments(body):
            if fragment.is_command:
                self._take_command(fragment)
            else:
                self._take_data(fragment)

    def begin(
        self, context_id: int, request: Command, source_ae: str, refusal: Status | None = None
    ) -> None:
        """A C-STORE-RQ: what comes next is its data set, dropped where ``refusal`` stands fast.

        Raises
        ------
        PduFault
        """
        context = self._association._accepted_cx.get(context_id)
        abstract_syntax = str(context.abstract_syntax) if context else ""
        if context is None or not contexts.is_storage(abstract_syntax):
            raise PduFault("a C-STORE outside an accepted storage context")
        if refusal is None and request.sop_class_uid != abstract_syntax:
            comment = "SOP class differs from the presentation context's"
            refusal = Status(statuses.SOP_CLASS_NOT_SUPPORTED, comment)
        syntax = str(context.transfer_syntax[0])
        offer = Offer(request.sop_class_uid, request.sop_instance_uid, syntax, source_ae)
        reception = self._receiver.begin(offer, refusal)
        if not request.has_data_set:
            reception.abandon()
            self._respond(context_id, request, Status(statuses.CANNOT_UNDERSTAND, "No data set"))
            return
        self._transfer = _Transfer(context_id, request, reception)

    def forward(self, context_id: int, command_set: bytes) -> None:
        """A message that is no C-STORE-RQ: pynetdicom's."""
        self._other_bytes = 0
        self._hand_over(context_id, b"\x03" + command_set)

    def abandon(self) -> bool:
        """The association is over: what came of an instance is deleted; whether anything had."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.reception.abandon()
        return transfer is not None

    def _take_command(self, fragment: Fragment) -> None:
        if self._transfer is not None:
            raise PduFault("a command within a data set")
        self._command += fragment.value
        if len(self._command) > MAX_COMMAND_BYTES:
            raise PduFault("a command set is too long")
        if fragment.is_last:
            raw, self._command = bytes(self._command), bytearray()
            self._on_command(fragment.context_id, raw)

    def _take_data(self, fragment: Fragment) -> None:
        transfer = self._transfer
        if transfer is None:
            self._take_other_data(fragment)
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
            self._respond(transfer.context_id, transfer.request, status)

    def _take_other_data(self, fragment: Fragment) -> None:
        self._other_bytes += len(fragment.value)
        if self._other_bytes > self._most_other_bytes:
            raise PduFault("the data set of a message other than C-STORE is too long")
        control = b"\x02" if fragment.is_last else b"\x00"
        self._hand_over(fragment.context_id, control + bytes(fragment.value))

    def _hand_over(self, context_id: int, value: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((context_id, value))
        self._association.dimse.receive_primitive(primitive)


def decode_request(raw: bytes) -> Command | None:
    """A C-STORE-RQ or C-ECHO-RQ, however odd a C-STORE-RQ is written; None for anything else.

    Raises
    ------
    PduFault
        Undecodable, or a C-STORE-RQ without its mandatory elements.
    """
    return commands.decode(raw) or _decode_odd_store(raw)


def decode_answer(raw: bytes) -> StoreAnswer | None:
    """A C-STORE-RSP, however odd it is written; None for anything else.

    Raises
    ------
    PduFault
        Undecodable, or a C-STORE-RSP that says not what it answers, or how.
    """
    return commands.decode_answer(raw) or _decode_odd_answer(raw)


def _decode_odd_answer(raw: bytes) -> StoreAnswer | None:
    try:
        found: Any = decode(BytesIO(raw), True, True)
        if found.CommandField != C_STORE_RSP:
            return None
        comment = str(found.get("ErrorComment", "") or "")
        return StoreAnswer(int(found.MessageIDBeingRespondedTo), int(found.Status), comment)
    except Exception as error:  # border: pydicom raises nearly anything on foreign bytes
        raise PduFault(f"undecodable command set ({type(error).__name__})") from error


def _decode_odd_store(raw: bytes) -> Command | None:
    """What is no plain command set, read by pynetdicom; None where it is no C-STORE-RQ."""
    try:
        request: Any = decode(BytesIO(raw), True, True)
        if request.CommandField != C_STORE_RQ:
            return None
        sop_class, instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        message_id, data_set_type = request.MessageID, request.CommandDataSetType
    except Exception as error:
        raise PduFault(f"undecodable command set ({type(error).__name__})") from error
    is_whole = isinstance(message_id, int) and isinstance(data_set_type, int)
    if not (is_whole and sop_class and instance):
        raise PduFault("a C-STORE-RQ lacks mandatory elements")
    return Command(C_STORE_RQ, message_id, data_set_type, sop_class, instance)
