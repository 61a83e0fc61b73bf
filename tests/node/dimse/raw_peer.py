"""A peer made of bytes: what it sends may be anything. PS3.8 9.3, PS3.7 6.3 and E."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType

CT = b"1.2.840.10008.5.1.4.1.1.2"
ECHO = b"1.2.840.10008.1.1"
EXPLICIT = b"1.2.840.10008.1.2.1"
IMPLICIT = b"1.2.840.10008.1.2"
DEFLATED = b"1.2.840.10008.1.2.1.99"

RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
COMMAND, LAST = 1, 2


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


@dataclass(frozen=True)
class Context:
    id: int = 1
    abstract: bytes = CT
    transfer: tuple[bytes, ...] = (EXPLICIT,)

    def encoded(self) -> bytes:
        syntaxes = b"".join(item(0x40, one) for one in self.transfer)
        return item(0x20, bytes((self.id, 0, 0, 0)) + item(0x30, self.abstract) + syntaxes)


def user_identity(kind: int, name: bytes, passcode: bytes = b"", answer: bool = False) -> bytes:
    return item(
        0x58,
        bytes((kind, answer))
        + struct.pack(">H", len(name))
        + name
        + struct.pack(">H", len(passcode))
        + passcode,
    )


def associate_rq(
    contexts: Iterable[Context] = (Context(),),
    calling: bytes = b"RAW",
    called: bytes = b"WETREAD",
    extra: bytes = b"",
    version: int = 1,
) -> bytes:
    user = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4") + extra
    body = (
        struct.pack(">HH", version, 0)
        + called.ljust(16)
        + calling.ljust(16)
        + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + b"".join(context.encoded() for context in contexts)
        + item(0x50, user)
    )
    return pdu(RQ, body)


def pdv(value: bytes, control: int, context: int = 1, length: int | None = None) -> bytes:
    size = len(value) + 2 if length is None else length
    return struct.pack(">LBB", size, context, control) + value


def data(*pdvs: bytes) -> bytes:
    return pdu(DATA, b"".join(pdvs))


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHL", group, number, len(value)) + value


def uid(text: bytes) -> bytes:
    return text + b"\0" * (len(text) % 2)


def command(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return element(0x0000, struct.pack("<L", len(body))) + body


def store_command(
    instance: bytes = b"1.2.3.4", message_id: int = 7, sop_class: bytes = CT, data_set: int = 1
) -> bytes:
    return command(
        element(0x0002, uid(sop_class)),
        element(0x0100, b"\x01\0"),
        element(0x0110, struct.pack("<H", message_id)),
        element(0x0700, b"\0\0"),
        element(0x0800, struct.pack("<H", data_set)),
        element(0x1000, uid(instance)),
    )


def echo_command(message_id: int = 1) -> bytes:
    return command(
        element(0x0002, uid(ECHO)),
        element(0x0100, b"\x30\0"),
        element(0x0110, struct.pack("<H", message_id)),
        element(0x0800, b"\x01\x01"),
    )


def explicit(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """A data element in Explicit VR Little Endian."""
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC"):
        return struct.pack("<HH2sHL", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def image(instance: bytes = b"1.2.3.4", study: bytes = b"1.2.3", *more: bytes) -> bytes:
    """A data set that can be stored; ``more`` stands between header and pixels."""
    return (
        explicit(0x0008, 0x0016, b"UI", uid(CT))
        + explicit(0x0008, 0x0018, b"UI", uid(instance))
        + explicit(0x0008, 0x0060, b"CS", b"CT")
        + explicit(0x0020, 0x000D, b"UI", uid(study))
        + explicit(0x0020, 0x000E, b"UI", uid(study + b".1"))
        + b"".join(more)
        + explicit(0x7FE0, 0x0010, b"OW", bytes(64))
    )


@dataclass
class RawPeer:
    """A connection to a node. ``wrap`` makes it TLS."""

    port: int
    timeout_s: float = 20
    source: str = ""
    """The address to call from; one of this machine's."""
    socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        where = ("127.0.0.1", self.port)
        source = (self.source, 0) if self.source else None
        self.socket = socket.create_connection(where, self.timeout_s, source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def read(self) -> tuple[int, bytes]:
        """The next PDU's type and body; (0, b"") when the connection has ended."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        found = b""
        try:
            while len(found) < length:
                more = self.socket.recv(length - len(found))
                if not more:
                    break
                found += more
        except ConnectionResetError:
            return b""
        return found

    def associate(self, request: bytes | None = None) -> bytes:
        """Ask for an association and give the body of its acceptance."""
        self.send(associate_rq() if request is None else request)
        kind, body = self.read()
        assert kind == AC, f"PDU type {kind}: {body.hex()}"
        return body

    def rejection(self, request: bytes | None = None) -> tuple[int, int, int]:
        """Ask, and give result, source and reason of the rejection."""
        self.send(associate_rq() if request is None else request)
        kind, body = self.read()
        assert kind == RJ, f"PDU type {kind}"
        return body[1], body[2], body[3]

    def status(self) -> int:
        """The status of the next response."""
        kind, body = self.read()
        assert kind == DATA, f"PDU type {kind}"
        found = body[6:]
        while found:
            group, number, length = struct.unpack_from("<HHL", found)
            if (group, number) == (0, 0x0900):
                return int(struct.unpack_from("<H", found, 8)[0])
            found = found[8 + length :]
        raise AssertionError("the response has no status")

    def store(
        self,
        data_set: bytes,
        instance: bytes = b"1.2.3.4",
        context: int = 1,
        piece: int = 16_000,
    ) -> int:
        """C-STORE in pieces; gives the status."""
        self.send(data(pdv(store_command(instance), COMMAND | LAST, context)))
        for start in range(0, max(1, len(data_set)), piece):
            end = start + piece
            last = LAST if end >= len(data_set) else 0
            self.send(data(pdv(data_set[start:end], last, context)))
        return self.status()

    def echo(self, context: int = 1) -> int:
        self.send(data(pdv(echo_command(), COMMAND | LAST, context)))
        return self.status()
