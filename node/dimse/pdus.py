"""Reading PDUs from a socket within limits (PS3.8 9.3), and the values inside a P-DATA-TF."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

P_DATA_TF = 0x04
PDU_TYPES = range(0x01, 0x08)
HEADER_BYTES = 6
A_ASSOCIATE_RQ = 0x01
MAX_REQUEST_BYTES = 512 * 1024
"""Of an A-ASSOCIATE-RQ: 128 contexts of all syntaxes have 150 kB, a user's token up to 64 kB."""
MAX_CONTROL_PDU_BYTES = 1024
"""Of all others but P-DATA-TF: release and abort have 4 bytes."""

_COMMAND = 0x01
_LAST = 0x02


class PduFault(Exception):
    """The peer sent what no PDU may be; the association has to be aborted."""


class ConnectionLost(Exception):
    """The connection ended within a PDU."""


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
        """A PDU has to be whole ``timeout_s`` after its first byte: it may not trickle in.

        A single read or write that waits ends after as long.
        """
        self._socket = sock
        self._max_pdu_bytes = max_pdu_bytes
        self.timeout_s = timeout_s
        self._deadline = 0.0
        self._secure = sock if isinstance(sock, ssl.SSLSocket) else None
        self._buffer = bytearray(64 * 1024)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout_s)

    def allow(self, timeout_s: float) -> None:
        """Change how long a PDU may take."""
        self.timeout_s = timeout_s
        self._socket.settimeout(timeout_s)

    def wait(self, timeout_s: float) -> bool:
        """Whether something can be read, within a time."""
        if self._secure is not None and self._secure.pending():
            return True  # decrypted already: the socket itself may be silent
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
            Unknown type, or longer than allowed: its body must not be read. Or too slow.
        ConnectionLost
            Closed.
        """
        self._deadline = time.monotonic() + self.timeout_s
        raw = bytes(self._read(HEADER_BYTES))
        kind, length = struct.unpack(">BxL", raw)
        if kind not in PDU_TYPES:
            raise PduFault(f"unknown PDU type 0x{kind:02X}")
        limit = self._limit_of(kind)
        if length > limit:
            raise PduFault(f"PDU of {length} bytes; {limit} are allowed")
        return PduHeader(raw, kind, length)

    def read_body(self, header: PduHeader) -> memoryview:
        """The rest of the PDU; valid until the next read."""
        return self._read(header.length)

    def _limit_of(self, kind: int) -> int:
        if kind == P_DATA_TF:
            return self._max_pdu_bytes
        return MAX_REQUEST_BYTES if kind == A_ASSOCIATE_RQ else MAX_CONTROL_PDU_BYTES

    def _read(self, length: int) -> memoryview:
        got = 0
        while got < length:
            view = self._room(got, length)
            try:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                count = self._socket.recv_into(view[got:])
            except TimeoutError as error:
                raise PduFault("the rest of a PDU did not come in time") from error
            except OSError as error:
                raise ConnectionLost(type(error).__name__) from error
            if not count:
                raise ConnectionLost("closed by the peer")
            got += count
            if got < length and time.monotonic() > self._deadline:
                raise PduFault("a PDU did not come whole in time")
        return memoryview(self._buffer)[:length]

    def _room(self, got: int, length: int) -> memoryview:
        """The buffer up to ``length``; it grows with what arrives, not with what is announced."""
        if got == len(self._buffer):
            larger = bytearray(min(length, 2 * got))
            larger[:got] = self._buffer
            self._buffer = larger
        return memoryview(self._buffer)[: min(length, len(self._buffer))]


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
