"""pynetdicom as requestor, with our connections in it, and an ear for what PACSs really answer."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket

from node.dimse.loan import Loan
from node.dimse.wakeups import LOOK_ROUND_S, Checkpoint, WakingQueue, hold_by
from node.dimse.wire.negotiation import plain
from node.dimse.wire.pdus import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    HEADER_BYTES,
    P_DATA_TF,
    PduFault,
    checked_header,
)
from node.dimse.wire.upper_layer import AWAITING_CLOSE, CONNECTION_CLOSED, INVALID_PDU, UpperLayer

PAUSE_S = 0.001
"""While there is no connection."""
MAX_PDU_BYTES = 128 * 1024
"""Announced, and the longest P-DATA-TF that is read."""
_SOURCES = {
    1: "Service User",
    2: "Service Provider (ACSE)",
    3: "Service Provider (Presentation)",
}
_REASONS = {
    (1, 1): "No reason given",
    (1, 2): "Application context name not supported",
    (1, 3): "Calling AE title not recognised",
    (1, 7): "Called AE title not recognised",
    (2, 1): "No reason given",
    (2, 2): "Protocol version not supported",
    (3, 1): "Temporary congestion",
    (3, 2): "Local limit exceeded",
}
"""PS3.8 Table 9-21."""


def rejection_of(association: Association) -> str:
    """By whom and why it was rejected, in words and as it came; empty where it was not.

    Asked of the thread that read it: pynetdicom takes a rejection that comes at once for a failure
    to connect.
    """
    told = association.dul.rejection if isinstance(association.dul, UpperLayerOfCaller) else b""
    if len(told) < 3:
        return ""
    result, source, reason = told[:3]
    by = _SOURCES.get(source, "an unknown source")
    why = _REASONS.get((source, reason), "a reserved reason")
    return f"rejected by {by}: {why} ({result}/{source}/{reason})"


def fault_of(association: Association) -> str:
    """Why an answer could not be read; empty where all could."""
    return association.dul.fault if isinstance(association.dul, UpperLayerOfCaller) else ""


class Takes(Protocol):
    """Takes the bodies of P-DATA-TF in pynetdicom's place, on the upper layer's thread."""

    def take(self, body: memoryview) -> None:
        """Raises PduFault where the association is to be aborted, OSError where it is lost."""

    def abandon(self) -> None:
        """The association is over."""


def give_messages_to(association: Association, takes: Takes) -> None:
    """From now on the peer's messages are for somebody else; before any is asked for."""
    if isinstance(association.dul, UpperLayerOfCaller):
        association.dul.takes = takes
    if isinstance(association.dul.socket, _Connection):
        association.dul.socket.answers_at_once = True


def heard_at(association: Association) -> float:
    """When the peer was last heard, by the monotonic clock."""
    return association.dul.heard_at if isinstance(association.dul, UpperLayerOfCaller) else 0.0


class _Connection(AssociationSocket):
    """pynetdicom's socket, closed also where the connection failed, and of any number."""

    looked_at = b""
    """What was read to be judged, and is to be read again."""
    answers_at_once = False
    """Acknowledge each read at once: a sender that leaves Nagle's algorithm on waits for it."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, at first of what was looked at."""
        again, self.looked_at = self.looked_at[:nr_bytes], self.looked_at[nr_bytes:]
        left = nr_bytes - len(again)
        if not left:
            return bytearray(again)
        if self.answers_at_once and self.socket is not None:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return bytearray(again) + super().recv(left)

    @property
    def ready(self) -> bool:
        """Whether something can be read. (select() takes no descriptor above 1023.)"""
        return self._poll(0.0)

    def is_readable(self, bell: int) -> bool:
        """The same within a moment, which the bell ends."""
        return self._poll(LOOK_ROUND_S, bell)

    def _poll(self, timeout_s: float, bell: int = -1) -> bool:
        connected = self.socket
        if connected is None or not self._is_connected:
            time.sleep(min(timeout_s, PAUSE_S))
            return False
        if self.looked_at:
            return True
        if isinstance(connected, ssl.SSLSocket) and connected.pending():
            return True  # decrypted already: the socket itself may be silent
        poll = select.poll()
        try:
            poll.register(connected, select.POLLIN)
        except ValueError:  # closed meanwhile
            self.event_queue.put("Evt17")
            return False
        if bell >= 0:
            poll.register(bell, select.POLLIN)
        return any(descriptor != bell for descriptor, _ in poll.poll(timeout_s * 1000))

    def _shutdown_socket(self) -> None:
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()


