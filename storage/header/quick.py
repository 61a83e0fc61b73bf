"""Reads the indexed attributes straight from a data set's first bytes, where that is plain to do.

``quick_extract`` gives what ``storage.header.attributes.extract`` gives, or None: for sequences of
undefined length, enhanced multi-frame, other character sets than ASCII in use, values that are
malformed, and whatever else needs a real parser. Then pydicom has to read the data set.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword

from storage.header.attributes import INSTANCE, SERIES, STUDY
from storage.header.elements import LONG_VRS, SHORT_VRS
from storage.records import Header, InstanceAttributes

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_OTHER_EXPLICIT = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.\d+|1\.2\.840\.10008\.1\.2\.5")
"""Compressed pixels: the data set around them is Explicit VR Little Endian. PS3.5 A.4."""

_UNDEFINED = 0xFFFFFFFF
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_NEEDS_PARSER = frozenset((0x00180012, 0x52009229, 0x52009230))
"""Contrast agents and functional groups: attributes are taken from within."""
_STOPS = _PIXELS | _NEEDS_PARSER
MIN_TAG = 0x00080000
"""Lower ones are of commands and file meta information: not in a data set."""

_DS = re.compile(rb" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})? *")
_IS = re.compile(rb" *[+-]?\d{1,9} *")
_UID = re.compile(rb"[0-9]+(\.[0-9]+)*")
_TEXT = re.compile(rb"[\x20-\x7e]*\x00?")
_PIXEL_HEAD = {True: 12, False: 8}
"""Bytes from the pixels' tag to their value, with explicit VR and without. PS3.5 7.1."""
_MAX_VALUE = 1024
_KEPT_LAYOUTS = 6
_KEPT_SERIES = 16
"""Of a layout."""
_MAX_ELEMENTS = 1024
"""Of a header whose layout is kept."""

_explicit_head = struct.Struct("<HH2sH").unpack_from
_implicit_head = struct.Struct("<HHL").unpack_from
_long_length = struct.Struct("<L").unpack_from


class _NotPlain(Exception):
    """A real parser is needed."""


def quick_extract(data: bytes | memoryview, transfer_syntax_uid: str) -> InstanceAttributes | None:
    """The attributes of a data set that begins with ``data``, or None: use ``extract``.

    ``data`` may end anywhere behind the beginning of the pixels.
    """
    is_explicit = transfer_syntax_uid != IMPLICIT_LITTLE
    if (
        is_explicit
        and transfer_syntax_uid != EXPLICIT_LITTLE
        and not _OTHER_EXPLICIT.fullmatch(transfer_syntax_uid)
    ):
        return None
    try:
        layout, held = _layout(data, is_explicit)
        return layout.attributes(data, transfer_syntax_uid, held)
    except (_NotPlain, struct.error):
        return None


_Wanted = list[tuple[int, int, int]]
"""(tag, start, end of the value)."""


class _Shared(NamedTuple):
    """What the instances of a series have in common."""

    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    study: Header
    series: Header


