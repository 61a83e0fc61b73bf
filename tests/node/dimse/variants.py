"""Association requests and answers as they are met in the field, byte for byte (PS3.8 9.3)."""

from __future__ import annotations

import struct

from tests.node.dimse.raw_peer import AC, CT, EXPLICIT, RQ, item, pdu

APPLICATION = b"1.2.840.10008.3.1.1.1"
MAXIMUM = item(0x51, struct.pack(">L", 16384))
IMPLEMENTATION = item(0x52, b"1.2.3.4")
PLAIN_USER = item(0x50, MAXIMUM + IMPLEMENTATION)


def context(*parts: bytes, number: int = 1) -> bytes:
    return item(0x20, bytes((number, 0, 0, 0)) + b"".join(parts))


def abstract(uid: bytes = CT) -> bytes:
    return item(0x30, uid)


def transfer(uid: bytes = EXPLICIT) -> bytes:
    return item(0x40, uid)


def user(*more: bytes) -> bytes:
    return item(0x50, MAXIMUM + IMPLEMENTATION + b"".join(more))


def identity(kind: int, name: bytes = b"someone") -> bytes:
    return item(0x58, bytes((kind, 0)) + struct.pack(">H", len(name)) + name + bytes(2))


def named(uid: bytes, rest: bytes) -> bytes:
    return struct.pack(">H", len(uid)) + uid + rest


