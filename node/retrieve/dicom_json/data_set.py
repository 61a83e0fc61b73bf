"""A data set as a DICOM JSON Model object (PS3.18 F.2), from its bytes in any encoding.

Elements are passed over by their lengths; no object is made of each. Pixel data and other long
values are not looked at: they stand in the object as the URIs where they are fetched.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

from node.retrieve.dicom_json.characters import Characters, characters
from node.retrieve.dicom_json.values import VRS, attribute, bulk, is_bulk
from storage.errors import UnreadableInstance
from storage.header.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    MAX_DEPTH,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Buffer,
)

KEPT_BYTES = 1024
"""Elements up to this length are converted once for all data sets of a writer."""
MAX_KEPT = 20_000
MAX_RULES = 16
_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_FIRST_TAG = 0x00080000
"""Lower ones are of commands and file meta information."""
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))

_EXPLICIT = {
    True: (struct.Struct("<HH2sH").unpack_from, struct.Struct("<L").unpack_from),
    False: (struct.Struct(">HH2sH").unpack_from, struct.Struct(">L").unpack_from),
}
_implicit_head = struct.Struct("<HHL").unpack_from
_ENDS_EARLY = "the data set ends within an element"


class Encoding(NamedTuple):
    """How a data set is written. PS3.5 chapter 10 and annex A."""

    is_explicit: bool
    is_little: bool = True


IMPLICIT = Encoding(is_explicit=False)


@dataclass(frozen=True, slots=True)
class Written:
    """A JSON object in UTF-8; ``fault`` says why it holds no more than what comes before it."""

    json: bytes
    fault: str = ""


class _Head(NamedTuple):
    tag: int
    vr: str
    length: int
    value_at: int


_Known = dict[bytes, str]
"""Members by the bytes of their elements."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """What rules the values of one data set or item."""

    encoding: Encoding
    place: str
    """The URI that the tags of its long values are added to."""
    characters: Characters
    is_signed: bool
    known: _Known
    """What was converted under the same rules."""
    depth: int = 0


class JsonWriter:
    """For data sets that have much in common, as those of a series: that is converted once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], _Known] = {}

    def write(self, data: Buffer, start: int, encoding: Encoding, place: str) -> Written:
        """The object of the data set that begins at ``start`` of ``data``.

        place: long values get URIs that begin so, and go on with their tag, or with the tags and
        item numbers (from 0) that lead to it: ``00081140/0/0040A043``.
        """
        found: _Members = {}
        fault = ""
        ascii_ = characters(b"")
        scope = _Scope(encoding, place, ascii_, False, self.known(encoding, ascii_, False))
        try:
            _Walk(data, self).read(start, len(data), scope, found)
        except struct.error:
            fault = _ENDS_EARLY
        except UnreadableInstance as error:
            fault = str(error)
        return Written(_object(found).encode("utf-8", "replace"), fault)

    def known(self, encoding: Encoding, text: Characters, is_signed: bool) -> _Known:
        """What these rules made of elements before."""
        if len(self._known) > MAX_RULES:
            self._known.clear()
        return self._known.setdefault((encoding, text.terms, is_signed), {})


_Members = dict[int, str]
"""The members of an object by their tags, each with its name."""


def _object(members: _Members) -> str:
    """In ascending order. PS3.18 F.2.2."""
    return f"{{{','.join([members[tag] for tag in sorted(members)])}}}"


