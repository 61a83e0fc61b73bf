"""What a DICOM file says of itself before its data set: PS3.10 7.1."""

from __future__ import annotations

import struct
from typing import NamedTuple

from node.receive.offer import Offer

MAX_HEAD_BYTES = 64 * 1024
_DATA_SET_AT = 132
"""Behind preamble and prefix."""
_GROUP = b"\x02\x00"
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
_REQUIRED = {
    0x0002: "Media Storage SOP Class UID",
    0x0003: "Media Storage SOP Instance UID",
    0x0010: "Transfer Syntax UID",
}
_SOURCE_TITLE = 0x0016
_MAX_TITLE = 16


class NoFile(Exception):
    """The bytes do not begin as a DICOM file does; the message says what is wrong."""


class FileHead(NamedTuple):
    """What stands in front of a data set, and where that begins."""

    offer: Offer
    end: int


def read_head(beginning: bytes | bytearray, is_all: bool = False) -> FileHead | None:
    """Read preamble, prefix and file meta information; None where more bytes are needed.

    The group's length is not asked: many writers give a wrong one.

    Raises
    ------
    NoFile
    """
    if len(beginning) < _DATA_SET_AT and not is_all:
        return None
    values: dict[int, bytes] = {}
    at = _begin_of_meta(beginning)
    while len(beginning) >= at + 12 or is_all:
        if beginning[at : at + 2] != _GROUP:
            return FileHead(_offer(values), at)
        number, begin, length = _element(beginning, at)
        at = begin + length
        if at > MAX_HEAD_BYTES:
            raise NoFile("the file meta information is too long")
        if at > len(beginning):
            break
        values[number] = bytes(beginning[begin:at])
    if is_all:
        raise NoFile("the file ends within its file meta information")
    return None


def begins_as_file(beginning: bytes | bytearray) -> bool:
    """Whether a DICOM file begins so; whether it is a right one is another question."""
    return _at_meta(beginning) is not None


def _begin_of_meta(beginning: bytes | bytearray) -> int:
    """Raises NoFile."""
    at = _at_meta(beginning)
    if at is None:
        raise NoFile("no DICOM file: neither a preamble with DICM, nor file meta information")
    return at


def _at_meta(beginning: bytes | bytearray) -> int | None:
    if beginning[_DATA_SET_AT - 4 : _DATA_SET_AT] == b"DICM":
        return _DATA_SET_AT
    if beginning[:2] == _GROUP:
        return 0  # some programs, made with pydicom, leave preamble and prefix out
    return None


def _element(beginning: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """Its number in the group, where its value begins, and how long that is."""
    try:
        number, vr, short = struct.unpack_from("<2xH2sH", beginning, at)
        if vr in _LONG_VRS:
            return number, at + 12, struct.unpack_from("<L", beginning, at + 8)[0]
        if vr.isalpha() and vr.isupper():
            return number, at + 8, short
        return number, at + 8, struct.unpack_from("<L", beginning, at + 4)[0]  # implicit VR
    except struct.error as error:
        raise NoFile("the file ends within its file meta information") from error


def _offer(values: dict[int, bytes]) -> Offer:
    uids = {number: _text(values.get(number, b"")) for number in _REQUIRED}
    for number, name in _REQUIRED.items():
        if not uids[number]:
            raise NoFile(f"the file meta information lacks {name}")
    title = _text(values.get(_SOURCE_TITLE, b""))
    is_title = len(title) <= _MAX_TITLE and title.isprintable() and "\\" not in title
    return Offer(uids[2], uids[3], uids[0x10], title if is_title else "")


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")
