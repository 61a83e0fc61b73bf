"""The PDUs around an association (PS3.8 9.3.2 to 9.3.8), read as far as they can be understood.

Items that nobody here knows are passed over (PS3.8 9.3.1), and so is what is only said in passing:
versions, names, negotiations that the node takes no part in. What is left is written anew, in words
that pynetdicom's decoder takes; it raises on everything else. What cannot be served is named with
the result, source and reason of the A-ASSOCIATE-RJ that it deserves.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from node.dimse.wire import rejections
from node.dimse.wire.pdus import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    PduFault,
)
from node.dimse.wire.rejections import Rejection

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
"""The DICOM Application Context Name. PS3.7 A.2.1."""
VERSION_1 = 0x0001
"""The bit that says protocol version 1; the others are not to be tested. PS3.8 9.3.2."""
DEFAULT_MAXIMUM_LENGTH = 16_384
"""Of a peer's PDUs, where it does not say so. PS3.8 D.1 asks it to."""
NO_SYNTAX = b"2.25.0"
"""In the place of a UID that is none. Nobody's syntax, so that the context is not accepted."""
NO_ABSTRACT_SYNTAX = b"1.2.840.10008.0"
"""The same for an abstract syntax: private ones are accepted."""
FIXED_BYTES = 68
"""Of a request or an acceptance, before its items: version, titles, reserved bytes."""
TITLE_BYTES = 16
USER_NAME_AND_PASSCODE = 2
"""User-Identity-Type. PS3.7 Table D.3-14; 3 to 5 are tickets and tokens, which are not read."""

_APPLICATION, _CONTEXT_RQ, _CONTEXT_AC, _USER = 0x10, 0x20, 0x21, 0x50
_ABSTRACT, _TRANSFER = 0x30, 0x40
_MAXIMUM_LENGTH, _IMPLEMENTATION, _ROLE, _IDENTITY = 0x51, 0x52, 0x54, 0x58
_EXTENDED = 0x56
_UID = re.compile(rb"[0-9.]{1,64}")
_KNOWN_ABORTS = frozenset((0, 1, 2, 4, 5, 6))
"""Reasons of a service provider; 3 and those above 6 are reserved. PS3.8 Table 9-26."""
_KNOWN_REASONS = frozenset((1, 2, 3, 7))
"""PS3.8 Table 9-21."""
_BY_PROVIDER = 2


class _Broken(Exception):
    """The lengths within a PDU do not add up."""


