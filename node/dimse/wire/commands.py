"""The commands that go without pynetdicom, C-STORE both ways and C-ECHO, decoded by hand.

A command set is Implicit VR Little Endian (PS3.7 6.3.1), so a well-formed one is a dozen elements
in ascending order. Whatever is not such a one is left to pynetdicom's decoder.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from node.dimse.wire.pdus import P_DATA_TF

C_STORE_RQ = 0x0001
"""Command Field (0000,0100). PS3.7 E.1-1."""
C_STORE_RSP = 0x8001
C_ECHO_RQ = 0x0030
C_FIND_RQ = 0x0020
NO_DATA_SET = 0x0101
"""Command Data Set Type (0000,0800). PS3.7 E.1-1."""

_LAST = 0x02
"""Of the fragments of a command set or data set. PS3.8 E.2."""
_RESPONSE = 0x8000
_WITH_DATA_SET = 0x0001
_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID = 0x0000, 0x0002, 0x0100, 0x0110
_ANSWERED_ID, _PRIORITY, _DATA_SET_TYPE, _STATUS = 0x0120, 0x0700, 0x0800, 0x0900
_COMMENT, _INSTANCE, _MOVE_AET, _MOVE_ID = 0x0902, 0x1000, 0x1030, 0x1031

_UID = re.compile(rb"([0-9.]{1,64})\x00?")
_ALLOWED = frozenset(
    (
        *(_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID, _PRIORITY, _DATA_SET_TYPE),
        *(_INSTANCE, _MOVE_AET, _MOVE_ID),
    )
)
_MUST = {_LENGTH: 4, _FIELD: 2, _MESSAGE_ID: 2, _DATA_SET_TYPE: 2}
_head = struct.Struct("<HHL").unpack_from
_number_element = struct.Struct("<HHLH").pack
_STORE_ANSWERED = _number_element(0, _FIELD, 2, C_STORE_RSP)
_STORE = re.compile(
    rb"\0\0\0\0\x04\0\0\0.{4}"
    rb"\0\0\x02\0(.)\0\0\0([0-9.]{1,64})\0?"
    rb"\0\0\0\x01\x02\0\0\0\x01\0"
    rb"\0\0\x10\x01\x02\0\0\0(..)"
    rb"\0\0\0\x07\x02\0\0\0.."
    rb"\0\0\0\x08\x02\0\0\0(..)"
    rb"\0\0\0\x10(.)\0\0\0([0-9.]{1,64})\0?",
    re.DOTALL,
)
"""A C-STORE-RQ that nobody moves, as nearly all are: the elements that it must have."""


class Command(NamedTuple):
    """A C-STORE-RQ or C-ECHO-RQ. PS3.7 9.3.1.1, 9.3.5.1."""

    field: int
    message_id: int
    data_set_type: int
    sop_class_uid: str
    sop_instance_uid: str
    """Empty in a C-ECHO-RQ."""

    @property
    def has_data_set(self) -> bool:
        return self.data_set_type != NO_DATA_SET


def decode(raw: bytes) -> Command | None:
    """A well-formed C-STORE-RQ or C-ECHO-RQ; None for anything else."""
    return _plain_store(raw) or _any(raw)


def _plain_store(raw: bytes) -> Command | None:
    found = _STORE.fullmatch(raw)
    if found is None:
        return None
    class_length, sop_class, message_id, data_set_type, length, instance = found.groups()
    if class_length[0] != _even(sop_class) or length[0] != _even(instance):
        return None
    return Command(
        C_STORE_RQ,
        _number(message_id),
        _number(data_set_type),
        sop_class.decode(),
        instance.decode(),
    )


def _even(uid: bytes) -> int:
    """The length of a UID's value field: padded with NUL. PS3.5 9.1."""
    return len(uid) + len(uid) % 2


def _any(raw: bytes) -> Command | None:
    found = _elements(raw)
    if found is None or not found.keys() <= _ALLOWED:
        return None
    if any(len(found.get(one, b"")) != size for one, size in _MUST.items()):
        return None
    field = _number(found[_FIELD])
    sop_class = _UID.fullmatch(found.get(_SOP_CLASS, b""))
    instance = _UID.fullmatch(found.get(_INSTANCE, b""))
    if field not in (C_STORE_RQ, C_ECHO_RQ) or not sop_class:
        return None
    if (instance is not None) != (field == C_STORE_RQ):
        return None
    return Command(
        field,
        _number(found[_MESSAGE_ID]),
        _number(found[_DATA_SET_TYPE]),
        sop_class[1].decode(),
        instance[1].decode() if instance else "",
    )


class StoreAnswer(NamedTuple):
    """A C-STORE-RSP. PS3.7 9.3.1.2."""

    message_id: int
    """Of the request."""
    status: int
    comment: str = ""


def is_response(raw: bytes) -> bool:
    """Whether a command set is a plain response, of whatever service. PS3.7 E.1."""
    found = _elements(raw)
    return found is not None and bool(_number(found.get(_FIELD, b"")) & _RESPONSE)


