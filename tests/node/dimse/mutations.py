"""Associations in which next to every PDU was tampered with, from a seed.

Most faults lie in what PDUs carry, so that an association goes on and takes many of them; the last
PDU of each has a fault in its own frame.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from tests.node.dimse import raw_peer as raw
from tests.node.dimse.raw_peer import COMMAND, LAST, Context, explicit

CONTEXTS = (
    Context(1),
    Context(3, transfer=(raw.IMPLICIT,)),
    Context(5, transfer=(raw.DEFLATED,)),
    Context(7, raw.ECHO, (raw.IMPLICIT,)),
)
ODD_UIDS = (
    b"../../../../tmp/x", b"/etc/passwd", b"1.2.3\x00.4", b"1." * 40, b"", b"1..2", b"\xff\xfe",
    b"1.2.3/4", b"..", b"a" * 64,
)  # fmt: skip
LENGTHS = (0, 1, 5, 0x7F, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Script:
    """What one connection sends, in order."""

    pdus: list[bytes]
    mutated: int
    is_sound_request: bool = True


def script(seed: int) -> Script:
    """The PDUs of one connection."""
    chance = random.Random(seed)
    request = raw.associate_rq(CONTEXTS, extra=_negotiation(chance))
    if chance.random() < 0.03:
        return Script([flipped(chance, request), _hard(chance)], 2, False)
    pdus, mutated = [request], 0
    for _ in range(chance.randint(1, 4)):
        more = _message(chance)
        pdus += more
        mutated += len(more)
    pdus.append(_hard(chance))
    return Script(pdus, mutated + 1)


def _negotiation(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.1:
        return raw.user_identity(chance.randint(0, 6), chance.randbytes(9), chance.randbytes(9))
    if kind < 0.2:
        return raw.item(0x53, struct.pack(">HH", chance.randint(0, 9), 0))
    return b""


def _message(chance: random.Random) -> list[bytes]:
    if chance.random() < 0.1:
        command = raw.echo_command(chance.randint(0, 65535)) + chance.randbytes(4) * 0
        return [raw.data(raw.pdv(command, COMMAND | LAST, 7))]
    context = chance.choice((1, 1, 1, 3, 5))
    return [*_pieces(chance, _command(chance), context, COMMAND), *_image(chance, context)]


def _command(chance: random.Random) -> bytes:
    instance = chance.choice(ODD_UIDS) if chance.random() < 0.3 else _uid(chance)
    command = raw.store_command(instance, chance.randint(0, 65535))
    if chance.random() < 0.3:
        extra = raw.element(chance.choice((0x1030, 0x1031, 0x0902)), chance.randbytes(8))
        command += extra
    return command


def _uid(chance: random.Random) -> bytes:
    return b"1.2." + str(chance.getrandbits(96)).encode()


def _image(chance: random.Random, context: int) -> list[bytes]:
    junk = explicit(0x0010, 0x0010, b"PN", chance.randbytes(2 * chance.randint(0, 40)))
    deep = b"".join(
        struct.pack("<HH2sHLHHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
        for _ in range(chance.choice((0, 0, 0, 3, 60)))
    )
    body = raw.image(_uid(chance), _uid(chance), junk, deep)
    body = flipped(chance, body) if chance.random() < 0.9 else body[: chance.randint(0, len(body))]
    return _pieces(chance, body, context, 0)


def _pieces(chance: random.Random, body: bytes, context: int, control: int) -> list[bytes]:
    size = max(8, len(body) // (1 if control else chance.randint(4, 16)))
    parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    return [
        raw.data(raw.pdv(part, control | (LAST if number == len(parts) - 1 else 0), context))
        for number, part in enumerate(parts)
    ]


def flipped(chance: random.Random, body: bytes) -> bytes:
    """With bytes changed, doubled, dropped, or a length put where one may stand."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        kind = chance.random()
        if kind < 0.5 and place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        elif kind < 0.65:
            changed[place:place] = chance.randbytes(chance.randint(1, 6))
        elif kind < 0.8:
            del changed[place : place + chance.randint(1, 6)]
        else:
            order = chance.choice((">L", "<L"))
            changed[place : place + 4] = struct.pack(order, chance.choice(LENGTHS))
    return bytes(changed)


def _hard(chance: random.Random) -> bytes:
    """A PDU that is none, or whose items are not what they say."""
    good = raw.data(raw.pdv(raw.store_command(_uid(chance)), COMMAND | LAST))
    kind = chance.randrange(8)
    if kind == 0:
        return raw.pdu(chance.randint(8, 255), chance.randbytes(20))
    if kind == 1:
        return raw.pdu(raw.DATA, b"", length=0xFFFFFFFF)
    if kind == 2:
        return raw.data(raw.pdv(b"x" * 20, COMMAND | LAST, length=chance.choice(LENGTHS)))
    if kind == 3:
        return raw.data(raw.pdv(chance.randbytes(40), COMMAND | LAST))
    if kind == 4:
        return raw.data(raw.pdv(b"data without command", LAST, chance.randint(0, 255)))
    if kind == 5:
        return raw.pdu(chance.choice((raw.AC, raw.RJ, raw.RELEASE_RP)), chance.randbytes(4))
    if kind == 6:
        return good[: chance.randrange(len(good))]
    return good[:6] + flipped(chance, good[6:])
