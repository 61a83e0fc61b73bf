"""Elements as they lie in a file, in Explicit VR Little Endian with lengths (PS3.5 7.1.2, 7.5).

Tells items that are alike by their bytes, and takes their values, without a data set for each:
thousands of frames differ in a number or a UID, and parsing them takes longer than all else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag, Tag

from node.results.gate import wellformed
from node.results.gate.inherited import Step

Way = tuple[int, ...]
"""Tags from a functional group down to a value."""

_FREE = frozenset({b"UI", b"DS", b"IS", b"US", b"UL"})
"""Value representations in which items that are alike may differ."""
_SIZES = {b"US": 2, b"UL": 4}
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<I")
_ITEM, _UNDEFINED = 0xE000FFFE, 0xFFFFFFFF


class NotPlain(ValueError):
    """Bytes that are no elements with explicit representations and lengths that fit."""


@dataclass(frozen=True, slots=True)
class Group:
    """An element of an item, with all below it.

    key: equal for elements that are alike: the same attributes in the same places with the same
        values, but for UIDs and numbers, each of them sound.
    values: those on each way through first items.
    """

    tag: int
    key: tuple[bytes, ...]
    values: Mapping[Way, bytes]


class _Head(NamedTuple):
    """Where an element lies; a tuple, because there are tens of thousands."""

    tag: int
    vr: bytes
    start: int
    stop: int


class Reader:
    """Reads the items of one object; what it has seen before it knows by its bytes."""

    def __init__(self) -> None:
        self._groups: dict[bytes, Group] = {}
        self._verdicts: dict[tuple[bytes, bytes | int], bool] = {}

    def groups(self, item: bytes) -> tuple[Group, ...]:
        """The elements of an item. Raises ``NotPlain``."""
        found, start = [], 0
        while start < len(item):
            head = _head(item, start, len(item))
            raw = item[start : head.stop]
            group = self._groups.get(raw)
            if group is None:
                group = self._groups[raw] = self._group(raw, head.tag)
            found.append(group)
            start = head.stop
        return tuple(found)

    def _group(self, raw: bytes, tag: int) -> Group:
        key: list[bytes] = []
        values: dict[Way, bytes] = {}
        self._walk(raw, 0, len(raw), (), key, values)
        return Group(tag, tuple(key), values)

    def _walk(
        self,
        raw: bytes,
        start: int,
        stop: int,
        way: Way,
        key: list[bytes],
        values: dict[Way, bytes],
    ) -> None:
        while start < stop:
            head = _head(raw, start, stop)
            here = (*way, head.tag)
            name = raw[start : start + 6]
            key.append(name)
            if head.vr == b"SQ":
                kept = values
                for first, last in _bounds(raw, head.start, head.stop):
                    key.append(b"item")
                    self._walk(raw, first, last, here, key, kept)
                    kept = {}
                key.append(b"end")
            else:
                value = raw[head.start : head.stop]
                values[here] = value
                is_free = head.vr in _FREE and value and self._is_sound(name, value)
                key.append(b"sound" if is_free else value)
            start = head.stop

    def _is_sound(self, name: bytes, value: bytes) -> bool:
        """Whether an element may hold the value, by the rules for all elements."""
        of = (name, len(value) if name[4:] in _SIZES else value)
        verdict = self._verdicts.get(of)
        if verdict is None:
            verdict = self._verdicts[of] = _has_no_fault(name, value)
        return verdict


def items(raw: bytes) -> Iterator[bytes]:
    """The items of the value of a sequence. Raises ``NotPlain``."""
    for first, last in _bounds(raw, 0, len(raw)):
        yield raw[first:last]


def below(item: bytes, wanted: int, through: int) -> Iterator[bytes]:
    """The items of the sequence ``wanted`` of an item, and of the items of its sequences
    ``through``, at any depth. Raises ``NotPlain``."""
    start = 0
    while start < len(item):
        head = _head(item, start, len(item))
        if head.tag == wanted:
            for first, last in _bounds(item, head.start, head.stop):
                yield item[first:last]
        elif head.tag == through:
            for first, last in _bounds(item, head.start, head.stop):
                yield from below(item[first:last], wanted, through)
        start = head.stop


def _head(raw: bytes, start: int, end: int) -> _Head:
    """What stands before a value, and where the value lies."""
    if start + 8 > end:
        raise NotPlain("an element is cut off")
    group, number, vr, length = _SHORT.unpack_from(raw, start)
    first = start + 8
    if vr in _LONG:
        if start + 12 > end:
            raise NotPlain("an element is cut off")
        (length,) = _LENGTH.unpack_from(raw, start + 8)
        first = start + 12
    if not vr.isalpha() or length == _UNDEFINED or first + length > end:
        raise NotPlain("an element has no length that fits")
    return _Head(group << 16 | number, vr, first, first + length)


def _bounds(raw: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where the items of a sequence lie."""
    while start < stop:
        if start + 8 > stop:
            raise NotPlain("an item is cut off")
        tag, length = struct.unpack_from("<II", raw, start)
        first = start + 8
        if tag != _ITEM or length == _UNDEFINED or first + length > stop:
            raise NotPlain("an item has no length that fits")
        yield first, first + length
        start = first + length


def _has_no_fault(name: bytes, value: bytes) -> bool:
    group, number = struct.unpack("<HH", name[:4])
    tag, vr = Tag(group, number), name[4:].decode("ascii")
    if len(value) % _SIZES.get(name[4:], 1):
        return False
    raw = RawDataElement(tag, vr, len(value), value, 0, False, True)
    try:
        element = convert_raw_data_element(raw)
        return not any(wellformed.of_element(element, (_step(element.keyword, tag),)))
    except (ValueError, TypeError, UnicodeError):
        return False


def _step(keyword: str, tag: BaseTag) -> Step:
    return Step(keyword or str(tag), tag, 1)
