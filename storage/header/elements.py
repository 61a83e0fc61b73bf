"""Passes over data elements by their lengths, without making an object of each (PS3.5 7.1 to 7.5).

Little endian only. What is odd needs a real parser.
"""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

from storage.errors import UnreadableInstance

Buffer = bytes | bytearray | memoryview | mmap.mmap

MAX_DEPTH = 64
"""Sequences within sequences."""
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Explicit VRs with a length of 32 bits. PS3.5 7.1.2."""
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""Those with one of 16 bits."""

_explicit_head = struct.Struct("<HH2sH").unpack_from
_implicit_head = struct.Struct("<HHL").unpack_from
_length = struct.Struct("<L").unpack_from


class NotPlain(Exception):
    """A real parser has to read the whole."""


class Element(NamedTuple):
    """The head of an element, an item or a delimiter. ``vr`` is empty where none is told."""

    tag: int
    vr: bytes
    length: int
    value_at: int


class ElementReader:
    """Reads heads in a buffer. Beyond its end struct.error is raised."""

    def __init__(self, data: Buffer) -> None:
        self.data = data
        self.end = len(data)

    def head(self, at: int, is_explicit: bool) -> Element:
        """The head that begins at a place. Raises NotPlain."""
        if not is_explicit:
            group, number, length = _implicit_head(self.data, at)
            return Element(group << 16 | number, b"", length, at + 8)
        group, number, vr, length = _explicit_head(self.data, at)
        tag = group << 16 | number
        if vr in SHORT_VRS:
            return Element(tag, vr, length, at + 8)
        if group == 0xFFFE:
            return Element(tag, b"", _length(self.data, at + 4)[0], at + 8)
        if vr not in LONG_VRS:
            raise NotPlain
        return Element(tag, vr, _length(self.data, at + 8)[0], at + 12)

    def after(self, element: Element, is_explicit: bool, depth: int = 0) -> int:
        """Where the next element begins.

        Raises
        ------
        UnreadableInstance
            The buffer ends before.
        NotPlain
        """
        if element.length != UNDEFINED_LENGTH:
            after = element.value_at + element.length
            if after > self.end:
                raise UnreadableInstance("the data set ends within an element")
            return after
        if depth > MAX_DEPTH:
            raise NotPlain
        # Of unknown VR and undefined length: a sequence in implicit VR. PS3.5 6.2.2.
        is_explicit = is_explicit and element.vr != b"UN"
        at = element.value_at
        while True:
            item = self.head(at, is_explicit)
            if item.tag == SEQUENCE_END:
                return item.value_at
            if item.tag != ITEM:
                raise NotPlain
            at = self._after_item(item, is_explicit, depth)

    def _after_item(self, item: Element, is_explicit: bool, depth: int) -> int:
        if item.length != UNDEFINED_LENGTH:
            return self.after(item, is_explicit)
        at = item.value_at
        while True:
            element = self.head(at, is_explicit)
            if element.tag == ITEM_END:
                return element.value_at
            at = self.after(element, is_explicit, depth + 1)
