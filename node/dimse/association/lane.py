"""The data phase of an accepted association: C-STORE is served here, all else by pynetdicom.

``InstanceLane`` takes the place of pynetdicom's upper layer thread. It owns all reads: PDUs are
bounded before they are read, the fragments of a C-STORE-RQ go straight to the file, and the
response leaves from the same thread. Negotiation, release, abort and every other service stay
pynetdicom's. What is overridden is pinned by the tests of this package.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from pynetdicom.association import Association

from node.dimse import contexts
from node.dimse.incoming import IncomingMessages, decode_answer, decode_request
from node.dimse.loan import Loan
from node.dimse.rights import Right
from node.dimse.session import Session
from node.dimse.wakeups import IDLE_S, LOOK_ROUND_S, Checkpoint, WakingQueue
from node.dimse.wire import commands
from node.dimse.wire.commands import C_ECHO_RQ, C_STORE_RQ, Command, StoreAnswer
from node.dimse.wire.negotiation import AssociationRequest, plain
from node.dimse.wire.pdus import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    P_DATA_TF,
    ConnectionLost,
    PduFault,
    PduReader,
)
from node.dimse.wire.upper_layer import (
    AWAITING_ANSWER,
    AWAITING_CLOSE,
    CONNECTION_CLOSED,
    DATA_TRANSFER,
    INVALID_PDU,
    UpperLayer,
)
from node.receive import statuses
from node.receive.reception import Receiver
from node.receive.statuses import Status

AT_ONCE = 64
"""PDUs that are served before the reactor looks round."""
MAX_OTHER_DATA_SET_BYTES = 4 * 1024 * 1024
"""Of messages other than C-STORE: they are collected in memory. About 35 000 references."""
MAX_WAITING = 8
"""Messages other than C-STORE that may wait for their service; more stay in the socket."""
PAUSE_S = 0.002
"""Until it is looked again whether a message may be read."""
LINGER_S = 1.0
"""How long what a refused peer still sends is dropped, so that it can read the A-ABORT."""

_ENDS = {A_ABORT: "aborted", A_RELEASE_RQ: "released"}


class InstanceLane(UpperLayer):
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
        self.to_provider_queue = WakingQueue(reader.wake)
        self._session = session
        self._reader = reader
        self._on_end = on_end
        self._messages = IncomingMessages(
            association, receiver, MAX_OTHER_DATA_SET_BYTES, self._take_command, self._respond
        )
        self._linger_until = 0.0
        self._titles = b""
        self.how = ""
        """How the peer ended the association; empty while it has not."""
        self._is_over = False
        self.checkpoint: Checkpoint | None = None
        """Of the association's thread, which waits there."""
        self.loan = Loan(reader.wake, lambda: not self._is_over)
        """Who borrows may send, and call ``read``."""
        self.on_answer: Callable[[StoreAnswer], None] = lambda answer: None
        """Told of the responses to C-STOREs that the borrower sends."""
        self._posted: deque[bytes] = deque()

    def ask(self, request: AssociationRequest) -> None:
        """Give it the request that the connection has made; before it runs.

        Raises
        ------
        ValueError
        """
        pdu, event = self._decode_pdu(bytearray(request.pdu))
        self._titles = request.titles
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    def patience_s(self) -> float:
        """How long the association's thread need not look round, unless it is woken."""
        if self._is_over:
            return LOOK_ROUND_S  # until this thread has ended
        if self.network_timeout is None:
            return IDLE_S
        return max(float(self._idle_timer.remaining), 0.0) + LOOK_ROUND_S

    @property
    def is_open(self) -> bool:
        """Whether messages may go to and fro."""
        return (
            self.state_machine.current_state == DATA_TRANSFER
            and not self.event_queue.queue
            and not self._kill_thread
        )

    @property
    def is_needed(self) -> bool:
        """Whether this thread has something to do: who has borrowed gives back for a moment."""
        return self._kill_thread or bool(self.to_provider_queue.queue)

    def post(self, message: bytes) -> None:
        """Send whole P-DATA-TF PDUs between other messages. From any thread."""
        self._posted.append(message)
        if not self.loan.is_wanted:
            self._reader.wake()

    def take_posted(self) -> bytes:
        """What was posted and not sent: who has borrowed sends it. Only for that one."""
        posted = []
        while self._posted:
            posted.append(self._posted.popleft())
        return b"".join(posted)

    def read(self, timeout_s: float) -> None:
        """Serve what the peer sends within a time, at most one PDU. Only for who has borrowed."""
        if not self._may_read():
            self.refuse(PduFault("too many requests beside one that is being served"))
        elif self._reader.wait(timeout_s):
            self._read_pdu_data()

    def lose(self) -> None:
        """The connection could not be written to. Only for who has borrowed."""
        self.how = "lost"
        self.event_queue.put(CONNECTION_CLOSED)

    def run_reactor(self) -> None:
        """Run until the association is over, however it ends."""
        how = ""
        try:
            super().run_reactor()
        except Exception as error:
            self._session.log.error("association_fault", error=type(error).__name__, exc_info=True)
            how = "fault"
            if self.socket is not None:
                self.socket.close()
        finally:
            if self._messages.abandon():
                self._session.log.warning("transfer_incomplete")
            self._reader.close()
            self._on_end(how or self.how or "lost")
            self._is_over = True
            if self.checkpoint is not None:
                self.checkpoint.wake()

    # --- pynetdicom's hooks -----------------------------------------------------------------------

    def idle_timer_expired(self) -> bool:
        """Asked by the association's thread, which then aborts."""
        expired: bool = super().idle_timer_expired()
        if expired:
            self._session.log.warning("association_idle", timeout_s=self.network_timeout)
        return expired

    def kill_dul(self) -> None:
        """End the thread; from any."""
        super().kill_dul()
        self._reader.wake()

    def _send(self, pdu: Any) -> None:
        """An acceptance repeats the titles as they came. PS3.8 9.3.3."""
        if pdu.pdu_type == A_ASSOCIATE_AC and self.socket is not None:
            raw = pdu.encode()
            self.socket.send(raw[:10] + self._titles + raw[10 + len(self._titles) :])
            return
        super()._send(pdu)

    def _is_transport_event(self) -> bool:
        connected = self.socket is not None and self.socket.socket is not None
        if self.state_machine.current_state == AWAITING_CLOSE:
            return self._await_close(connected)
        if not self.event_queue.empty():
            return False  # the next PDU's meaning depends on the state after this one
        self._send_posted()
        if self.loan.is_wanted:
            self.loan.lend()
            self._idle_timer.restart()
            return False
        if not connected or not self._may_read():
            time.sleep(PAUSE_S)
            return False
        if self._reader.wait(IDLE_S):
            self._read_what_is_there()
            return True
        return False

    def _look_at_peer(self) -> None:
        """As long as there is something to send, nothing else would be read: no C-CANCEL."""
        is_quiet = self.event_queue.empty() and self.state_machine.current_state == DATA_TRANSFER
        if is_quiet and self._may_read() and self._reader.wait(0):
            self._read_pdu_data()

    def _read_what_is_there(self) -> None:
        """PDU after PDU of a data transfer, as long as nothing else is to be done."""
        for _ in range(AT_ONCE):
            self._read_pdu_data()
            if (
                self.state_machine.current_state != DATA_TRANSFER
                or self.event_queue.queue  # empty() takes a lock
                or self.to_provider_queue.queue
                or self._kill_thread
                or self.loan.is_wanted
                or self._posted
                or not self._may_read()
                or not self._reader.wait(LOOK_ROUND_S)
            ):
                return

    def _send_posted(self) -> None:
        if not self._posted:
            return
        message = self.take_posted()
        if self.state_machine.current_state == DATA_TRANSFER and self.socket is not None:
            self.socket.send(message)

    def _may_read(self) -> bool:
        """Not before the request is answered, nor while messages wait for their service."""
        if self.state_machine.current_state == AWAITING_ANSWER:
            if not self.assoc.is_alive():
                self.refuse(PduFault("the association request could not be negotiated"))
            return False
        waiting: int = self.assoc.dimse.msg_queue.qsize()
        return waiting < MAX_WAITING

    def _await_close(self, connected: bool) -> bool:
        lingers = time.monotonic() < self._linger_until
        if connected and self._reader.wait(PAUSE_S if lingers else 0):
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
        except ConnectionLost as lost:
            if self.state_machine.current_state == DATA_TRANSFER:
                self._session.log.warning("connection_lost", reason=str(lost))
                self.how = "lost"
            self.event_queue.put(CONNECTION_CLOSED)
            return
        except PduFault as fault:
            self.refuse(fault)
            return
        if header.kind == P_DATA_TF and self.state_machine.current_state == DATA_TRANSFER:
            self._serve(body)
            return
        if header.kind in (A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF):
            self.refuse(PduFault(f"PDU type 0x{header.kind:02X} does not belong here"))
            return
        if header.kind in _ENDS:
            self.how = _ENDS[header.kind]
        pdu, event = self._decode_pdu(bytearray(plain(header.kind, bytes(body))))
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    def refuse(self, fault: PduFault) -> None:
        """A-ABORT by the service provider. PS3.8 9.2, AA-1 and AA-8."""
        self._session.log.warning("association_aborted_by_node", reason=str(fault))
        self._linger_until = time.monotonic() + LINGER_S
        self.event_queue.put(INVALID_PDU)

    # --- messages ---------------------------------------------------------------------------------

    def _serve(self, body: memoryview) -> None:
        try:
            self._messages.take(body)
        except PduFault as fault:
            self.refuse(fault)

    def _take_command(self, context_id: int, raw: bytes) -> None:
        read = decode_answer if self.loan.is_wanted else commands.decode_answer
        if (answer := read(raw)) is not None:
            self.on_answer(answer)
            return
        request = decode_request(raw)
        if request is not None and request.field == C_STORE_RQ:
            self._messages.begin(context_id, request, self._session.calling_ae, self._refusal())
        elif request is not None and self._is_echo(context_id, request):
            self._answer(context_id, request, Status(statuses.SUCCESS))
        else:
            self._messages.forward(context_id, raw)

    def _is_echo(self, context_id: int, request: Command) -> bool:
        context = self.assoc._accepted_cx.get(context_id)
        return (
            request.field == C_ECHO_RQ
            and not request.has_data_set
            and context is not None
            and str(context.abstract_syntax) == request.sop_class_uid == contexts.VERIFICATION
        )

    def _refusal(self) -> Status | None:
        """The answer to a C-STORE-RQ that stands fast before its data set comes."""
        if not self._session.may(Right.STORE):
            return Status(statuses.NOT_AUTHORISED, "This AE title may not store here")
        return None

    def _respond(self, context_id: int, request: Command, status: Status) -> None:
        """C-STORE-RSP. PS3.7 9.3.1.2."""
        self._session.count(status.is_success)
        self._answer(context_id, request, status)

    def _answer(self, context_id: int, request: Command, status: Status) -> None:
        """Send a response now: this thread alone writes to the socket."""
        if self.socket is not None:
            answer = commands.response(request, status.code, status.comment)
            longest = int(self.assoc.requestor.maximum_length or 0)
            self.socket.send(commands.p_data(context_id, answer, longest))
