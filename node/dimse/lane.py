"""The data phase of an accepted association: C-STORE is served here, all else by pynetdicom.

``InstanceLane`` takes the place of pynetdicom's upper layer thread. It owns all reads: PDUs are
bounded before they are read, the fragments of a C-STORE-RQ go straight to the file, and the
response leaves from the same thread. Negotiation, release, abort and every other service stay
pynetdicom's. What is overridden is pinned by the tests of this package.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from node.dimse import contexts, statuses
from node.dimse.pdus import (
    P_DATA_TF,
    ConnectionLost,
    Fragment,
    PduFault,
    PduReader,
    fragments,
)
from node.dimse.receive import Offer, Receiver, Reception
from node.dimse.session import Session
from node.dimse.statuses import Status

C_STORE_RQ = 0x0001
"""Command Field (0000,0100). PS3.7 E.1-1."""
NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800). PS3.7 E.1-1."""

MAX_COMMAND_BYTES = 16 * 1024
MAX_OTHER_DATA_SET_BYTES = 1024 * 1024
"""Of messages other than C-STORE: they are collected in memory."""
POLL_S = 0.002
"""How long one wait for the peer may delay what another thread wants sent."""
LINGER_S = 1.0
"""How long what a refused peer still sends is dropped, so that it can read the A-ABORT."""

_DATA_TRANSFER = "Sta6"
_AWAITING_CLOSE = "Sta13"
_CONNECTION_CLOSED = "Evt17"
_INVALID_PDU = "Evt19"


@dataclass(slots=True)
class _Transfer:
    """A C-STORE whose data set is arriving."""

    context_id: int
    request: Dataset
    reception: Reception