def decode_answer(raw: bytes) -> StoreAnswer | None:
    """A well-formed C-STORE-RSP; None for anything else."""
    if _STORE_ANSWERED not in raw:  # as in each request that is received
        return None
    found = _elements(raw)
    if found is None or _number(found.get(_FIELD, b"")) != C_STORE_RSP:
        return None
    answered, status = found.get(_ANSWERED_ID, b""), found.get(_STATUS, b"")
    if len(answered) != 2 or len(status) != 2:
        return None
    comment = found.get(_COMMENT, b"").decode("ascii", "replace").strip(" \0")
    return StoreAnswer(_number(answered), _number(status), comment)


class Move(NamedTuple):
    """On whose behalf a C-STORE is made: a C-MOVE's requestor, and its message. PS3.7 9.3.1.1."""

    ae_title: str
    message_id: int


class Elements:
    """A command set in the making; elements come in ascending order. PS3.7 6.3.1."""

    def __init__(self) -> None:
        self._body = bytearray()

    def number(self, element: int, value: int) -> None:
        self._body += _number_element(0, element, 2, value)

    def uid(self, element: int, uid: str) -> None:
        """A UID of a request; what is none is left out."""
        value = uid.encode("ascii", "replace")
        if _UID.fullmatch(value):
            self.raw(element, value + b"\0" * (len(value) % 2))

    def text(self, element: int, text: str) -> None:
        value = text.encode("ascii", "replace")
        self.raw(element, value + b" " * (len(value) % 2))

    def raw(self, element: int, value: bytes) -> None:
        self._body += struct.pack("<HHL", 0, element, len(value)) + value

    def command_set(self) -> bytes:
        """All of it, behind its length."""
        return struct.pack("<HHLL", 0, _LENGTH, 4, len(self._body)) + self._body


def store_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, move: Move | None = None
) -> bytes:
    """The command set of a C-STORE-RQ of medium priority. PS3.7 9.3.1.1."""
    elements = Elements()
    elements.uid(_SOP_CLASS, sop_class_uid)
    elements.number(_FIELD, C_STORE_RQ)
    elements.number(_MESSAGE_ID, message_id)
    elements.number(_PRIORITY, 0)
    elements.number(_DATA_SET_TYPE, _WITH_DATA_SET)
    elements.uid(_INSTANCE, sop_instance_uid)
    if move is not None:
        elements.text(_MOVE_AET, move.ae_title)
        elements.number(_MOVE_ID, move.message_id)
    return elements.command_set()


def response(command: Command, status: int, comment: str = "") -> bytes:
    """The command set of the response. PS3.7 9.3.1.2, 9.3.5.2."""
    elements = Elements()
    elements.uid(_SOP_CLASS, command.sop_class_uid)
    elements.number(_FIELD, command.field | _RESPONSE)
    elements.number(_ANSWERED_ID, command.message_id)
    elements.number(_DATA_SET_TYPE, NO_DATA_SET)
    elements.number(_STATUS, status)
    if comment:
        elements.text(_COMMENT, comment)
    elements.uid(_INSTANCE, command.sop_instance_uid)
    return elements.command_set()


def match(sop_class_uid: str, message_id: int, status: int) -> bytes:
    """The command set of a C-FIND-RSP with an identifier. PS3.7 9.3.2.2."""
    elements = Elements()
    elements.uid(_SOP_CLASS, sop_class_uid)
    elements.number(_FIELD, C_FIND_RQ | _RESPONSE)
    elements.number(_ANSWERED_ID, message_id)
    elements.number(_DATA_SET_TYPE, _WITH_DATA_SET)
    elements.number(_STATUS, status)
    return elements.command_set()


def p_data(
    context_id: int, value: bytes, maximum_length: int = 0, is_command: bool = True
) -> bytes:
    """A command set, or a data set, as P-DATA-TF PDUs, none longer than the peer takes. PS3.8
    9.3.5, D.1.

    maximum_length: of the variable field of a PDU; 0 for any length. Less than 7 leaves no room for
    a byte and is taken as 7.
    """
    room = max(maximum_length - 6, 1) if maximum_length else len(value)
    pdus = []
    for start in range(0, len(value), room):
        part = value[start : start + room]
        control = (_LAST if start + room >= len(value) else 0) | is_command
        head = struct.pack(">BxLLBB", P_DATA_TF, len(part) + 6, len(part) + 2, context_id, control)
        pdus.append(head + part)
    return b"".join(pdus)


def _elements(raw: bytes) -> dict[int, bytes] | None:
    """Element numbers and values of group 0000; None where they are not in order and whole."""
    found: dict[int, bytes] = {}
    position, last = 0, -1
    while position + 8 <= len(raw):
        group, element, length = _head(raw, position)
        end = position + 8 + length
        if group or element <= last or end > len(raw):
            return None
        found[element] = raw[position + 8 : end]
        position, last = end, element
    return found if position == len(raw) else None


def _number(value: bytes) -> int:
    return int.from_bytes(value, "little")
