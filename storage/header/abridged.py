"""What the index needs of a header, cut out of it before a parser sees it (PS3.5 7.1 to 7.5).

Enhanced multi-frame objects describe each of up to 10⁵ frames, structures and reports run to
megabytes; pydicom makes an object of every element. Here elements are passed over by their lengths.
What is left is a small data set for the parser, and the places of the frames.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword

from storage.errors import UnreadableInstance
from storage.header.attributes import INSTANCE, MAX_FRAMES, SERIES, STUDY
from storage.header.elements import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Buffer,
    Element,
    ElementReader,
    NotPlain,
)

MAX_VALUE_BYTES = 64 * 1024
"""Longer values are not indexed."""
MAX_SEQUENCE_BYTES = 1024 * 1024
"""The same for sequences, and for the first frame's functional groups."""
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


class Abridged(NamedTuple):
    """``data_set``: encoded as the original. ``positions``: of frames, where there are any."""

    data_set: bytes
    positions: list[list[float]] | None


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


class _Reader(ElementReader):
    def __init__(self, data: Buffer, is_explicit: bool) -> None:
        super().__init__(data)
        self._is_explicit = is_explicit

    def abridged(self, start: int) -> Abridged:
        kept: list[bytes] = []
        positions: list[list[float]] | None = None
        at, last = start, _FIRST_TAG - 1
        while at < self.end:
            if not any(self.data[at : at + 8]):
                raise NotPlain  # padding, or worse
            element = self.head(at, self._is_explicit)
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
            after = self.after(element, self._is_explicit)
            if element.tag in _WANTED and after - at <= _limit(element):
                kept.append(bytes(self.data[at:after]))
            at = after
        return Abridged(b"".join(kept), positions)

    # --- frames -----------------------------------------------------------------------------------

    def _frames(self, sequence: Element) -> tuple[list[list[float]] | None, bytes]:
        """The places of the frames, where each has one; and the first frame's groups."""
        is_explicit = self._is_explicit and sequence.vr != b"UN"
        ends = sequence.length != UNDEFINED_LENGTH
        end = self.after(sequence, is_explicit) if ends else self.end
        positions: list[list[float]] = []
        first = b""
        at = sequence.value_at
        while at < end and len(positions) < MAX_FRAMES:
            item = self.head(at, is_explicit)
            if item.tag == SEQUENCE_END:
                break
            if item.tag != ITEM:
                raise NotPlain
            position, after = self._position(item, is_explicit)
            if not positions:
                content_end = after - 8 if item.length == UNDEFINED_LENGTH else after
                first = bytes(self.data[item.value_at : content_end])
            positions.append(position)
            at = after
        whole = bool(positions) and all(len(one) == 3 for one in positions)
        return (positions if whole else None), first

    def _position(self, item: Element, is_explicit: bool) -> tuple[list[float], int]:
        """A frame's place (empty where it has none), and where the next item begins."""
        found: list[float] = []
        has_end = item.length != UNDEFINED_LENGTH
        end = self.after(item, is_explicit) if has_end else self.end
        at = item.value_at
        while at < end:
            element = self.head(at, is_explicit)
            if element.tag == ITEM_END:
                return found, element.value_at
            if element.tag == _PLANE_POSITION:
                found = self._place(element, is_explicit)
                if has_end:
                    return found, end
            at = self.after(element, is_explicit, 1)
        if not has_end:
            raise UnreadableInstance("the data set ends within an element")
        return found, end

    def _place(self, sequence: Element, is_explicit: bool) -> list[float]:
        if not sequence.length:
            return []
        item = self.head(sequence.value_at, is_explicit)
        if item.tag != ITEM:
            return []
        at, end = item.value_at, self.end
        if item.length != UNDEFINED_LENGTH:
            end = self.after(item, is_explicit)
        while at < end:
            element = self.head(at, is_explicit)
            if element.tag == _POSITION:
                return self._numbers(element)
            if element.tag > _POSITION:
                return []
            at = self.after(element, is_explicit, 2)
        return []

    def _numbers(self, element: Element) -> list[float]:
        if element.vr not in (b"", b"DS") or element.length > MAX_VALUE_BYTES:
            raise NotPlain
        value = bytes(self.data[element.value_at : element.value_at + element.length])
        try:
            numbers = [float(part) for part in value.rstrip(b"\0 ").split(b"\\")]
        except ValueError:
            return []
        return numbers if all(abs(one) < float("inf") for one in numbers) else []

    def _groups_of_one(self, sequence: Element, first: bytes) -> bytes:
        """The sequence with its first item alone, in defined lengths."""
        if not first or len(first) > MAX_SEQUENCE_BYTES:
            return b""
        is_explicit = self._is_explicit and sequence.vr != b"UN"
        items = struct.pack("<HHL", 0xFFFE, 0xE000, len(first)) + first
        tag = struct.pack("<HH", _FRAME_GROUPS >> 16, _FRAME_GROUPS & 0xFFFF)
        if self._is_explicit:
            tag += (b"SQ" if is_explicit else b"UN") + bytes(2)
        return tag + struct.pack("<L", len(items)) + items


def _limit(element: Element) -> int:
    is_sequence = element.tag in (_CONTRAST_AGENTS, _SHARED_GROUPS)
    return MAX_SEQUENCE_BYTES if is_sequence else MAX_VALUE_BYTES
