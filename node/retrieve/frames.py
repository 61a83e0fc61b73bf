"""Finds where each frame's bytes lie in a stored file (PS3.5 8, A.4). Decodes nothing.

A file is walked through by the lengths of its elements; pixels are not read to find them.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, NamedTuple

from pydicom.uid import UID, ImplicitVRLittleEndian

from node.errors import NodeError
from storage.errors import UnreadableInstance
from storage.files.blobs import local_file
from storage.files.port import Readable
from storage.files.seal import PREAMBLE, dataset_offset
from storage.header import values
from storage.header.elements import (
    ITEM,
    SEQUENCE_END,
    UNDEFINED_LENGTH,
    Element,
    ElementReader,
    NotPlain,
)
from storage.header.reading import read_header


class NoPixels(NodeError):
    """The instance holds no pixel data."""


class NoSuchFrame(NodeError):
    """The instance has fewer frames; the message says how many."""


class UnreadablePixels(NodeError):
    """The pixel data are cut short, or do not hold what the header says."""


class Span(NamedTuple):
    """Bytes of a file."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PixelForm:
    """What the header says of the pixels (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    photometric: str
    frames: int

    @property
    def frame_bits(self) -> int:
        """Of one uncompressed frame. With 4:2:2 two pixels share their colours (C.7.6.3.1.2)."""
        samples = 2 if self.photometric.endswith("_422") else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Frames one behind the other, without anything between them (PS3.5 8.1.1)."""

    form: PixelForm
    element: int
    """Tag of the element that holds them."""
    value: Span

    def spans(self, file: BinaryIO, number: int) -> tuple[Span, ...]:
        """The whole bytes in which a frame lies, counted from 1.

        Raises
        ------
        NoSuchFrame, UnreadablePixels
        """
        check_number(self.form, number)
        bits = self.form.frame_bits
        first, last = (number - 1) * bits // 8, -(-number * bits // 8)
        if last > self.value.length:
            raise UnreadablePixels("the pixel data end before this frame does")
        return (Span(self.value.offset + first, last - first),)

    def shift(self, number: int) -> int:
        """At which bit of the first byte a frame begins: frames of single bits follow closely."""
        return (number - 1) * self.form.frame_bits % 8


@dataclass(frozen=True, slots=True)
class EncapsulatedFrames:
    """Frames as items of a sequence, each of one or several fragments (PS3.5 A.4)."""

    form: PixelForm
    starts: Sequence[int]
    """Where the first item of each frame lies."""
    end: int
    """Behind the last item."""

    def spans(self, file: BinaryIO, number: int) -> tuple[Span, ...]:
        """The fragments of a frame, counted from 1.

        Raises
        ------
        NoSuchFrame, UnreadablePixels
        """
        check_number(self.form, number)
        at = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else self.end
        found = []
        while at < end:
            file.seek(at)
            length = _fragment_length(file.read(8))
            found.append(Span(at + 8, length))
            at += 8 + length
        return tuple(found)


StoredFrames = NativeFrames | EncapsulatedFrames


def stored_frames(source: Readable, transfer_syntax_uid: str) -> StoredFrames:
    """Where the frames of an instance lie.

    Raises
    ------
    NoPixels, UnreadablePixels
    UnreadableInstance
        The header cannot be read.
    FileNotFoundError, OSError
    """
    syntax = UID(transfer_syntax_uid)
    with (
        local_file(source) as path,
        path.open("rb") as file,
        mmap(file.fileno(), 0, access=ACCESS_READ) as data,
    ):
        found = _found(source, data, syntax)
        is_known = syntax.is_transfer_syntax and not syntax.is_private
        is_encapsulated = syntax.is_encapsulated if is_known else not found.is_native
        return _encapsulated(data, found) if is_encapsulated else _native(data, found)


def frames_of_data_set(file: BinaryIO) -> NativeFrames:
    """Where the frames lie in a file that is a bare data set, Explicit VR Little Endian.

    Raises
    ------
    NoPixels, UnreadablePixels
    """
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        try:
            return _native(data, _walked(data, 0, is_explicit=True))
        except (NotPlain, struct.error, UnreadableInstance, ValueError) as error:
            raise UnreadablePixels("the description of its pixels cannot be read") from error


def check_number(form: PixelForm, number: int) -> None:
    """Raises NoSuchFrame."""
    if not 1 <= number <= form.frames:
        raise NoSuchFrame(f"there is no frame {number}: the instance has {form.frames}")


# --- the header -----------------------------------------------------------------------------------

_SAMPLES, _PHOTOMETRIC, _FRAMES = 0x00280002, 0x00280004, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED = 0x00280010, 0x00280011, 0x00280100
_NUMBERS = frozenset((_SAMPLES, _ROWS, _COLUMNS, _ALLOCATED))
_WANTED = _NUMBERS | {_PHOTOMETRIC, _FRAMES}
_OFFSETS = 0x7FE00001
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_ONE_SAMPLE, _ONE_BYTE = 1, 8


class _Found(NamedTuple):
    form: PixelForm
    pixels: Element
    offsets: Span | None

    @property
    def is_native(self) -> bool:
        return self.pixels.length != UNDEFINED_LENGTH


def _found(source: Readable, data: mmap, syntax: UID) -> _Found:
    try:
        start = dataset_offset(data[: PREAMBLE + 16])
        return _walked(data, start, syntax != ImplicitVRLittleEndian)
    except (NotPlain, struct.error, UnreadableInstance, UnicodeDecodeError, ValueError):
        return _parsed(source, data)