class _Layout:
    """Where the elements of a header lie: all of them, and those that are wanted.

    The images of a series mostly share theirs. Then one comparison of all heads (tag, VR, length)
    takes the place of a walk from element to element, and what belongs to the series is not read
    again.
    """

    __slots__ = ("_end", "_heads", "_instance", "_known", "_places", "_shared", "_uid", "explicit")

    def __init__(
        self,
        data: bytes | memoryview,
        is_explicit: bool,
        heads: list[tuple[int, int]],
        wanted: _Wanted,
    ) -> None:
        """heads: (start, end) in bytes of ``data``."""
        self.explicit = is_explicit
        self._uid = next(((start, end) for tag, start, end in wanted if tag == _UID_TAG), (0, 0))
        self._instance = [
            (_NAMES[tag], start, end) for tag, start, end in wanted if tag in _OF_INSTANCE
        ]
        self._shared = [one for one in wanted if one[0] in _OF_SERIES]
        self._end = heads[-1][0] + _PIXEL_HEAD[is_explicit]
        parts = heads + [(start, end) for _, start, end in self._shared]
        self._places = np.concatenate([np.arange(*part) for part in parts])
        self._heads = self._taken(data)[: sum(end - start for start, end in heads)]
        self._known: dict[bytes, _Shared] = {}

    def _taken(self, data: bytes | memoryview) -> bytes:
        taken: bytes = np.frombuffer(data, np.uint8, self._end)[self._places].tobytes()
        return taken

    def fits(self, data: bytes | memoryview) -> bytes | None:
        """What the series' elements hold in ``data``; None where its header lies otherwise."""
        if len(data) < self._end:
            return None
        taken = self._taken(data)
        return taken[len(self._heads) :] if taken.startswith(self._heads) else None

    def attributes(
        self, data: bytes | memoryview, transfer_syntax_uid: str, held: bytes
    ) -> InstanceAttributes:
        """held: as ``fits`` gave it. Raises _NotPlain."""
        shared = self._known.get(held)
        if shared is None:
            if len(self._known) >= _KEPT_SERIES:
                self._known = {}
            shared = self._known[held] = self._read_shared(data)
        start, end = self._uid
        instance: dict[str, Any] = {}
        for keyword, first, last in self._instance:
            plain = _converted(keyword, bytes(data[first:last]))
            if plain != "":
                instance[keyword] = plain
        return InstanceAttributes(
            _uid(bytes(data[start:end])),
            shared.sop_class_uid,
            transfer_syntax_uid,
            shared.study_instance_uid,
            shared.series_instance_uid,
            shared.study,
            shared.series,
            instance,
        )

    def _read_shared(self, data: bytes | memoryview) -> _Shared:
        raw = {_NAMES[tag]: bytes(data[start:end]) for tag, start, end in self._shared}
        return _Shared(
            _uid(raw.get("SOPClassUID", b"")),
            _uid(raw.get("StudyInstanceUID", b"")),
            _uid(raw.get("SeriesInstanceUID", b"")),
            _values(STUDY, raw),
            _values(SERIES, raw),
        )


_layouts: tuple[_Layout, ...] = ()
"""The newest ones; replaced as a whole, for threads that read it."""


def _known_layout(data: bytes | memoryview, is_explicit: bool) -> tuple[_Layout, bytes] | None:
    for known in _layouts:
        if known.explicit is is_explicit:
            held = known.fits(data)
            if held is not None:
                return known, held
    return None


def _layout(data: bytes | memoryview, is_explicit: bool) -> tuple[_Layout, bytes]:
    global _layouts
    known = _known_layout(data, is_explicit)
    if known is not None:
        return known
    heads, wanted = _explicit(data) if is_explicit else _implicit(data)
    made = _Layout(data, is_explicit, heads, wanted)
    if len(heads) <= _MAX_ELEMENTS:
        _layouts = (made, *_layouts[: _KEPT_LAYOUTS - 1])
    return made, made.fits(data) or b""


_Walked = tuple[list[tuple[int, int]], _Wanted]


def _explicit(data: bytes | memoryview) -> _Walked:
    heads: list[tuple[int, int]] = []
    wanted: list[tuple[int, int, int]] = []
    position, last, end = 0, MIN_TAG - 1, len(data)
    while position < end:
        start = position
        group, element, vr, length = _explicit_head(data, position)
        tag = group << 16 | element
        position += 8
        if tag in _STOPS:
            if tag in _PIXELS and start + _PIXEL_HEAD[True] <= end:
                return [*heads, (start, start + 4)], wanted
            raise _NotPlain
        if vr in LONG_VRS:
            (length,) = _long_length(data, position)
            position += 4
        elif vr not in SHORT_VRS:
            raise _NotPlain
        if tag <= last or length == _UNDEFINED:
            raise _NotPlain
        heads.append((start, position))
        asked = _WANTED.get(tag)
        if asked is not None:
            if vr != asked or length > _MAX_VALUE:
                raise _NotPlain
            wanted.append((tag, position, position + length))
        last = tag
        position += length
    raise _NotPlain  # no pixels, or beyond what is in memory


