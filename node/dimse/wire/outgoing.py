"""Messages on their way out: a command, and a data set straight from its file (PS3.8 9.3.5).

Of a data set no more is held than ``CHUNK_BYTES``; every PDU is one that the peer takes.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Sequence
from io import BufferedIOBase

from node.dimse.wire.commands import p_data
from node.dimse.wire.pdus import P_DATA_TF
from node.retrieve.encoded import Encoded

CHUNK_BYTES = 256 * 1024
"""Of a data set, read and sent at one time."""
SLOWEST_BYTES_PER_S = 100_000
"""An answer is waited for longer by an object's size over this rate."""
_ITEM_BYTES = 6
"""Before the value in a P-DATA-TF: length, context and control. PS3.8 9.3.5.1, E.2."""
_LAST = 0x02
_MOST_PARTS = 1000
"""That the system writes at one time: IOV_MAX is 1024."""


class FileCutShort(Exception):
    """A file ended before its data set did: the message cannot be finished."""


def wait_s(answer_timeout_s: float, data_set: Encoded) -> float:
    """How long the answer to a C-STORE of this data set is waited for."""
    return answer_timeout_s + data_set.length / SLOWEST_BYTES_PER_S


class Outgoing:
    """Writes messages to a connection, one after another. One thread at a time."""

    def __init__(self, sock: socket.socket, maximum_length: int) -> None:
        """``maximum_length`` of a PDU's variable field, as the peer says; 0: any. PS3.8 D.1."""
        self._socket = sock
        self.ahead = b""
        """PDUs to be written before what is sent next: one call of the system for both."""
        self._maximum_length = maximum_length
        room = (maximum_length or CHUNK_BYTES) - _ITEM_BYTES
        # Fragments of even length: PS3.8 E.2 leaves no others. At least one byte has to go.
        self._fragment = min(max(room - room % 2, 1), CHUNK_BYTES)
        self._buffer = memoryview(bytearray(CHUNK_BYTES - CHUNK_BYTES % self._fragment))

    def flush(self) -> None:
        """Write what is to go ahead, now. Raises OSError."""
        if self.ahead:
            ahead, self.ahead = self.ahead, b""
            self._socket.sendall(ahead)

    def send(self, context_id: int, command_set: bytes, data_set: Encoded) -> None:
        """Send a message.

        Raises
        ------
        OSError
            Of the connection: it is lost.
        FileCutShort
            Of the file, in the middle of the message: the association has to be aborted.
        """
        command = p_data(context_id, command_set, self._maximum_length)
        parts: list[bytes | memoryview] = [self.ahead + command]
        self.ahead = b""
        left = data_set.length
        while True:
            chunk = self._read(data_set.file, left)
            left -= len(chunk)
            parts += self._fragments(context_id, chunk, is_end=not left)
            self._write(parts)
            if not left:
                return
            parts = []

    def _read(self, file: BufferedIOBase, left: int) -> memoryview:
        chunk = self._buffer[: min(left, len(self._buffer))]
        there = 0
        while there < len(chunk):
            try:
                count = file.readinto(chunk[there:])
            except OSError as error:
                raise FileCutShort(type(error).__name__) from error
            if not count:
                raise FileCutShort("the file is shorter than it was")
            there += count
        return chunk

    def _fragments(
        self, context_id: int, chunk: memoryview, is_end: bool
    ) -> list[bytes | memoryview]:
        parts: list[bytes | memoryview] = []
        for start in range(0, len(chunk), self._fragment):
            value = chunk[start : start + self._fragment]
            is_last = is_end and start + self._fragment >= len(chunk)
            parts += (_head(context_id, len(value), _LAST if is_last else 0), value)
        return parts or [_head(context_id, 0, _LAST)]

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        if isinstance(self._socket, ssl.SSLSocket) or len(parts) > _MOST_PARTS:
            self._socket.sendall(b"".join(parts))
            return
        sent = self._socket.sendmsg(parts)
        if sent < sum(map(len, parts)):
            self._socket.sendall(memoryview(b"".join(parts))[sent:])


def _head(context_id: int, length: int, control: int) -> bytes:
    return struct.pack(">BxLLBB", P_DATA_TF, length + 6, length + 2, context_id, control)
