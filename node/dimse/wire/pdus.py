"""Reading PDUs from a socket within limits (PS3.8 9.3), and the values inside a P-DATA-TF."""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

P_DATA_TF = 0x04
PDU_TYPES = range(0x01, 0x08)
HEADER_BYTES = 6
A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 0x01, 0x02, 0x03
A_RELEASE_RQ, A_ABORT = 0x05, 0x07
MAX_REQUEST_BYTES = 512 * 1024
"""Of an A-ASSOCIATE-RQ or -AC: 128 contexts of all syntaxes have 150 kB, a token up to 64 kB."""
MAX_CONTROL_PDU_BYTES = 1024
"""Of all others but P-DATA-TF: release and abort have 4 bytes."""
BUFFER_BYTES = 64 * 1024

_header = struct.Struct(">BxL").unpack
_COMMAND = 0x01
_LAST = 0x02


class PduFault(Exception):
    """The peer sent what no PDU may be; the association has to be aborted."""


class ConnectionLost(Exception):
    """The connection ended within a PDU."""


class PduHeader(NamedTuple):
    """Type and length of a PDU. PS3.8 9.3.1."""

    raw: bytes
    kind: int
    length: int


def checked_header(raw: bytes, max_pdu_bytes: int, expected: int = A_ASSOCIATE_RQ) -> PduHeader:
    """The header of a PDU whose body may be read; ``max_pdu_bytes`` is the limit of a P-DATA-TF.

    expected: the type that has presentation contexts and may be as long as they need; the other
    side's A-ASSOCIATE-RQ or -AC.

    Raises
    ------
    PduFault
        Unknown type, or longer than allowed.
    """
    kind, length = _header(raw)
    if kind not in PDU_TYPES:
        raise PduFault(f"unknown PDU type 0x{kind:02X}")
    if kind == P_DATA_TF:
        limit = max_pdu_bytes
    else:
        limit = MAX_REQUEST_BYTES if kind == expected else MAX_CONTROL_PDU_BYTES
    if length > limit:
        raise PduFault(f"PDU of {length} bytes; {limit} are allowed")
    return PduHeader(raw, kind, length)


class Fragment(NamedTuple):
    """A presentation data value: a piece of a message. PS3.8 9.3.5.1, E.2."""

    context_id: int
    is_command: bool
    is_last: bool
    value: memoryview


class PduReader:
    """Reads PDUs of a bounded length through one reused buffer.

    ``TCP_QUICKACK`` is set before every read: without it a sender that leaves Nagle's algorithm on
    waits 40 ms for the acknowledgement of every message.
    """

    def __init__(self, sock: socket.socket, max_pdu_bytes: int, timeout_s: float) -> None:
        """A PDU has to be whole ``timeout_s`` after its first byte: it may not trickle in.

        A single read or write that waits ends after as long.
        """
        self._socket = sock
        self._max_pdu_bytes = max_pdu_bytes
        self._deadline = 0.0
        self._secure = sock if isinstance(sock, ssl.SSLSocket) else None
        self._buffer = bytearray(BUFFER_BYTES)
        self._start = self._end = 0  # of what was read and not yet taken
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        self._poll.register(self._bell, select.POLLIN)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.allow(timeout_s)

    def allow(self, timeout_s: float) -> None:
        """Change how long a PDU may take."""
        self.timeout_s = timeout_s
        if self._secure is not None:
            self._socket.settimeout(timeout_s)
            return
        whole = int(timeout_s)  # the kernel's own time-out spares a call before every read
        timeval = struct.pack("@ll", whole, int((timeout_s - whole) * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        self._socket.settimeout(None)

    def wait(self, timeout_s: float) -> bool:
        """Whether something can be read, within a time; ``wake`` ends the wait."""
        if self._end > self._start:
            return True
        if self._secure is not None and self._secure.pending():
            return True  # decrypted already: the socket itself may be silent
        events = self._poll.poll(timeout_s * 1000)
        if not events:
            return False
        rung = any(descriptor == self._bell for descriptor, _ in events)
        if rung:
            with suppress(BlockingIOError):
                os.eventfd_read(self._bell)
        return len(events) > rung

    def wake(self) -> None:
        """End a ``wait``. From any thread."""
        with self._lock:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def rest(self) -> bytes:
        """What was read and not yet taken; it is taken now."""
        left = bytes(self._buffer[self._start : self._end])
        self._start = self._end = 0
        return left

    def close(self) -> None:
        """Close the socket. (pynetdicom leaves it open where the peer was gone before.)"""
        self._socket.close()
        self.let_go()

    def let_go(self) -> None:
        """Read no more, and leave the socket open."""
        with self._lock:
            if self._bell >= 0:
                os.close(self._bell)
            self._bell = -1

    def discard(self) -> bool:
        """Drop what has arrived; false when the peer has closed."""
        self._start = self._end = 0
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
        return checked_header(bytes(self._take(HEADER_BYTES)), self._max_pdu_bytes)

    def read_body(self, header: PduHeader) -> memoryview:
        """The rest of the PDU; valid until the next read."""
        return self._take(header.length)

    def _take(self, length: int) -> memoryview:
        """The next bytes, read as far as they are not there yet; what follows may come along."""
        while self._end - self._start < length:
            count = self._read(self._room(length))  # _room moves the end
            self._end += count
            if self._end - self._start < length and time.monotonic() > self._deadline:
                raise PduFault("a PDU did not come whole in time")
        taken = memoryview(self._buffer)[self._start : self._start + length]
        self._start += length
        return taken

    def _read(self, view: memoryview) -> int:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            count = self._socket.recv_into(view)
        except (TimeoutError, BlockingIOError) as error:
            raise PduFault("the rest of a PDU did not come in time") from error
        except OSError as error:
            raise ConnectionLost(type(error).__name__) from error
        if not count:
            raise ConnectionLost("closed by the peer")
        return count

    def _room(self, length: int) -> memoryview:
        """Free buffer behind what is in it; it grows with what arrives, not what is announced."""
        there = self._end - self._start
        if not there:
            self._start = self._end = 0
        elif self._end == len(self._buffer) or self._start + length > len(self._buffer):
            is_full = there == len(self._buffer)
            larger = bytearray(min(length, 2 * there)) if is_full else self._buffer
            larger[:there] = self._buffer[self._start : self._end]
            self._buffer, self._start, self._end = larger, 0, there
        return memoryview(self._buffer)[self._end :]


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