class _Item(NamedTuple):
    kind: int
    value: bytes


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """What a requestor says of its user."""

    kind: int
    name: bytes
    passcode: bytes = field(default=b"", repr=False)
    wants_answer: bool = False


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What an A-ASSOCIATE-RQ says. Titles are text; what AE titles may not have is U+FFFD."""

    calling_ae: str
    called_ae: str
    titles: bytes
    """As they came, with the reserved bytes behind them: an answer repeats them."""
    pdu: bytes
    """The whole request in plain words; empty where it is rejected."""
    contexts: int = 0
    identity: UserIdentity | None = None
    rejection: Rejection | None = None
    """Why it cannot even be negotiated."""


def read_request(body: bytes) -> AssociationRequest:
    """Read an A-ASSOCIATE-RQ.

    Raises
    ------
    PduFault
        It is too short to say who asks.
    """
    if len(body) < FIXED_BYTES:
        raise PduFault("an A-ASSOCIATE-RQ without titles")
    titles = body[4:FIXED_BYTES]
    called, calling = title(titles[:TITLE_BYTES]), title(titles[TITLE_BYTES : 2 * TITLE_BYTES])
    try:
        items = list(_items(body[FIXED_BYTES:]))
        users = _user_items(items)
        proposed = [one.value for one in items if one.kind == _CONTEXT_RQ]
        contexts = list(_proposed(proposed))
    except _Broken:
        return AssociationRequest(
            calling, called, titles, b"", rejection=rejections.REQUEST_UNREADABLE
        )
    return AssociationRequest(
        calling,
        called,
        titles,
        _pdu(A_ASSOCIATE_RQ, called, calling, contexts, users),
        len(proposed),
        _identity(users),
        _why_not(body, calling, called, items, contexts),
    )


def title(raw: bytes) -> str:
    """An AE title, padded with blanks or ended by NUL. PS3.5 6.2 AE."""
    bare = raw.partition(b"\0")[0].strip(b" ")
    return "".join(chr(one) if 0x20 <= one < 0x7F and one != 0x5C else "\ufffd" for one in bare)


def plain(kind: int, body: bytes) -> bytes:
    """A whole PDU of any other kind, as pynetdicom takes it.

    Raises
    ------
    PduFault
        An A-ASSOCIATE-AC whose items lie about their lengths.
    """
    if kind == A_ASSOCIATE_AC:
        return _plain_acceptance(body)
    padded = body[:4].ljust(4, b"\0")
    if kind == A_ASSOCIATE_RJ:
        return _whole(kind, _plain_rejection(padded))
    if kind == A_ABORT:
        return _whole(kind, _plain_abort(padded))
    return _whole(kind, bytes(4))  # release: reserved bytes, not to be tested


def rejection_pdu(rejection: Rejection) -> bytes:
    """An A-ASSOCIATE-RJ. PS3.8 9.3.4."""
    told = bytes((0, rejection.result, rejection.source, rejection.diagnostic))
    return _whole(A_ASSOCIATE_RJ, told)


def abort_pdu() -> bytes:
    """The A-ABORT that answers what is no request. PS3.8 9.2, AA-1."""
    return _whole(A_ABORT, bytes(4))


# --- requests -------------------------------------------------------------------------------------


def _why_not(
    body: bytes, calling: str, called: str, items: list[_Item], contexts: list[bytes]
) -> Rejection | None:
    (version,) = struct.unpack_from(">H", body)
    names = [_uid(one.value) for one in items if one.kind == _APPLICATION]
    if not version & VERSION_1:
        return rejections.VERSION_NOT_SUPPORTED
    if names[:1] != [APPLICATION_CONTEXT]:
        return rejections.APPLICATION_CONTEXT_UNKNOWN
    if not calling:
        return rejections.CALLING_AE_BLANK
    if not called:
        return rejections.CALLED_AE_BLANK
    return None if contexts else rejections.NO_CONTEXT


def _proposed(values: list[bytes]) -> Iterator[bytes]:
    """Presentation context items with the UIDs that are ones. PS3.8 9.3.2.2.

    Without an odd id of its own a context cannot be answered.
    """
    seen: set[int] = set()
    for value in values:
        number, parts = _context(value)
        if number % 2 == 0 or number in seen:
            continue
        seen.add(number)
        abstract = next((_uid(one.value) for one in parts if one.kind == _ABSTRACT), b"")
        syntaxes = [_uid(one.value) for one in parts if one.kind == _TRANSFER]
        known = [one for one in syntaxes if one] or [NO_SYNTAX]
        inner = _item(_ABSTRACT, abstract or NO_ABSTRACT_SYNTAX)
        inner += b"".join(_item(_TRANSFER, one) for one in known)
        yield _item(_CONTEXT_RQ, bytes((number, 0, 0, 0)) + inner)


def _identity(users: list[_Item]) -> UserIdentity | None:
    """What the requestor says of its user (PS3.7 D.3.3.7.1); of kind 0 where that is broken."""
    found = next((one.value for one in users if one.kind == _IDENTITY), None)
    if found is None:
        return None
    try:
        kind, answer = found[0], found[1]
        name, rest = _counted(found[2:])
        passcode, _ = _counted(rest)
    except (IndexError, struct.error, _Broken):
        return UserIdentity(0, b"")
    return UserIdentity(kind, name, passcode, bool(answer))


def _counted(value: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">H", value)
    if len(value) < 2 + length:
        raise _Broken
    return value[2 : 2 + length], value[2 + length :]


# --- answers --------------------------------------------------------------------------------------


def _plain_acceptance(body: bytes) -> bytes:
    """Titles and application context of an answer are not to be tested. PS3.8 9.3.3."""
    try:
        items = list(_items(body[FIXED_BYTES:]))
        contexts = list(_answered([one.value for one in items if one.kind == _CONTEXT_AC]))
        users = _user_items(items)
    except _Broken as error:
        raise PduFault("the items of the A-ASSOCIATE-AC lie about their lengths") from error
    return _pdu(A_ASSOCIATE_AC, "", "", contexts, users)


def _answered(values: list[bytes]) -> Iterator[bytes]:
    """Presentation context items of an answer. PS3.8 9.3.3.2."""
    seen: set[int] = set()
    for value in values:
        number, parts = _context(value)
        if number % 2 == 0 or number in seen:
            continue
        seen.add(number)
        syntax = next((_uid(one.value) for one in parts if one.kind == _TRANSFER), b"")
        result = value[2] if value[2] <= 4 else 1
        if not result and not syntax:
            result = 4
        inner = _item(_TRANSFER, syntax or NO_SYNTAX)
        yield _item(_CONTEXT_AC, bytes((number, 0, result, 0)) + inner)


def _plain_rejection(body: bytes) -> bytes:
    """Reserved values become "no reason given"."""
    _, result, source, reason = body
    return bytes(
        (
            0,
            result if result in (1, 2) else 1,
            source if source in (1, 2, 3) else 1,
            reason if reason in _KNOWN_REASONS else 1,
        )
    )


def _plain_abort(body: bytes) -> bytes:
    source, reason = body[2], body[3]
    if source != _BY_PROVIDER:
        return bytes(4)
    return bytes((0, 0, source, reason if reason in _KNOWN_ABORTS else 0))


# --- items ----------------------------------------------------------------------------------------


def _items(raw: bytes) -> Iterator[_Item]:
    """The items of a PDU, or those within one. A few zeros may follow: padding.

    Raises
    ------
    _Broken
    """
    position = 0
    while position + 4 <= len(raw):
        kind, length = struct.unpack_from(">BxH", raw, position)
        end = position + 4 + length
        if end > len(raw):
            raise _Broken
        yield _Item(kind, raw[position + 4 : end])
        position = end
    if any(raw[position:]):
        raise _Broken


def _context(value: bytes) -> tuple[int, list[_Item]]:
    if len(value) < 4:
        raise _Broken
    return value[0], list(_items(value[4:]))


def _user_items(items: list[_Item]) -> list[_Item]:
    found: list[_Item] = []
    for one in items:
        if one.kind == _USER:
            found += _items(one.value)
    return found


def _user_information(users: list[_Item]) -> bytes:
    """What counts for the association: lengths, roles and options. PS3.8 D.1, PS3.7 D.3.3."""
    given = next(
        (one.value for one in users if one.kind == _MAXIMUM_LENGTH and len(one.value) == 4), None
    )
    inner = _item(_MAXIMUM_LENGTH, given or struct.pack(">L", DEFAULT_MAXIMUM_LENGTH))
    inner += _item(_IMPLEMENTATION, NO_SYNTAX)
    for one in users:
        if one.kind == _ROLE:
            inner += _role(one.value)
        elif one.kind == _EXTENDED:
            inner += _extended(one.value)
    return _item(_USER, inner)


def _role(value: bytes) -> bytes:
    """A role selection that can be understood; nothing for others. PS3.7 D.3.3.4."""
    try:
        name, roles = _counted(value)
    except (struct.error, _Broken):
        return b""
    uid = _uid(name)
    if not uid or len(roles) < 2:
        return b""
    plain_roles = bytes((roles[0] != 0, roles[1] != 0))
    return _item(_ROLE, struct.pack(">H", len(uid)) + uid + plain_roles)


def _extended(value: bytes) -> bytes:
    """A SOP class extended negotiation that can be understood; nothing for others. PS3.7
    D.3.3.5."""
    try:
        name, information = _counted(value)
    except (struct.error, _Broken):
        return b""
    uid = _uid(name)
    if not uid or not information:
        return b""
    return _item(_EXTENDED, struct.pack(">H", len(uid)) + uid + information)


def _uid(value: bytes) -> bytes:
    """A UID without its padding; nothing where it is none."""
    bare = value.strip(b"\0 ")
    return bare if _UID.fullmatch(bare) else b""


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(kind: int, called: str, calling: str, contexts: list[bytes], users: list[_Item]) -> bytes:
    titles = b"".join(
        (one.encode("ascii", "replace") or b"?").ljust(TITLE_BYTES) for one in (called, calling)
    )
    body = struct.pack(">HH", VERSION_1, 0) + titles + bytes(32)
    body += _item(_APPLICATION, APPLICATION_CONTEXT)
    return _whole(kind, body + b"".join(contexts) + _user_information(users))


def _whole(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body