def _walked(data: mmap, start: int, is_explicit: bool) -> _Found:
    reader, at = ElementReader(data), start
    raw: dict[int, bytes] = {}
    offsets: Span | None = None
    while at < reader.end:
        element = reader.head(at, is_explicit)
        if element.tag in _PIXELS:
            return _Found(_form(raw), element, offsets)
        if element.tag in _WANTED:
            raw[element.tag] = data[element.value_at : element.value_at + element.length]
        elif element.tag == _OFFSETS:
            offsets = Span(element.value_at, element.length)
        at = reader.after(element, is_explicit)
    raise NoPixels("the instance holds no pixel data")


def _form(raw: dict[int, bytes]) -> PixelForm:
    number = {tag: int.from_bytes(raw.get(tag, b""), "little") for tag in _NUMBERS}
    frames = raw.get(_FRAMES, b"").strip(b"\0 ")
    return _checked(
        PixelForm(
            rows=number[_ROWS],
            columns=number[_COLUMNS],
            samples=number[_SAMPLES] or _ONE_SAMPLE,
            bits_allocated=number[_ALLOCATED] or _ONE_BYTE,
            photometric=raw.get(_PHOTOMETRIC, b"").strip(b"\0 ").decode("ascii"),
            frames=int(frames) if frames else 1,
        )
    )


def _checked(form: PixelForm) -> PixelForm:
    if form.frames < 1:
        raise ValueError("NumberOfFrames is less than 1")
    return form


def _parsed(source: Readable, data: mmap) -> _Found:
    """The same by a parser: of headers that are not plain."""
    dataset, pixels_at = read_header(source)
    whole = {
        keyword: values.known(values.whole(dataset, keyword)) or default
        for keyword, default in (
            *(("Rows", 0), ("Columns", 0), ("NumberOfFrames", 1)),
            *(("SamplesPerPixel", _ONE_SAMPLE), ("BitsAllocated", _ONE_BYTE)),
        )
    }
    form = PixelForm(
        rows=whole["Rows"],
        columns=whole["Columns"],
        samples=whole["SamplesPerPixel"],
        bits_allocated=whole["BitsAllocated"],
        photometric=values.text(dataset, "PhotometricInterpretation"),
        frames=max(1, whole["NumberOfFrames"]),
    )
    is_implicit, _ = dataset.original_encoding
    try:
        pixels = ElementReader(data).head(pixels_at, not is_implicit)
    except (NotPlain, struct.error) as error:
        raise NoPixels("the instance holds no pixel data") from error
    if not pixels_at or pixels.tag not in _PIXELS:
        raise NoPixels("the instance holds no pixel data")
    return _Found(form, pixels, None)


# --- the pixels -----------------------------------------------------------------------------------

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f"
"""How a codestream begins: Start of Image, Start of Codestream."""


def _native(data: mmap, found: _Found) -> NativeFrames:
    if not found.is_native:
        raise UnreadablePixels("compressed pixels under an uncompressed transfer syntax")
    length = min(found.pixels.length, len(data) - found.pixels.value_at)
    return NativeFrames(found.form, found.pixels.tag, Span(found.pixels.value_at, length))


def _encapsulated(data: mmap, found: _Found) -> EncapsulatedFrames:
    if found.is_native:
        raise UnreadablePixels("uncompressed pixels under a compressed transfer syntax")
    table_at = found.pixels.value_at
    first = table_at + 8 + _fragment_length(data[table_at : table_at + 8])
    basic = Span(table_at + 8, first - table_at - 8)
    for told in (_told(data, found.offsets, "Q"), _told(data, basic, "I")):
        starts: Sequence[int] = [first + one for one in told]
        if len(starts) == found.form.frames and _are_items(data, starts):
            return EncapsulatedFrames(found.form, array("Q", starts), _end(data, starts[-1]))
    fragments, end = _fragments(data, first)
    starts = _first_fragments(data, fragments, found.form.frames)
    return EncapsulatedFrames(found.form, array("Q", starts), end)


def _told(data: mmap, span: Span | None, kind: str) -> Sequence[int]:
    """What an offset table tells (PS3.5 A.4, PS3.3 C.7.6.3.1.8): from the first fragment on."""
    if span is None:
        return ()
    size = struct.calcsize(f"<{kind}")
    count = min(span.length, len(data) - span.offset) // size
    return struct.unpack_from(f"<{count}{kind}", data, span.offset)


def _are_items(data: mmap, starts: Sequence[int]) -> bool:
    rising = all(one < other for one, other in pairwise(starts))
    return rising and all(data[one : one + 4] == _ITEM_TAG for one in starts)


_ITEM_TAG = struct.pack("<HH", ITEM >> 16, ITEM & 0xFFFF)
_END_TAG = struct.pack("<HH", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF)


def _fragment_length(head: bytes) -> int:
    if len(head) < 8 or head[:4] != _ITEM_TAG:
        raise UnreadablePixels("the compressed pixels are damaged or cut short")
    return int.from_bytes(head[4:8], "little")


def _end(data: mmap, at: int) -> int:
    """Behind the last fragment."""
    return _fragments(data, at)[1]


def _fragments(data: mmap, at: int) -> tuple[list[int], int]:
    found = []
    while data[at : at + 4] not in (_END_TAG, b""):
        length = _fragment_length(data[at : at + 8])
        if at + 8 + length > len(data):
            raise UnreadablePixels("the compressed pixels are damaged or cut short")
        found.append(at)
        at += 8 + length
    return found, at


def _first_fragments(data: mmap, fragments: Sequence[int], frames: int) -> Sequence[int]:
    """Where each frame begins, of a file whose tables do not tell."""
    if frames == 1 and fragments:
        return fragments[:1]
    if len(fragments) != frames:
        begins = (_JPEG, _JPEG_2000)
        fragments = [one for one in fragments if data[one + 8 : one + 10] in begins]
    if len(fragments) != frames:
        raise UnreadablePixels(f"{len(fragments)} compressed frames where {frames} are announced")
    return fragments
