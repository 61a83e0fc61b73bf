"""Reading PDUs from a socket within limits (PS3.8 9.3), and the values inside a P-DATA-TF."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

P_DATA_TF = 0x04
PDU_TYPES = range(0x01, 0x08)
HEADER_BYTES = 6
MAX_CONTROL_PDU_BYTES = 1024 * 1024
"""Of any PDU but P-DATA-TF. An A-ASSOCIATE-RQ with 128 contexts of all syntaxes has 150 kB."""

_COMMAND = 0x01
_LAST = 0x02


class PduFault(Exception):
    """The peer sent what no PDU may be; the association has to be aborted."""


class ConnectionLost(Exception):
    """The connection ended, or was silent for too long, within a PDU."""


@dataclass(frozen=True, slots=True)
class PduHeader:
    """Type and length of a PDU. PS3.8 9.3.1."""

    raw: bytes
    kind: int
    length: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """A presentation data value: a piece of a message. PS3.8 9.3.5.1, E.2."""

    context_id: int
    is_command: bool
    is_last: bool
    value: memoryview


class PduReader:
    """Reads PDUs of a bounded length into one reused buffer.

    ``TCP_QUICKACK`` is set before every blocking read: without it a sender that leaves Nagle's
    algorithm on waits 40 ms for the acknowledgement of every message.
    """

    def __init__(self, sock: socket.socket, max_pdu_bytes: int, timeout_s: float) -> None:
        self._socket = sock
        self._max_pdu_bytes = max_pdu_bytes
        self._timeout_s = timeout_s
        self._buffer = bytearray(64 * 1024)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Whether something can be read, within a time."""
        return bool(self._poll.poll(timeout_s * 1000))

    def close(self) -> None:
        """Close the socket. (pynetdicom leaves it open where the peer was gone before.)"""
        self._socket.close()

    def discard(self) -> bool:
        """Drop what has arrived; false when the peer has closed."""
        try:
            return bool(self._socket.recv_into(self._buffer))
        except OSError:
            return False

    def read_header(self) -> PduHeader:
        """The next PDU's header.

        Raises
        ------
        PduFault
            Unknown type, or longer than allowed: its body must not be read.
        ConnectionLost
            Closed or silent.
        """
        raw = bytes(self._read(HEADER_BYTES))
        kind, length = struct.unpack(">BxL", raw)
        if kind not in PDU_TYPES:
            raise PduFault(f"unknown PDU type 0x{kind:02X}")
        limit = self._max_pdu_bytes if kind == P_DATA_TF else MAX_CONTROL_PDU_BYTES
        if length > limit:
            raise PduFault(f"PDU of {length} bytes; {limit} are allowed")
        return PduHeader(raw, kind, length)

    def read_body(self, header: PduHeader) -> memoryview:
        """The rest of the PDU; valid until the next read."""
        return self._read(header.length)

    def _read(self, length: int) -> memoryview:
        if length > len(self._buffer):
            self._buffer = bytearray(length)
        view = memoryview(self._buffer)[:length]
        deadline = time.monotonic() + self._timeout_s
        got = 0
        while got < length:
            try:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                count = self._socket.recv_into(view[got:])
            except OSError as error:
                raise ConnectionLost(type(error).__name__) from error
            if not count:
                raise ConnectionLost("closed by the peer")
            got += count
            if got < length and time.monotonic() > deadline:
                raise ConnectionLost("a PDU took longer than the network time-out")
        return view


def fragments(body: memoryview) -> Iterator[Fragment]:
    """The presentation data values of a P-DATA-TF.

    Raises
    ------
    PduFault
        The items' lengths do not add up to the PDU's.
    """
    offset = 0
    while offset < len(body):
        if len(body) - offset < 6:
            raise PduFault("a presentation data value is cut off")
        length, context_id, control = struct.unpack_from(">LBB", body, offset)
        end = offset + 4 + length
        if length < 2 or end > len(body):
            raise PduFault("a presentation data value is longer than its PDU")
        yield Fragment(
            context_id, bool(control & _COMMAND), bool(control & _LAST), body[offset + 6 : end]
        )
        offset = end
