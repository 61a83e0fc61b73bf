"""Data sets in another of the native encodings: heads are written anew, values are copied.

PS3.5 7.1 and Annex A. No value is read as what it means, so a damaged one, or text in any character
set, goes through as it is. What has no place in the result is left out: group lengths (retired).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from mmap import mmap
from typing import BinaryIO, NamedTuple

import numpy as np
from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.uid import UID

from storage.header.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    MAX_DEPTH,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED_LENGTH,
)

CHUNK_BYTES = 1 << 20
"""Of a value, copied at one time."""
PIXEL_DATA = 0x7FE00010
PIXEL_REPRESENTATION = 0x00280103
ICON_IMAGE_SEQUENCE = 0x00880200
_WORDS = {
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"SV", b"UV", b"OV"), 8),
}
"""Bytes of what is turned over between the byte orders. PS3.5 7.3."""
_LONGEST_SHORT = 0xFFFE


class NotPlainEnough(Exception):
    """The data set is damaged, or encoded as none of PS3.5."""


class Head(NamedTuple):
    """Of an element. ``vr`` is empty where none is told."""

    tag: int
    vr: bytes
    length: int
    value_at: int


@dataclass(frozen=True, slots=True)
class Encoding:
    """A native one."""

    is_implicit: bool
    is_little_endian: bool = True

    @classmethod
    def of(cls, transfer_syntax: str) -> Encoding:
        syntax = UID(transfer_syntax)
        return cls(syntax.is_implicit_VR, syntax.is_little_endian)


@dataclass(slots=True)
class _Level:
    """What the elements of one data set, or item, tell of one another."""

    is_signed: bool = False
    creators: dict[int, str] = field(default_factory=dict)


Replacement = Callable[[BinaryIO], None]
"""Writes an element that stands in the place of another."""


class Reencoder:
    """Copies one data set. ``written`` has an explicit or implicit little endian encoding."""

    def __init__(
        self,
        data: mmap | memoryview,
        read: Encoding,
        is_implicit: bool,
        replaced: Mapping[int, Replacement | None] | None = None,
        left_out: frozenset[int] = frozenset(),
    ) -> None:
        """
        replaced: by tag, what is written for elements of the data set itself, there or not; None:
            nothing.
        left_out: tags of elements that are left out wherever they stand.
        """
        self._data = data
        self._read = read
        self._is_implicit = is_implicit
        self._replaced = dict(sorted((replaced or {}).items()))
        self._left_out = left_out
        self._order = "<" if read.is_little_endian else ">"

    def write(self, out: BinaryIO, start: int = 0) -> None:
        """Write all that follows ``start``.

        Raises
        ------
        NotPlainEnough
        """
        level, at, waiting = _Level(), start, list(self._replaced)
        try:
            while at < len(self._data):
                if not any(self._data[at : at + 8]):
                    break  # padding behind the data set
                head = self._head(at, self._read.is_implicit)
                while waiting and waiting[0] <= head.tag:
                    self._replace(waiting.pop(0), out)
                if head.tag in self._replaced or head.tag in self._left_out:
                    at = self._after(head, self._read.is_implicit, 0)
                else:
                    at = self._copy(head, out, level, 0)
            for tag in waiting:
                self._replace(tag, out)
        except (struct.error, IndexError) as error:
            raise NotPlainEnough("the data set ends within an element") from error

    def _replace(self, tag: int, out: BinaryIO) -> None:
        replacement = self._replaced[tag]
        if replacement is not None:
            replacement(out)

    # --- reading ----------------------------------------------------------------------------------

    def _head(self, at: int, is_implicit: bool) -> Head:
        group, number = struct.unpack_from(f"{self._order}HH", self._data, at)
        tag = group << 16 | number
        if is_implicit or group == 0xFFFE:
            (length,) = struct.unpack_from(f"{self._order}L", self._data, at + 4)
            return Head(tag, b"", length, at + 8)
        vr = bytes(self._data[at + 4 : at + 6])
        if vr in SHORT_VRS:
            (length,) = struct.unpack_from(f"{self._order}H", self._data, at + 6)
            return Head(tag, vr, length, at + 8)
        if vr not in LONG_VRS:
            raise NotPlainEnough("an element has no known VR")
        (length,) = struct.unpack_from(f"{self._order}L", self._data, at + 8)
        return Head(tag, vr, length, at + 12)

    def _after(self, head: Head, is_implicit: bool, depth: int) -> int:
        """Where the next element begins."""
        if head.length != UNDEFINED_LENGTH:
            after = head.value_at + head.length
            if after > len(self._data):
                raise NotPlainEnough("the data set ends within an element")
            return after
        at, inner_implicit = head.value_at, is_implicit or head.vr == b"UN"
        _check_depth(depth)
        while True:
            item = self._head(at, inner_implicit)
            if item.tag == SEQUENCE_END:
                return item.value_at
            at = self._after_item(item, inner_implicit, depth)

    def _after_item(self, item: Head, is_implicit: bool, depth: int) -> int:
        if item.tag != ITEM:
            raise NotPlainEnough("a sequence holds what is no item")
        if item.length != UNDEFINED_LENGTH:
            return self._after(item, is_implicit, depth)
        at = item.value_at
        while True:
            element = self._head(at, is_implicit)
            if element.tag == ITEM_END:
                return element.value_at
            at = self._after(element, is_implicit, depth + 1)

    # --- writing ----------------------------------------------------------------------------------

    def _copy(self, head: Head, out: BinaryIO, level: _Level, depth: int) -> int:
        """Write an element; where the next one begins."""
        after = self._after(head, self._read.is_implicit, depth)
        if head.tag & 0xFFFF == 0 or head.tag in self._left_out:
            return after
        vr = head.vr or self._vr_of(head, level)
        self._note(head, level)
        if vr == b"UN" and head.length == UNDEFINED_LENGTH:
            # A sequence in implicit VR, wherever it stands. PS3.5 6.2.2.
            self._write_head(out, head.tag, vr, UNDEFINED_LENGTH)
            self._copy_bytes(out, head.value_at, after, 1)
        elif vr == b"SQ":
            self._write_head(out, head.tag, vr, UNDEFINED_LENGTH)
            self._copy_items(head, out, level, after, depth)
            out.write(_delimiter(SEQUENCE_END))
        elif head.length == UNDEFINED_LENGTH:
            raise NotPlainEnough("a compressed value within an uncompressed data set")
        else:
            if vr in SHORT_VRS and head.length > _LONGEST_SHORT:
                vr = b"UN"
            self._write_head(out, head.tag, vr, head.length)
            words = 1 if self._read.is_little_endian else _WORDS.get(vr, 1)
            self._copy_bytes(out, head.value_at, after, words)
        return after

    def _copy_items(self, head: Head, out: BinaryIO, level: _Level, after: int, depth: int) -> None:
        _check_depth(depth)
        at = head.value_at
        while at < after:
            item = self._head(at, self._read.is_implicit)
            if item.tag == SEQUENCE_END:
                return
            end = self._after_item(item, self._read.is_implicit, depth)
            out.write(struct.pack("<HHL", ITEM >> 16, ITEM & 0xFFFF, UNDEFINED_LENGTH))
            inner, inner_at = _Level(level.is_signed), item.value_at
            while inner_at < end:
                element = self._head(inner_at, self._read.is_implicit)
                if element.tag == ITEM_END:
                    break
                inner_at = self._copy(element, out, inner, depth + 1)
            out.write(_delimiter(ITEM_END))
            at = end

    def _write_head(self, out: BinaryIO, tag: int, vr: bytes, length: int) -> None:
        out.write(head_bytes(tag, vr, length, self._is_implicit))

    def _copy_bytes(self, out: BinaryIO, start: int, end: int, word: int) -> None:
        for at in range(start, end, CHUNK_BYTES):
            part = self._data[at : min(at + CHUNK_BYTES, end)]
            if word > 1 and len(part) % word == 0:
                part = np.frombuffer(part, f">u{word}").byteswap().tobytes()
            out.write(part)

    # --- what implicit VR does not tell -----------------------------------------------------------

    def _note(self, head: Head, level: _Level) -> None:
        if head.tag == PIXEL_REPRESENTATION and head.length == 2:
            (value,) = struct.unpack_from(f"{self._order}H", self._data, head.value_at)
            level.is_signed = value == 1
        elif _is_creator(head.tag) and head.length < _LONGEST_SHORT:
            raw = bytes(self._data[head.value_at : head.value_at + head.length])
            block = head.tag & 0xFFFF0000 | (head.tag & 0xFF) << 8
            level.creators[block] = raw.decode("latin-1").strip(" \0")

    def _vr_of(self, head: Head, level: _Level) -> bytes:
        if self._is_implicit:
            return b"SQ" if head.length == UNDEFINED_LENGTH else b"UN"
        found = _known_vr(head.tag, level)
        if head.length == UNDEFINED_LENGTH and found != "SQ":
            return b"UN"
        if found in ("US or SS", "US or SS or OW"):
            found = "SS" if level.is_signed else "US"
        elif found in ("OB or OW", "US or OW"):
            found = "OW"
        return found.encode()


def _known_vr(tag: int, level: _Level) -> str:
    try:
        if not tag >> 16 & 1:
            return str(dictionary_VR(tag))
        if _is_creator(tag):
            return "LO"
        creator = level.creators.get(tag & 0xFFFFFF00, "")
        return str(private_dictionary_VR(tag, creator)) if creator else "UN"
    except KeyError:
        return "UN"


def _is_creator(tag: int) -> bool:
    """Of a block of private elements. PS3.5 7.8.1."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotPlainEnough("sequences within sequences without end")


def _delimiter(tag: int) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, 0)


def head_bytes(tag: int, vr: bytes, length: int, is_implicit: bool) -> bytes:
    """The head of an element in little endian."""
    group, number = tag >> 16, tag & 0xFFFF
    if is_implicit:
        return struct.pack("<HHL", group, number, length)
    if vr in SHORT_VRS:
        return struct.pack("<HH2sH", group, number, vr, length)
    return struct.pack("<HH2sHL", group, number, vr, 0, length)
