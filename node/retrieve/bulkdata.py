"""Finds one value within a stored instance by the tags that lead to it (PS3.18 10.4.1.1.5).

Elements are passed over by their lengths; the value itself is read by whoever sends it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, cast

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.errors import NodeError
from node.retrieve.frames import Span
from node.retrieve.transcode import NotEncodable, encoded
from storage.errors import UnreadableInstance
from storage.files.blobs import local_file
from storage.files.port import Readable
from storage.files.seal import PREAMBLE, dataset_offset
from storage.header.elements import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Element,
    ElementReader,
    NotPlain,
)

_PATH = re.compile(r"[0-9A-Fa-f]{8}(/\d{1,6}/[0-9A-Fa-f]{8}){0,32}")
_RECODED = (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
_FIRST_TAG = 0x00080000


class NoSuchValue(NodeError):
    """Nothing stands where the path leads."""


class SenselessPath(NodeError):
    """Not a path of tags and item numbers."""


@dataclass(frozen=True, slots=True)
class TagPath:
    """(sequence, item from 0) …, and the attribute."""

    items: tuple[tuple[int, int], ...]
    attribute: int

    @staticmethod
    def of(text: str) -> TagPath:
        """``7FE00010``, ``00081140/0/00081155``. Raises SenselessPath."""
        if not _PATH.fullmatch(text):
            raise SenselessPath(
                "bulk data is named by its tag, as 7FE00010, or by the tags and item numbers from 0"
                " that lead to it, as 00880200/0/7FE00010"
            )
        *above, attribute = text.split("/")
        items = zip(above[::2], above[1::2], strict=True)
        return TagPath(tuple((int(tag, 16), int(item)) for tag, item in items), int(attribute, 16))


@dataclass(frozen=True, slots=True)
class OpenValue:
    """A value's bytes: little endian, whatever the instance is stored in."""

    file: BinaryIO
    spans: tuple[Span, ...]
    """Several where it is compressed pixels: their fragments."""

    @property
    def length(self) -> int:
        return sum(one.length for one in self.spans)


@contextmanager
def open_value(source: Readable, transfer_syntax_uid: str, path: TagPath) -> Iterator[OpenValue]:
    """
    Raises
    ------
    NoSuchValue, UnreadableInstance, FileNotFoundError, OSError
    """
    if transfer_syntax_uid not in _RECODED:
        is_explicit = transfer_syntax_uid != ImplicitVRLittleEndian
        with local_file(source) as here, here.open("rb") as whole:
            spans = _spans(whole, dataset_offset(whole.read(PREAMBLE + 16)), is_explicit, path)
        with source.open("rb") as file:
            yield OpenValue(file, spans)
        return
    try:
        with encoded(source, transfer_syntax_uid, ExplicitVRLittleEndian) as made:
            plain = cast(BinaryIO, made.file)
            yield OpenValue(plain, _spans(plain, 0, True, path))
    except NotEncodable as error:
        raise UnreadableInstance("the data set cannot be parsed") from error


def within(spans: Sequence[Span], part: Span) -> Iterator[Span]:
    """A part of the bytes of some spans, taken as one after the other."""
    at = 0
    for span in spans:
        first, last = max(part.offset, at), min(part.offset + part.length, at + span.length)
        if first < last:
            yield Span(span.offset + first - at, last - first)
        at += span.length


def _spans(file: BinaryIO, start: int, is_explicit: bool, path: TagPath) -> tuple[Span, ...]:
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            return _Finder(data).spans(start, is_explicit, path)
        except struct.error as error:
            raise UnreadableInstance("the data set ends within an element") from error
        except NotPlain as error:
            raise UnreadableInstance("the data set cannot be parsed") from error


class _Finder(ElementReader):
    """Raises NoSuchValue, UnreadableInstance, NotPlain, struct.error."""

    def head(self, at: int, is_explicit: bool) -> Element:
        """Also of VRs of a later edition, and of implicit elements within explicit data sets."""
        try:
            return super().head(at, is_explicit)
        except NotPlain:
            vr = bytes(self.data[at + 4 : at + 6])
            if vr.isalpha() and vr.isupper():
                group, number = struct.unpack_from("<HH", self.data, at)
                (length,) = struct.unpack_from("<L", self.data, at + 8)
                return Element(group << 16 | number, vr, length, at + 12)
            return super().head(at, False)

    def spans(self, start: int, is_explicit: bool, path: TagPath) -> tuple[Span, ...]:
        at, end = start, self.end
        for tag, number in path.items:
            sequence = self._element(at, end, is_explicit, tag)
            is_explicit = is_explicit and sequence.vr != b"UN"
            at, end = self._item(sequence, number, is_explicit)
        found = self._element(at, end, is_explicit, path.attribute)
        if found.vr == b"SQ":
            raise NoSuchValue("a sequence has no value of its own")
        if found.length == UNDEFINED_LENGTH:
            return tuple(self._fragments(found))[1:]
        if found.value_at + found.length > self.end:
            raise UnreadableInstance("the data set ends within an element")
        return (Span(found.value_at, found.length),)

    def _element(self, at: int, end: int, is_explicit: bool, tag: int) -> Element:
        while at < end:
            element = self.head(at, is_explicit)
            if element.tag == tag:
                return element
            if element.tag == ITEM_END:
                break
            at = self.after(element, is_explicit)
        raise NoSuchValue("the instance has no such value")

    def _item(self, sequence: Element, number: int, is_explicit: bool) -> tuple[int, int]:
        """Where the elements of an item begin, and where they end at the latest."""
        found = next(islice(self._items(sequence, is_explicit), number, None), None)
        if found is None:
            raise NoSuchValue("the instance has no such item")
        if found.length == UNDEFINED_LENGTH:
            return found.value_at, self.end
        return found.value_at, found.value_at + found.length

    def _items(self, sequence: Element, is_explicit: bool) -> Iterator[Element]:
        has_end = sequence.length != UNDEFINED_LENGTH
        at = sequence.value_at
        while not has_end or at < sequence.value_at + sequence.length:
            item = self.head(at, is_explicit)
            if item.tag == SEQUENCE_END:
                return
            if item.tag != ITEM:
                raise NoSuchValue("the instance has no such item")
            yield item
            at = self._after_item(item, is_explicit, 1)

    def _fragments(self, pixels: Element) -> Iterator[Span]:
        """The offset table first."""
        for item in self._items(pixels, True):
            if item.length == UNDEFINED_LENGTH:
                raise NoSuchValue("a sequence has no value of its own")
            yield Span(item.value_at, item.length)
