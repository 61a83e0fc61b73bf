"""A modality on a raw socket: it costs next to nothing, so what is timed is the peer."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

VERIFICATION = "1.2.840.10008.1.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"

_PIECE = 64 * 1024
_MAX_PDV = 100_000


class Association:
    """One open association, presentation contexts by number; all of one transfer syntax."""

    def __init__(
        self, port: int, contexts: tuple[tuple[int, str], ...], syntax: str, called: str = "BENCH"
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._message = 0
        self._socket.sendall(_request(contexts, syntax, called))
        kind, _ = self._pdu()
        if kind != 2:
            raise SystemExit(f"the association was answered with PDU type {kind}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._socket.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
            self._pdu()
        self._socket.close()

    def next_message(self) -> int:
        self._message = self._message % 65_535 + 1
        return self._message

    def send(self, message: bytes) -> None:
        self._socket.sendall(message)

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Control header and value of each PDV of the next P-DATA-TF. PS3.8 9.3.5."""
        kind, body = self._pdu()
        if kind != 4:
            raise SystemExit(f"the peer sent a PDU of type {kind} amid an operation")
        at = 0
        while at < len(body):
            length, control = struct.unpack_from(">LxB", body, at)
            yield control, body[at + 6 : at + 4 + length]
            at += 4 + length

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            # A receiver that answers in two writes must not wait for a delayed acknowledgement.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            piece = self._socket.recv(count - len(got))
            if not piece:
                raise SystemExit("the receiver closed the connection")
            got += piece
        return got


class Modality(Association):
    """One open association with contexts 1 (verification) and 3 (enhanced CT)."""

    def __init__(self, port: int) -> None:
        super().__init__(port, ((1, VERIFICATION), (3, ENHANCED_CT)), EXPLICIT_LITTLE)

    def echo(self) -> None:
        """C-ECHO and its response. PS3.7 9.3.5."""
        request = command(VERIFICATION, 0x0030, self.next_message(), 0x0101)
        self.send(pdv(1, 3, request))
        self._status()

    def store(self, uid: str, study: str, pixel_bytes: int) -> None:
        """C-STORE of an object with so many bytes of pixels, made while it is sent."""
        instance = (0x0000, 0x1000, padded(uid))
        priority = (0x0000, 0x0700, struct.pack("<H", 0))
        request = command(ENHANCED_CT, 0x0001, self.next_message(), 0x0000, priority, instance)
        self.send(pdv(3, 3, request))
        self.send(pdv(3, 0, _header(uid, study, pixel_bytes)))
        piece = bytes(_PIECE)
        for left in range(pixel_bytes, 0, -_PIECE):
            self.send(pdv(3, 0 if left > _PIECE else 2, piece[: min(left, _PIECE)]))
        self._status()

    def _status(self) -> None:
        kind, body = self._pdu()
        at = body.rfind(b"\x00\x00\x00\x09\x02\x00\x00\x00")  # a message id can look alike
        if kind != 4 or at < 0 or body[at + 8 : at + 10] != b"\x00\x00":
            raise SystemExit("the receiver did not answer with success")


def _request(contexts: tuple[tuple[int, str], ...], syntax: str, called: str) -> bytes:
    transfer = _item(0x40, syntax.encode())
    proposed = b"".join(
        _item(0x20, struct.pack(">BxBx", number, 0) + _item(0x30, uid.encode()) + transfer)
        for number, uid in contexts
    )
    user = _item(0x51, struct.pack(">L", 131_072)) + _item(0x52, b"2.25.1")
    body = struct.pack(">H2x16s16s32x", 1, called.encode().ljust(16), b"BENCH".ljust(16))
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + proposed + _item(0x50, user)
    return struct.pack(">BxL", 1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def pdv(context: int, control: int, value: bytes) -> bytes:
    head = struct.pack(">BxLLBB", 4, len(value) + 6, len(value) + 2, context, control)
    return head + value


def command(
    sop_class: str, field: int, message: int, kind: int, *more: tuple[int, int, bytes]
) -> bytes:
    elements = [
        (0x0000, 0x0002, padded(sop_class)),
        (0x0000, 0x0100, struct.pack("<H", field)),
        (0x0000, 0x0110, struct.pack("<H", message)),
        (0x0000, 0x0800, struct.pack("<H", kind)),
        *more,
    ]
    body = b"".join(
        struct.pack("<HHL", group, element, len(value)) + value
        for group, element, value in sorted(elements)
    )
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _header(uid: str, study: str, pixel_bytes: int) -> bytes:
    texts = [
        (0x0008, 0x0016, b"UI", ENHANCED_CT),
        (0x0008, 0x0018, b"UI", uid),
        (0x0008, 0x0060, b"CS", "CT"),
        (0x0010, 0x0020, b"LO", "BENCH"),
        (0x0020, 0x000D, b"UI", study),
        (0x0020, 0x000E, b"UI", f"{study}.1"),
    ]
    elements = b""
    for group, element, vr, text in texts:
        value = padded(text, b"\x00" if vr == b"UI" else b" ")
        elements += struct.pack("<HH2sH", group, element, vr, len(value)) + value
    return elements + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, pixel_bytes)


def padded(text: str, pad: bytes = b"\x00") -> bytes:
    value = text.encode()
    return value + pad if len(value) % 2 else value