class UpperLayerOfCaller(UpperLayer):
    """pynetdicom's upper layer thread; it understands answers that pynetdicom does not."""

    fault = ""
    rejection = b""
    takes: Takes | None = None
    """What takes the messages of a peer that sends instances."""
    heard_at = 0.0
    """When the last of the peer's PDUs came, by the monotonic clock."""

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self._run_loop_delay = 0.0  # the waiting is done in poll(), which data ends at once
        self._bell = -1
        self._lock = threading.Lock()
        self.to_provider_queue = WakingQueue(self.wake)
        self._is_over = False
        self.loan = Loan(self.wake, lambda: not self._is_over)

    def wake(self) -> None:
        """End a wait. From any thread."""
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def kill_dul(self) -> None:
        super().kill_dul()
        self.wake()

    def run_reactor(self) -> None:
        bell = self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            super().run_reactor()
        finally:
            self._is_over = True
            if self.takes is not None:
                self.takes.abandon()
            with self._lock:
                self._bell = -1
            os.close(bell)

    def give_again(self, read: bytes) -> None:
        """Read this before all else; said by who borrowed the connection."""
        if isinstance(self.socket, _Connection):
            self.socket.looked_at += read

    def blame(self, fault: str) -> None:
        """The peer sent what cannot be read to who borrowed the connection."""
        self.fault = fault
        self.event_queue.put(INVALID_PDU)

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == AWAITING_CLOSE and self.fault and self.socket:
            self.socket.close()  # nothing that such a peer sends is read
            return True
        is_idle = self.event_queue.empty() and self.to_provider_queue.empty()
        if is_idle and self.state_machine.current_state != AWAITING_CLOSE:
            if self.loan.is_wanted:
                self.loan.lend()
                return False
            self._wait()
        return bool(super()._is_transport_event())

    def _wait(self) -> None:
        connection = self.socket
        if isinstance(connection, _Connection) and connection.is_readable(self._bell):
            return
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def _read_pdu_data(self) -> None:
        """As pynetdicom's, once the announced length is known to be one that is taken."""
        connection = self.socket
        if isinstance(connection, _Connection):
            try:
                header = bytes(connection.recv(HEADER_BYTES))
                if len(header) == HEADER_BYTES:
                    checked_header(header, MAX_PDU_BYTES, A_ASSOCIATE_AC)
            except PduFault as fault:
                self.fault = str(fault)
                self.event_queue.put(INVALID_PDU)
                return
            except OSError:
                self.event_queue.put(CONNECTION_CLOSED)
                return
            if len(header) < HEADER_BYTES:
                self.event_queue.put(CONNECTION_CLOSED)
                return
            self.heard_at = time.monotonic()
            if header[0] == P_DATA_TF and self.takes is not None:
                self._take(self.takes, connection, int.from_bytes(header[2:], "big"))
                return
            connection.looked_at = header + connection.looked_at
        super()._read_pdu_data()

    def _take(self, takes: Takes, connection: _Connection, length: int) -> None:
        """The body of a P-DATA-TF goes past pynetdicom."""
        try:
            body = connection.recv(length)
            if len(body) < length:
                raise ConnectionResetError
            takes.take(memoryview(body))
        except PduFault as fault:
            self.fault = str(fault)
            self.event_queue.put(INVALID_PDU)
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)

    def _decode_pdu(self, bytestream: bytearray) -> Any:
        kind, body = bytestream[0], bytes(bytestream[HEADER_BYTES:])
        if kind == A_ASSOCIATE_RJ:
            self.rejection = body[1:4]
        if kind != P_DATA_TF:
            try:
                bytestream = bytearray(plain(kind, body))
            except PduFault as fault:
                self.fault = str(fault)
                raise
        return super()._decode_pdu(bytestream)


def upper_layer_of(association: Association) -> UpperLayerOfCaller:
    """Of an association that a ``Caller`` has opened."""
    dul = association.dul
    if not isinstance(dul, UpperLayerOfCaller):
        raise TypeError("the association is none of a Caller's")
    return dul


class Caller(AE):
    """pynetdicom's application entity with our connections in it."""

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: Any
    ) -> AssociationSocket:
        checkpoint = Checkpoint(assoc.is_alive)
        hold_by(assoc, checkpoint)
        made, assoc.dul = assoc.dul, UpperLayerOfCaller(assoc)
        assoc.dimse.msg_queue = WakingQueue(checkpoint.wake)
        assoc.dul.to_user_queue = WakingQueue(checkpoint.wake)
        assoc.dul.artim_timer.timeout = made.artim_timer.timeout
        assoc.dul._idle_timer.timeout = made._idle_timer.timeout
        connection = _Connection(assoc, address=address)
        connection.tls_args = tls_args
        return connection