class _Walk:
    """Through one buffer. Beyond its end struct.error is raised."""

    def __init__(self, data: Buffer, writer: JsonWriter) -> None:
        self._data = data
        self._end = len(data)
        self._writer = writer

    def read(self, at: int, end: int, scope: _Scope, found: _Members) -> int:
        """Elements up to ``end``, or to the delimiter of an item; gives where they end."""
        while at < end:
            head = self._head(at, scope.encoding)
            if head.tag == ITEM_END:
                return head.value_at
            if head.tag in _PIXELS and (head.length == UNDEFINED_LENGTH or not scope.depth):
                found[head.tag] = _bulk(head.tag, _pixel_vr(head), scope)
                at = self._after_pixels(head, scope)
                continue
            at, member = self._member(at, head, scope)
            if head.tag & 0xFFFF and head.tag >= _FIRST_TAG:
                found[head.tag] = member
            if head.tag in (_CHARACTER_SET, _PIXEL_REPRESENTATION):
                scope = self._ruled(head, scope)
        return at

    # --- heads ------------------------------------------------------------------------------------

    def _head(self, at: int, encoding: Encoding) -> _Head:
        if not encoding.is_explicit:
            return self._implicit_head(at)
        unpack, unpack_length = _EXPLICIT[encoding.is_little]
        group, number, vr, length = unpack(self._data, at)
        tag = group << 16 | number
        if vr in SHORT_VRS:
            return _Head(tag, vr.decode("ascii"), length, at + 8)
        if group == 0xFFFE:
            return _Head(tag, "", unpack_length(self._data, at + 4)[0], at + 8)
        if vr in LONG_VRS:
            return _Head(tag, vr.decode("ascii"), unpack_length(self._data, at + 8)[0], at + 12)
        if vr.isalpha() and vr.isupper():  # of a later edition: PS3.5 7.1.2
            return _Head(tag, "UN", unpack_length(self._data, at + 8)[0], at + 12)
        return self._implicit_head(at)  # some write so within explicit data sets

    def _implicit_head(self, at: int) -> _Head:
        group, number, length = _implicit_head(self._data, at)
        return _Head(group << 16 | number, "", length, at + 8)

    # --- values -----------------------------------------------------------------------------------

    def _member(self, at: int, head: _Head, scope: _Scope) -> tuple[int, str]:
        """Where an element ends, and its member: made anew where these bytes were not met yet."""
        after = head.value_at + head.length
        if after - at > KEPT_BYTES:
            return self._made(head, scope)
        raw = bytes(self._data[at:after])
        known = scope.known.get(raw)
        if known is not None:
            return after, known
        after, made = self._made(head, scope)
        if len(scope.known) < MAX_KEPT:
            scope.known[raw] = made
        return after, made

    def _made(self, head: _Head, scope: _Scope) -> tuple[int, str]:
        vr = _representation(head, scope)
        if vr == "SQ" or head.length == UNDEFINED_LENGTH:
            after, items = self._sequence(head, scope)
            value = f',"Value":[{",".join(items)}]' if items else ""
            return after, f'"{head.tag:08X}":{{"vr":"SQ"{value}}}'
        after = head.value_at + head.length
        if after > self._end:
            raise UnreadableInstance(_ENDS_EARLY)
        if is_bulk(vr, head.length):
            return after, _bulk(head.tag, vr, scope)
        raw = bytes(self._data[head.value_at : after])
        value = attribute(vr, raw, scope.characters, scope.encoding.is_little)
        return after, f'"{head.tag:08X}":{value}'

    def _sequence(self, head: _Head, scope: _Scope) -> tuple[int, list[str]]:
        """Where a sequence ends, and its items. Within VR UN it is in implicit VR: PS3.5 6.2.2."""
        if scope.depth >= MAX_DEPTH:
            raise UnreadableInstance("its sequences are nested too deep")
        encoding = scope.encoding if head.vr == "SQ" else IMPLICIT
        has_end = head.length != UNDEFINED_LENGTH
        end = head.value_at + head.length if has_end else self._end
        if end > self._end:
            raise UnreadableInstance(_ENDS_EARLY)
        items: list[str] = []
        at = head.value_at
        while at < end or not has_end:
            item = self._head(at, encoding)
            if item.tag == SEQUENCE_END:
                return (end if has_end else item.value_at), items
            if item.tag != ITEM:
                raise UnreadableInstance("a sequence holds something else than items")
            place = f"{scope.place}{head.tag:08X}/{len(items)}/"
            at, text = self._item(item, self._inner(scope, encoding, place))
            items.append(text)
        return end, items

    def _item(self, item: _Head, scope: _Scope) -> tuple[int, str]:
        found: _Members = {}
        if item.length == UNDEFINED_LENGTH:
            at = self.read(item.value_at, self._end, scope, found)
        else:
            at = item.value_at + item.length
            if at > self._end:
                raise UnreadableInstance(_ENDS_EARLY)
            self.read(item.value_at, at, scope, found)
        return at, _object(found)

    def _after_pixels(self, head: _Head, scope: _Scope) -> int:
        """At the top, behind encapsulated ones nothing is looked for: they are not read."""
        if head.length != UNDEFINED_LENGTH:
            return head.value_at + head.length
        at = head.value_at
        while scope.depth:
            fragment = self._head(at, scope.encoding)
            if fragment.tag == SEQUENCE_END:
                return fragment.value_at
            if fragment.tag != ITEM or fragment.length == UNDEFINED_LENGTH:
                raise UnreadableInstance("encapsulated pixels hold something else than fragments")
            at = fragment.value_at + fragment.length
        return self._end

    # --- rules ------------------------------------------------------------------------------------

    def _inner(self, scope: _Scope, encoding: Encoding, place: str) -> _Scope:
        """For an item."""
        known = scope.known
        if encoding is not scope.encoding:
            known = self._writer.known(encoding, scope.characters, scope.is_signed)
        return replace(scope, encoding=encoding, place=place, known=known, depth=scope.depth + 1)

    def _ruled(self, head: _Head, scope: _Scope) -> _Scope:
        """For what follows Specific Character Set or Pixel Representation."""
        raw = bytes(self._data[head.value_at : head.value_at + min(head.length, KEPT_BYTES)])
        text, is_signed = scope.characters, scope.is_signed
        if head.tag == _CHARACTER_SET:
            text = characters(raw)
        else:
            is_signed = any(raw[:2])
        known = self._writer.known(scope.encoding, text, is_signed)
        return replace(scope, characters=text, is_signed=is_signed, known=known)


def _bulk(tag: int, vr: str, scope: _Scope) -> str:
    return f'"{tag:08X}":{bulk(vr, f"{scope.place}{tag:08X}")}'


def _pixel_vr(head: _Head) -> str:
    if head.vr:
        return head.vr
    return {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(head.tag, "OW")


def _representation(head: _Head, scope: _Scope) -> str:
    """The VR that is told, or listed where none is. PS3.5 6.2.2 and annex A.1."""
    if head.vr not in ("", "UN"):
        return head.vr
    listed = _listed(head.tag)
    if listed in VRS:
        return listed
    if listed == "US or SS":
        return "SS" if scope.is_signed else "US"
    return "OW"


@lru_cache(maxsize=8192)
def _listed(tag: int) -> str:
    """As PS3.6 lists it, which may be ``OB or OW``; private ones are unknown."""
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"