def asking(
    contexts: bytes = context(abstract(), transfer()),
    called: bytes = b"WETREAD".ljust(16),
    calling: bytes = b"MODALITY".ljust(16),
    application: bytes = item(0x10, APPLICATION),
    users: bytes = PLAIN_USER,
    version: int = 1,
    tail: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-RQ of any parts."""
    head = struct.pack(">HH", version, 0) + called + calling + bytes(32)
    return pdu(RQ, head + application + contexts + users + tail)


SERVED = {
    "plain": asking(),
    "called title ends in NUL": asking(called=b"WETREAD".ljust(16, b"\0")),
    "calling title ends in NUL": asking(calling=b"MODALITY".ljust(16, b"\0")),
    "NUL within a title": asking(calling=b"MOD\0RUBBISH".ljust(16)),
    "leading blanks in a title": asking(calling=b"MODALITY".rjust(16)),
    "umlaut in a title": asking(calling="MÜLLER".encode("latin-1").ljust(16)),
    "UTF-8 in a title": asking(calling="CT放".encode().ljust(16)),
    "control character in a title": asking(calling=b"A\nB".ljust(16)),
    "backslash in a title": asking(calling=b"A\\B".ljust(16)),
    "unknown user item": asking(users=user(item(0x5F, b"abc"))),
    "unknown empty user item": asking(users=user(item(0x7A, b""))),
    "unknown item behind the contexts": asking(tail=item(0x99, b"abc")),
    "unknown item before all": asking(application=item(0x99, b"") + item(0x10, APPLICATION)),
    "unknown item in a context": asking(context(abstract(), item(0x77, b"xx"), transfer())),
    "transfer before abstract syntax": asking(context(transfer(), abstract())),
    "version name of 40": asking(users=user(item(0x55, b"X" * 40))),
    "umlaut in the version name": asking(users=user(item(0x55, "Gerät".encode("latin-1")))),
    "empty version name": asking(users=user(item(0x55, b""))),
    "version name ends in NUL": asking(users=user(item(0x55, b"V1\0\0"))),
    "no implementation": asking(users=item(0x50, MAXIMUM)),
    "implementation is no UID": asking(users=item(0x50, MAXIMUM + item(0x52, b"hello"))),
    "empty implementation": asking(users=item(0x50, MAXIMUM + item(0x52, b""))),
    "no maximum length": asking(users=item(0x50, IMPLEMENTATION)),
    "empty user information": asking(users=item(0x50, b"")),
    "no user information": asking(users=b""),
    "user information twice": asking(users=PLAIN_USER * 2),
    "identity of type 9": asking(users=user(identity(9))),
    "identity of type 0": asking(users=user(identity(0))),
    "identity by SAML": asking(users=user(identity(4, b"<saml/>"))),
    "roles of any number": asking(users=user(item(0x54, named(CT, b"\xff\xff")))),
    "window without end": asking(users=user(item(0x53, bytes(4)))),
    "extended negotiation": asking(users=user(item(0x56, named(CT, b"\2\0\3\0\1\0")))),
    "common extended negotiation": asking(
        users=user(item(0x57, named(CT, named(b"1.2.840.10008.4.2", bytes(2)))))
    ),
    "version bits 0 and 1": asking(version=3),
    "all version bits": asking(version=0xFFFF),
    "application context ends in NUL": asking(application=item(0x10, APPLICATION + b"\0")),
    "application context comes last": asking(application=b"", tail=item(0x10, APPLICATION)),
    "UIDs end in NUL": asking(context(abstract(CT + b"\0"), transfer(EXPLICIT + b"\0"))),
    "a context beside one that is none": asking(
        context(abstract(), transfer()) + context(abstract(b"no UID"), transfer(), number=3)
    ),
    "two contexts with one id": asking(context(abstract(), transfer()) * 2),
    "zeros behind the items": asking(tail=bytes(8)),
}
"""DCMTK 3.6.7 and Orthanc 1.10.1 accept them, and so does the node."""

SERVED_HERE_ALONE = {
    "maximum length of two bytes": asking(users=item(0x50, item(0x51, b"\x40\0"))),
    "identity cut off": asking(users=user(item(0x58, b"\x02"))),
    "identity that lies": asking(users=user(item(0x58, b"\x02\0\xff\xffab"))),
    "an answer to an identity": asking(users=user(item(0x59, bytes(2)))),
    "role that lies": asking(users=user(item(0x54, b"\0\xff1"))),
    "implementation of 100": asking(users=item(0x50, MAXIMUM + item(0x52, b"1" * 100))),
    "two zeros behind the items": asking(tail=bytes(2)),
    "UIDs end in a blank": asking(context(abstract(CT + b" "), transfer(EXPLICIT + b" "))),
}

REFUSED = {
    "blank calling title": (asking(calling=b" " * 16), (1, 1, 3)),
    "calling title of NUL": (asking(calling=bytes(16)), (1, 1, 3)),
    "blank called title": (asking(called=b" " * 16), (1, 1, 7)),
    "other application context": (
        asking(application=item(0x10, b"1.2.840.10008.3.1.1.2")),
        (1, 1, 2),
    ),
    "empty application context": (asking(application=item(0x10, b"")), (1, 1, 2)),
    "no application context": (asking(application=b""), (1, 1, 2)),
    "version 2 alone": (asking(version=2), (1, 2, 2)),
    "no version": (asking(version=0), (1, 2, 2)),
    "no context": (asking(b""), (1, 2, 1)),
    "even context id": (asking(context(abstract(), transfer(), number=2)), (1, 2, 1)),
    "context that lies": (asking(context(b"\x30\0\xff\0" + CT)), (1, 2, 1)),
    "user information that lies": (asking(users=b"\x50\0\xff\xff" + MAXIMUM), (1, 2, 1)),
    "rubbish behind the items": (asking(tail=b"\xff" * 7), (1, 2, 1)),
}
"""Result, source and reason. PS3.8 Table 9-21."""

NOT_ACCEPTED = {
    "no abstract syntax": (asking(context(transfer())), 3),
    "empty abstract syntax": (asking(context(abstract(b""), transfer())), 3),
    "abstract syntax is no UID": (asking(context(abstract(b"\xff" * 70), transfer())), 3),
    "no transfer syntax": (asking(context(abstract())), 4),
    "transfer syntax is no UID": (asking(context(abstract(), transfer(b"\xff" * 70))), 4),
}
"""The context's result. PS3.8 Table 9-18."""


def results(body: bytes) -> dict[int, int]:
    """Context ids and results of an A-ASSOCIATE-AC."""
    found, position = {}, 68
    while position < len(body):
        kind, length = struct.unpack_from(">BxH", body, position)
        if kind == 0x21:
            found[body[position + 4]] = body[position + 6]
        position += 4 + length
    return found


# --- answers --------------------------------------------------------------------------------------


def answered(
    request: bytes,
    titles: bytes = b"",
    syntax_end: bytes = b"",
    users: bytes = PLAIN_USER,
    version: int = 1,
    application: bytes = item(0x10, APPLICATION),
    more: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-AC for a request's body; the first transfer syntax of each is accepted."""
    accepted, position = b"", 68
    while position < len(request):
        kind, length = struct.unpack_from(">BxH", request, position)
        value = request[position + 4 : position + 4 + length]
        if kind == 0x20:
            (at,) = struct.unpack_from(">H", value, 6)
            (size,) = struct.unpack_from(">H", value, 8 + at + 2)
            syntax = value[8 + at + 4 : 8 + at + 4 + size]
            accepted += item(0x21, bytes((value[0], 0, 0, 0)) + transfer(syntax + syntax_end))
        position += 4 + length
    head = struct.pack(">HH", version, 0) + (titles or request[4:36]).ljust(32) + bytes(32)
    return pdu(AC, head + application + more + accepted + users)


ANSWERS = {
    "plain": {},
    "unknown user item": {"users": user(item(0x5F, b"abcd"))},
    "unknown item": {"more": item(0x99, b"abcd")},
    "version name of 40": {"users": user(item(0x55, b"X" * 40))},
    "umlaut in the version name": {"users": user(item(0x55, "Gerät".encode("latin-1")))},
    "no implementation": {"users": item(0x50, MAXIMUM)},
    "no user information": {"users": b""},
    "role that nobody asked for": {"users": user(item(0x54, named(b"1.2.3", b"\2\1")))},
    "window without end": {"users": user(item(0x53, bytes(4)))},
    "identity that nobody asked for": {"users": user(item(0x59, bytes(2)))},
    "titles of NUL": {"titles": bytes(32)},
    "blank titles": {"titles": b" " * 32},
    "other titles": {"titles": b"OTHER".ljust(16) + b"\xd6".ljust(16)},
    "syntaxes end in NUL": {"syntax_end": b"\0"},
    "more version bits": {"version": 3},
    "no application context": {"application": b""},
}
"""What PACSs answer and pynetdicom alone may abort: arguments of ``answered``."""
