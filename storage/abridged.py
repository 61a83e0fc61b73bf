"""What the index needs of a header, cut out of it before a parser sees it (PS3.5 7.1 to 7.5).

Enhanced multi-frame objects describe each of up to 10⁵ frames, structures and reports run to
megabytes; pydicom makes an object of every element. Here elements are passed over by their lengths.
What is left is a small data set for the parser, and the places of the frames.
"""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword

from storage.attributes import INSTANCE, MAX_FRAMES, SERIES, STUDY
from storage.errors import UnreadableInstance

Buffer = bytes | bytearray | memoryview | mmap.mmap

MAX_VALUE_BYTES = 64 * 1024
"""Longer values are not indexed."""
MAX_SEQUENCE_BYTES = 1024 * 1024
"""The same for sequences, and for the first frame's functional groups."""
MAX_DEPTH = 64
"""Sequences within sequences."""

UNDEFINED_LENGTH = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_CHARACTER_SET, _CONTRAST_AGENTS = 0x00080005, 0x00180012
_SHARED_GROUPS, _FRAME_GROUPS = 0x52009229, 0x52009230
_PLANE_POSITION, _POSITION = 0x00209113, 0x00200032
_FIRST_TAG = 0x00080000
"""Lower ones are of commands and file meta information."""
_FIRST_PIXELS = 0x7FE00008
_WANTED = frozenset(
    (
        _CHARACTER_SET,
        _CONTRAST_AGENTS,
        _SHARED_GROUPS,
        *(int(tag_for_keyword(one) or 0) for one in (*STUDY, *SERIES, *INSTANCE)),
    )
)
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())

_explicit_head = struct.Struct("<HH2sH").unpack_from
_implicit_head = struct.Struct("<HHL").unpack_from
_length = struct.Struct("<L").unpack_from


class NotPlain(Exception):
    """A real parser has to read the whole."""


class Abridged(NamedTuple):
    """``data_set``: encoded as the original. ``positions``: of frames, where there are any."""

    data_set: bytes
    positions: list[list[float]] | None


class _Element(NamedTuple):
    tag: int
    vr: bytes
    length: int
    value_at: int


def abridge(data: Buffer, start: int, is_explicit: bool) -> Abridged:
    """Abridge a little endian data set that begins at ``start`` of ``data``.

    Raises
    ------
    UnreadableInstance
        It ends within an element.
    NotPlain
    """
    try:
        return _Reader(data, is_explicit).abridged(start)
    except struct.error as error:
        raise UnreadableInstance("the data set ends within an element") from error