def _implicit(data: bytes | memoryview) -> _Walked:
    heads: list[tuple[int, int]] = []
    wanted: list[tuple[int, int, int]] = []
    position, last, end = 0, MIN_TAG - 1, len(data)
    while position < end:
        start = position
        group, element, length = _implicit_head(data, position)
        tag = group << 16 | element
        position += 8
        if tag in _STOPS:
            if tag in _PIXELS:
                return [*heads, (start, start + 4)], wanted
            raise _NotPlain
        if tag <= last or length == _UNDEFINED:
            raise _NotPlain
        heads.append((start, position))
        if tag in _WANTED:
            if length > _MAX_VALUE:
                raise _NotPlain
            wanted.append((tag, position, position + length))
        last = tag
        position += length
    raise _NotPlain


def _uid(value: bytes) -> str:
    bare = value.strip(b"\0 ")
    if len(bare) > 64 or not _UID.fullmatch(bare):
        raise _NotPlain
    return bare.decode("ascii")


def _values(keywords: tuple[str, ...], raw: dict[str, bytes]) -> Header:
    found = {keyword: _converted(keyword, raw.get(keyword, b"")) for keyword in keywords}
    return {keyword: plain for keyword, plain in found.items() if plain != ""}


@lru_cache(maxsize=4096)
def _converted(keyword: str, value: bytes) -> Any:
    """The plain value; "" for none."""
    return _CONVERT[keyword](value) if value else ""


def _text(value: bytes) -> Any:
    if not _TEXT.fullmatch(value):
        raise _NotPlain
    text = value.decode("ascii").rstrip("\0")
    if "\\" in text:
        return [part.strip() for part in text.rstrip(" ").split("\\")]
    return text.strip()


def _name(value: bytes) -> Any:
    if b"=" in value or b"\\" in value:
        raise _NotPlain
    return _text(value)


def _numbers(value: bytes, pattern: re.Pattern[bytes], kind: Callable[[bytes], Any]) -> Any:
    parts = value.rstrip(b"\0").split(b"\\")
    if not all(pattern.fullmatch(part) for part in parts):
        raise _NotPlain
    numbers = [kind(part) for part in parts]
    return numbers if len(numbers) > 1 else numbers[0]


def _decimal(value: bytes) -> Any:
    return _numbers(value, _DS, float)


def _whole(value: bytes) -> Any:
    return _numbers(value, _IS, int)


def _unsigned(value: bytes) -> Any:
    if len(value) != 2:
        raise _NotPlain
    return int.from_bytes(value, "little")


def _not_plain(value: bytes) -> Any:
    raise _NotPlain


_BY_VR = {"DS": _decimal, "IS": _whole, "US": _unsigned, "PN": _name} | dict.fromkeys(
    ("AE", "AS", "CS", "DA", "LO", "SH", "TM", "UI"), _text
)
_KEYWORDS = dict.fromkeys((*STUDY, *SERIES, *INSTANCE))
_TAGS = {keyword: int(tag_for_keyword(keyword) or 0) for keyword in _KEYWORDS}
_CONVERT = {keyword: _BY_VR.get(dictionary_VR(keyword), _not_plain) for keyword in _KEYWORDS}
_WANTED = {_TAGS[keyword]: dictionary_VR(keyword).encode() for keyword in _KEYWORDS}
_NAMES = {tag: keyword for keyword, tag in _TAGS.items()}
_UID_TAG = _TAGS["SOPInstanceUID"]
_OF_INSTANCE = frozenset(_TAGS[one] for one in INSTANCE)
_OF_SERIES = frozenset(_TAGS[one] for one in ("SOPClassUID", *STUDY, *SERIES))
