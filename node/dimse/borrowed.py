"""An accepted association's connection, borrowed: C-STOREs go to the peer that asked (C-GET)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from node.dimse.loan import Loan, NotLent
from node.dimse.wire.commands import StoreAnswer, store_request
from node.dimse.wire.outgoing import FileCutShort, Outgoing, wait_s
from node.dimse.wire.pdus import PduFault
from node.retrieve.encoded import Encoded

LOOK_S = 1.0
"""So often who waits for an answer looks whether the association is over."""


class Lane(Protocol):
    """The upper layer thread of an accepted association, as far as it lends the connection."""

    loan: Loan
    on_answer: Callable[[StoreAnswer], None]
    socket: Any
    assoc: Any

    @property
    def is_open(self) -> bool:
        """Whether messages may go to and fro."""

    @property
    def is_needed(self) -> bool:
        """Whether it has something to do: who has borrowed gives back for a moment."""

    def post(self, message: bytes) -> None:
        """Send whole P-DATA-TF PDUs between other messages. From any thread."""

    def take_posted(self) -> bytes:
        """What was posted and not sent. Only for who has borrowed, as all that follows."""

    def read(self, timeout_s: float) -> None:
        """Serve what the peer sends within a time, at most one PDU."""

    def refuse(self, fault: PduFault) -> None:
        """Abort the association."""

    def lose(self) -> None:
        """The connection could not be written to."""


class BorrowedLane:
    """Sends over the association in its lane's place. Of one thread."""

    def __init__(self, lane: Lane, answer_timeout_s: float) -> None:
        socket = lane.socket.socket if lane.socket is not None else None
        if socket is None:
            raise NotLent
        self._lane = lane
        self._outgoing = Outgoing(socket, int(lane.assoc.requestor.maximum_length or 0))
        self._timeout_s = answer_timeout_s
        self._answer: StoreAnswer | None = None
        self._last_id = 0
        self._deadline = 0.0

    def begin(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, data_set: Encoded
    ) -> None:
        """Send a C-STORE; all of it is on its way afterwards.

        Raises
        ------
        NotLent
            The association is over.
        """
        self._last_id = self._last_id % 0xFFFF + 1
        command = store_request(self._last_id, sop_class_uid, sop_instance_uid)
        self._answer = None
        self._make_way()
        self._send(lambda: self._outgoing.send(context_id, command, data_set))
        self._deadline = time.monotonic() + wait_s(self._timeout_s, data_set)

    def finish(self) -> StoreAnswer:
        """The answer to what was begun.

        Raises
        ------
        NotLent
        """
        while True:
            left = self._deadline - time.monotonic()
            self._await(max(0.0, min(left, LOOK_S)))
            if self._answer is not None and self._answer.message_id == self._last_id:
                return self._answer
            if left <= 0:
                self._lane.refuse(PduFault("a C-STORE was not answered in time"))

    def take(self) -> None:
        """Take what the peer has sent meanwhile: a C-CANCEL, perhaps.

        Raises
        ------
        NotLent
        """
        self._await(0)

    def look(self) -> None:
        """Send what was posted, and take what the peer has sent meanwhile.

        Raises
        ------
        NotLent
        """
        self._make_way()
        self._send(self._outgoing.flush)
        self._await(0)

    def is_there(self) -> bool:
        """The same; false where the association is over."""
        try:
            self.look()
        except NotLent:
            return False
        return True

    def take_answer(self, answer: StoreAnswer) -> None:
        """Called by the lane, as it reads."""
        self._answer = answer

    def _send(self, send: Callable[[], None]) -> None:
        self._outgoing.ahead += self._lane.take_posted()
        try:
            send()
        except FileCutShort as fault:
            self._lane.refuse(PduFault(f"an instance could not be read to its end: {fault}"))
            raise NotLent from fault
        except OSError as error:
            self._lane.lose()
            raise NotLent from error

    def _await(self, timeout_s: float) -> None:
        self._make_way()
        self._lane.read(timeout_s)
        if not self._lane.is_open:
            raise NotLent

    def _make_way(self) -> None:
        """Let the lane send what others want to send: an abort, or an event report."""
        if self._lane.is_needed:
            self._lane.loan.give_back()
            self._lane.loan.take()
        if not self._lane.is_open:
            raise NotLent


@contextmanager
def borrowed(lane: Lane, answer_timeout_s: float) -> Iterator[BorrowedLane]:
    """The association's connection, for this thread alone.

    Raises
    ------
    NotLent
        The association is over.
    """
    lane.loan.take()
    try:
        made = BorrowedLane(lane, answer_timeout_s)
        lane.on_answer = made.take_answer
        yield made
    finally:
        lane.on_answer = lambda answer: None
        lane.loan.give_back()