class _Reader:
    def __init__(self, data: Buffer, is_explicit: bool) -> None:
        self._data = data
        self._end = len(data)
        self._is_explicit = is_explicit

    def abridged(self, start: int) -> Abridged:
        kept: list[bytes] = []
        positions: list[list[float]] | None = None
        at, last = start, _FIRST_TAG - 1
        while at < self._end:
            if not any(self._data[at : at + 8]):
                raise NotPlain  # padding, or worse
            element = self._head(at, self._is_explicit)
            if element.tag >= _FIRST_PIXELS:
                break
            if element.tag <= last:
                raise NotPlain
            last = element.tag
            if element.tag == _FRAME_GROUPS:
                positions, first = self._frames(element)
                kept.append(self._groups_of_one(element, first))
                if element.length == UNDEFINED_LENGTH:
                    break  # nothing behind it is wanted
            after = self._after(element, self._is_explicit)
            if element.tag in _WANTED and after - at <= _limit(element):
                kept.append(bytes(self._data[at:after]))
            at = after
        return Abridged(b"".join(kept), positions)

    # --- elements ---------------------------------------------------------------------------------

    def _head(self, at: int, is_explicit: bool) -> _Element:
        if not is_explicit:
            group, number, length = _implicit_head(self._data, at)
            return _Element(group << 16 | number, b"", length, at + 8)
        group, number, vr, length = _explicit_head(self._data, at)
        tag = group << 16 | number
        if vr in _SHORT:
            return _Element(tag, vr, length, at + 8)
        if group == 0xFFFE:
            return _Element(tag, b"", _length(self._data, at + 4)[0], at + 8)
        if vr not in _LONG:
            raise NotPlain
        return _Element(tag, vr, _length(self._data, at + 8)[0], at + 12)

    def _after(self, element: _Element, is_explicit: bool, depth: int = 0) -> int:
        """Where the next element begins."""
        if element.length != UNDEFINED_LENGTH:
            after = element.value_at + element.length
            if after > self._end:
                raise UnreadableInstance("the data set ends within an element")
            return after
        if depth > MAX_DEPTH:
            raise NotPlain
        # Of unknown VR and undefined length: a sequence in implicit VR. PS3.5 6.2.2.
        is_explicit = is_explicit and element.vr != b"UN"
        at = element.value_at
        while True:
            item = self._head(at, is_explicit)
            if item.tag == _SEQUENCE_END:
                return item.value_at
            if item.tag != _ITEM:
                raise NotPlain
            at = self._after_item(item, is_explicit, depth)

    def _after_item(self, item: _Element, is_explicit: bool, depth: int) -> int:
        if item.length != UNDEFINED_LENGTH:
            return self._after(item, is_explicit)
        at = item.value_at
        while True:
            element = self._head(at, is_explicit)
            if element.tag == _ITEM_END:
                return element.value_at
            at = self._after(element, is_explicit, depth + 1)

    # --- frames -----------------------------------------------------------------------------------

    def _frames(self, sequence: _Element) -> tuple[list[list[float]] | None, bytes]:
        """The places of the frames, where each has one; and the first frame's groups."""
        is_explicit = self._is_explicit and sequence.vr != b"UN"
        ends = sequence.length != UNDEFINED_LENGTH
        end = self._after(sequence, is_explicit) if ends else self._end
        positions: list[list[float]] = []
        first = b""
        at = sequence.value_at
        while at < end and len(positions) < MAX_FRAMES:
            item = self._head(at, is_explicit)
            if item.tag == _SEQUENCE_END:
                break
            if item.tag != _ITEM:
                raise NotPlain
            position, after = self._position(item, is_explicit)
            if not positions:
                content_end = after - 8 if item.length == UNDEFINED_LENGTH else after
                first = bytes(self._data[item.value_at : content_end])
            positions.append(position)
            at = after
        whole = bool(positions) and all(len(one) == 3 for one in positions)
        return (positions if whole else None), first

    def _position(self, item: _Element, is_explicit: bool) -> tuple[list[float], int]:
        """A frame's place (empty where it has none), and where the next item begins."""
        found: list[float] = []
        has_end = item.length != UNDEFINED_LENGTH
        end = self._after(item, is_explicit) if has_end else self._end
        at = item.value_at
        while at < end:
            element = self._head(at, is_explicit)
            if element.tag == _ITEM_END:
                return found, element.value_at
            if element.tag == _PLANE_POSITION:
                found = self._place(element, is_explicit)
                if has_end:
                    return found, end
            at = self._after(element, is_explicit, 1)
        if not has_end:
            raise UnreadableInstance("the data set ends within an element")
        return found, end

    def _place(self, sequence: _Element, is_explicit: bool) -> list[float]:
        if not sequence.length:
            return []
        item = self._head(sequence.value_at, is_explicit)
        if item.tag != _ITEM:
            return []
        at, end = item.value_at, self._end
        if item.length != UNDEFINED_LENGTH:
            end = self._after(item, is_explicit)
        while at < end:
            element = self._head(at, is_explicit)
            if element.tag == _POSITION:
                return self._numbers(element)
            if element.tag > _POSITION:
                return []
            at = self._after(element, is_explicit, 2)
        return []

    def _numbers(self, element: _Element) -> list[float]:
        if element.vr not in (b"", b"DS") or element.length > MAX_VALUE_BYTES:
            raise NotPlain
        value = bytes(self._data[element.value_at : element.value_at + element.length])
        try:
            numbers = [float(part) for part in value.rstrip(b"\0 ").split(b"\\")]
        except ValueError:
            return []
        return numbers if all(abs(one) < float("inf") for one in numbers) else []

    def _groups_of_one(self, sequence: _Element, first: bytes) -> bytes:
        """The sequence with its first item alone, in defined lengths."""
        if not first or len(first) > MAX_SEQUENCE_BYTES:
            return b""
        is_explicit = self._is_explicit and sequence.vr != b"UN"
        items = struct.pack("<HHL", 0xFFFE, 0xE000, len(first)) + first
        tag = struct.pack("<HH", _FRAME_GROUPS >> 16, _FRAME_GROUPS & 0xFFFF)
        if self._is_explicit:
            tag += (b"SQ" if is_explicit else b"UN") + bytes(2)
        return tag + struct.pack("<L", len(items)) + items


def _limit(element: _Element) -> int:
    is_sequence = element.tag in (_CONTRAST_AGENTS, _SHARED_GROUPS)
    return MAX_SEQUENCE_BYTES if is_sequence else MAX_VALUE_BYTES