class InstanceLane(DULServiceProvider):
    """The upper layer thread of one accepted association."""

    def __init__(
        self,
        association: Association,
        receiver: Receiver,
        session: Session,
        reader: PduReader,
        on_end: Callable[[str], None],
    ) -> None:
        super().__init__(association)
        self.daemon = True  # a peer that hangs must not keep the process alive
        self._run_loop_delay = 0.0  # the waiting is done in poll(), which data ends at once
        self._receiver = receiver
        self._session = session
        self._reader = reader
        self._on_end = on_end
        self._command = bytearray()
        self._other_bytes = 0
        self._transfer: _Transfer | None = None
        self._linger_until = 0.0

    def run_reactor(self) -> None:
        """Run until the association is over, however it ends."""
        how = "lost"
        try:
            super().run_reactor()
        except Exception as error:  # noqa: BLE001  border: one association must not hurt others
            self._session.log.error("association_fault", error=type(error).__name__)
            how = "fault"
            if self.socket is not None:
                self.socket.close()
        finally:
            if self._transfer is not None:
                self._transfer.reception.abandon()
                self._session.log.warning("transfer_incomplete")
            self._reader.close()
            self._on_end(how)

    # --- pynetdicom's hooks -----------------------------------------------------------------------

    def _is_transport_event(self) -> bool:
        connected = self.socket is not None and self.socket.socket is not None
        if self.state_machine.current_state == _AWAITING_CLOSE:
            return self._await_close(connected)
        if connected and self._reader.wait(POLL_S):
            self._read_pdu_data()
            return True
        if not connected:
            time.sleep(POLL_S)
        return False

    def _await_close(self, connected: bool) -> bool:
        lingers = time.monotonic() < self._linger_until
        if connected and self._reader.wait(POLL_S if lingers else 0):
            if self._reader.discard():
                return True
        elif lingers:
            return False
        if self.socket is not None:
            self.socket.close()
        return True

    def _read_pdu_data(self) -> None:
        try:
            header = self._reader.read_header()
            body = self._reader.read_body(header)
        except ConnectionLost:
            self.event_queue.put(_CONNECTION_CLOSED)
            return
        except PduFault as fault:
            self._refuse(fault)
            return
        if header.kind == P_DATA_TF and self.state_machine.current_state == _DATA_TRANSFER:
            self._serve(body)
            return
        try:
            pdu, event = self._decode_pdu(bytearray(header.raw + body))
        except Exception as error:  # noqa: BLE001  border: foreign bytes
            self._refuse(PduFault(f"undecodable PDU ({type(error).__name__})"))
            return
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    def _refuse(self, fault: PduFault) -> None:
        """A-ABORT by the service provider. PS3.8 9.2, AA-1 and AA-8."""
        self._session.log.warning("association_aborted_by_node", reason=str(fault))
        self._linger_until = time.monotonic() + LINGER_S
        self.event_queue.put(_INVALID_PDU)

    # --- messages ---------------------------------------------------------------------------------

    def _serve(self, body: memoryview) -> None:
        try:
            for fragment in fragments(body):
                if fragment.is_command:
                    self._take_command(fragment)
                else:
                    self._take_data(fragment)
        except PduFault as fault:
            self._refuse(fault)

    def _take_command(self, fragment: Fragment) -> None:
        if self._transfer is not None:
            raise PduFault("a command within a data set")
        self._command += fragment.value
        if len(self._command) > MAX_COMMAND_BYTES:
            raise PduFault("a command set is too long")
        if not fragment.is_last:
            return
        raw, self._command = bytes(self._command), bytearray()
        request = _decode_command(raw)
        if request.get("CommandField") == C_STORE_RQ:
            self._begin(fragment.context_id, request)
        else:
            self._other_bytes = 0
            self._forward(fragment.context_id, b"\x03" + raw)

    def _take_data(self, fragment: Fragment) -> None:
        transfer = self._transfer
        if transfer is None:
            self._other_bytes += len(fragment.value)
            if self._other_bytes > MAX_OTHER_DATA_SET_BYTES:
                raise PduFault("the data set of a message other than C-STORE is too long")
            control = b"\x02" if fragment.is_last else b"\x00"
            self._forward(fragment.context_id, control + bytes(fragment.value))
            return
        if fragment.context_id != transfer.context_id:
            raise PduFault("a message changes its presentation context")
        transfer.reception.write(fragment.value)
        if fragment.is_last:
            status = transfer.reception.finish()
            self._transfer = None
            self._respond(transfer.context_id, transfer.request, status)

    def _forward(self, context_id: int, value: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((context_id, value))
        self.assoc.dimse.receive_primitive(primitive)

    # --- C-STORE ----------------------------------------------------------------------------------

    def _begin(self, context_id: int, request: Dataset) -> None:
        context = self.assoc._accepted_cx.get(context_id)
        abstract_syntax = str(context.abstract_syntax) if context else ""
        if context is None or not contexts.is_storage(abstract_syntax):
            raise PduFault("a C-STORE outside an accepted storage context")
        offer = Offer(
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            str(context.transfer_syntax[0]),
            self._session.calling_ae,
        )
        reception = self._receiver.begin(offer, _refusal(request, abstract_syntax))
        if request.CommandDataSetType == NO_DATA_SET:
            reception.abandon()
            self._respond(context_id, request, Status(statuses.CANNOT_UNDERSTAND, "No data set"))
            return
        self._transfer = _Transfer(context_id, request, reception)

    def _respond(self, context_id: int, request: Dataset, status: Status) -> None:
        """C-STORE-RSP. PS3.7 9.3.1.2."""
        self._session.count(status.is_success)
        response = C_STORE()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.Status = status.code
        setattr(response, "ErrorComment", status.comment or None)  # noqa: B010 - declared None
        for keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID"):
            try:
                setattr(response, keyword, request[keyword].value)
            except ValueError:
                continue  # optional in a response; what is no UID cannot be echoed
        self.assoc.dimse.send_msg(response, context_id)


def _refusal(request: Dataset, abstract_syntax: str) -> Status | None:
    if request.AffectedSOPClassUID != abstract_syntax:
        comment = "SOP class differs from the presentation context's"
        return Status(statuses.SOP_CLASS_NOT_SUPPORTED, comment)
    return None


def _decode_command(raw: bytes) -> Dataset:
    """A command set, always Implicit VR Little Endian (PS3.7 6.3.1).

    Raises
    ------
    PduFault
        Undecodable, or a C-STORE-RQ without its mandatory elements.
    """
    try:
        request: Any = decode(BytesIO(raw), True, True)
        if request.CommandField == C_STORE_RQ and not (
            isinstance(request.MessageID, int)
            and isinstance(request.CommandDataSetType, int)
            and str(request.AffectedSOPClassUID)
            and str(request.AffectedSOPInstanceUID)
        ):
            raise PduFault("a C-STORE-RQ lacks mandatory elements")
    except PduFault:
        raise
    except Exception as error:
        raise PduFault(f"undecodable command set ({type(error).__name__})") from error
    if not isinstance(request, Dataset):
        raise PduFault("undecodable command set")
    return request
