"""An association of ours over which one C-STORE follows another, from files straight to the wire.

The connection is borrowed from the upper layer thread, so that one thread sends and reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pynetdicom.association import Association

from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.incoming import decode_answer
from node.dimse.loan import NotLent
from node.dimse.scu.caller import MAX_PDU_BYTES, upper_layer_of
from node.dimse.wire.commands import Move, StoreAnswer, store_request
from node.dimse.wire.outgoing import FileCutShort, Outgoing, wait_s
from node.dimse.wire.pdus import (
    P_DATA_TF,
    ConnectionLost,
    PduFault,
    PduHeader,
    PduReader,
    fragments,
)
from node.retrieve.encoded import Encoded

LOOK_S = 0.5
"""So often who waits for an answer looks whether it is still wanted."""
MAX_ANSWER_BYTES = 16 * 1024
OVER = "the association was aborted or the connection lost"


class Unfinished(Exception):
    """A file changed while it was sent; the association is of no more use."""


class Line:
    """Sends C-STOREs. Of one thread; after an exception nothing more can be sent."""

    def __init__(
        self,
        association: Association,
        name: str,
        answer_timeout_s: float,
        is_wanted: Callable[[], bool],
        move: Move | None,
    ) -> None:
        dul, connection = upper_layer_of(association), association.dul.socket
        if connection is None or connection.socket is None:
            raise NotLent
        sock = self._socket = connection.socket
        self._name, self._answer_timeout_s = name, answer_timeout_s
        self._is_wanted, self._move = is_wanted, move
        self._dul = dul
        self._network_timeout_s: float | None = sock.gettimeout()
        limit_s = self._network_timeout_s or answer_timeout_s
        self._reader = PduReader(sock, MAX_PDU_BYTES, limit_s)
        self._outgoing = Outgoing(sock, int(association.acceptor.maximum_length or 0))
        self._command = bytearray()
        self._last_id = 0
        self._deadline = 0.0

    def store(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, data_set: Encoded
    ) -> StoreAnswer:
        """One C-STORE and its answer.

        Raises
        ------
        PeerUnavailable
            The association is over, or no answer came in time.
        Unfinished
        """
        self.begin(context_id, sop_class_uid, sop_instance_uid, data_set)
        return self.finish()

    def begin(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, data_set: Encoded
    ) -> None:
        """Send a C-STORE; all of it is on its way afterwards.

        Raises
        ------
        PeerUnavailable, Unfinished
        """
        self._last_id = self._last_id % 0xFFFF + 1
        command = store_request(self._last_id, sop_class_uid, sop_instance_uid, self._move)
        try:
            self._outgoing.send(context_id, command, data_set)
        except FileCutShort as fault:
            raise Unfinished(str(fault)) from fault
        except OSError as error:
            raise self._over(PeerFault.ABORTED, OVER) from error
        self._deadline = time.monotonic() + wait_s(self._answer_timeout_s, data_set)

    def finish(self) -> StoreAnswer:
        """The answer to what was begun.

        Raises
        ------
        PeerUnavailable
        """
        while True:
            left = self._deadline - time.monotonic()
            if self._reader.wait(max(0.0, min(left, LOOK_S))):
                answer = self._read()
                if answer is not None and answer.message_id == self._last_id:
                    return answer
            elif not self._is_wanted():
                raise self._over(PeerFault.ABORTED, "nobody wants the answer any more")
            if left <= 0:
                raise self._over(PeerFault.TIMED_OUT, "no response in time; association aborted")

    def close(self) -> None:
        """Leave the connection to its thread, with what was read and not understood."""
        self._dul.give_again(self._reader.rest())
        self._reader.let_go()
        self._socket.settimeout(self._network_timeout_s)

    def _read(self) -> StoreAnswer | None:
        """The answer that the next PDU completes, if it does."""
        try:
            header = self._reader.read_header()
            if header.kind != P_DATA_TF:
                self._dul.give_again(header.raw + bytes(self._reader.read_body(header)))
                raise self._over(PeerFault.ABORTED, OVER)
            return self._message(header)
        except PduFault as fault:
            self._dul.blame(str(fault))
            reason = f"the peer sent what cannot be read: {fault}; association aborted"
            raise self._over(PeerFault.ABORTED, reason) from fault
        except ConnectionLost as lost:
            raise self._over(PeerFault.ABORTED, OVER) from lost

    def _message(self, header: PduHeader) -> StoreAnswer | None:
        answer = None
        for fragment in fragments(self._reader.read_body(header)):
            if not fragment.is_command:
                raise PduFault("a data set where the answer to a C-STORE has none")
            self._command += fragment.value
            if len(self._command) > MAX_ANSWER_BYTES:
                raise PduFault("a command set is too long")
            if fragment.is_last:
                raw, self._command = bytes(self._command), bytearray()
                answer = decode_answer(raw)
                if answer is None:
                    raise PduFault("a message that is no answer to a C-STORE")
        return answer

    def _over(self, fault: PeerFault, reason: str) -> PeerUnavailable:
        return PeerUnavailable(self._name, fault, reason, was_established=True)


@contextmanager
def line_over(
    association: Association,
    name: str,
    answer_timeout_s: float,
    is_wanted: Callable[[], bool] = lambda: True,
    move: Move | None = None,
) -> Iterator[Line]:
    """Send over an established association; ``name`` is the peer's in errors.

    ``is_wanted`` is asked while an answer is waited for: once not, the wait is over. ``move``: on
    whose behalf it is.

    Raises
    ------
    PeerUnavailable
        It is over already.
    """
    loan = upper_layer_of(association).loan
    with ExitStack() as stack:
        try:
            loan.take()
            stack.callback(loan.give_back)
            line = Line(association, name, answer_timeout_s, is_wanted, move)
        except NotLent as error:
            raise PeerUnavailable(name, PeerFault.ABORTED, OVER, was_established=True) from error
        stack.callback(line.close)
        yield line
