"""Data sets of which the last elements are prepared bytes, and how bytes of elements are made.

A multi-frame object of thousands of frames is a few hundred attributes, and the same dozen a frame
over and over. What is the same is made by highdicom and written by pydicom once; the frames are
written around it, in Explicit VR Little Endian (PS3.5 A.2).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import BinaryIO

import pydicom
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_dataset
from pydicom.tag import BaseTag

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""Value representations whose length has four bytes (PS3.5 7.1.2)."""
UNDEFINED = 0xFFFFFFFF
"""The length of what ends with a delimiter."""
_ITEM = (0xFFFE, 0xE000)
_PADDING = {"UI": b"\0", "OB": b"\0", "OW": b"\0"}


class ReadyElement(RawDataElement):
    """Made here, of ASCII: it is written as it is, in whatever character set the object is."""


class Prepared(Dataset):
    """A data set whose last elements are bytes already, made while it is written.

    ``tail`` gives them, in the order of their tags, all above those of the data set.
    """

    tail: Callable[[], Iterable[bytes]]


def write(file: BinaryIO, dataset: Dataset) -> None:
    """Write an object with its file meta, and what is prepared of it, a piece at a time."""
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    if isinstance(dataset, Prepared):
        file.writelines(dataset.tail())


def prepared(dataset: Dataset, last: BaseTag, tail: Callable[[], Iterable[bytes]]) -> Prepared:
    """The data set without elements from ``last`` on, in whose place stands the tail."""
    kept: dict[BaseTag, DataElement | RawDataElement] = {
        tag: one if isinstance(one := dataset.get_item(tag), ReadyElement) else dataset[tag]
        for tag in dataset.keys()  # noqa: SIM118 - elements stay as they are
        if tag < last
    }
    correct_ambiguous_vr(Dataset({tag: one for tag, one in kept.items() if not one.is_raw}), True)
    made = Prepared(kept)
    named = made.get("SpecificCharacterSet")
    texts = convert_encodings(named) if named else default_encoding
    made.set_original_encoding(False, True, texts)  # else sequences are parsed again
    made.file_meta = dataset.file_meta
    made.tail = tail
    return made


def keep_ready(dataset: Dataset) -> None:
    """Have pydicom write the ready elements of a data set as they are, not parsed again.

    Each data set on the way to them is to be told, and none may have a value representation that
    depends on other elements.
    """
    named = dataset.get("SpecificCharacterSet")
    for tag in dataset.keys():  # noqa: SIM118 - elements stay as they are
        if not isinstance(dataset.get_item(tag), ReadyElement):
            dataset[tag]  # what is raw of other data sets is read, and written anew
    texts = convert_encodings(named) if named else default_encoding
    dataset.set_original_encoding(False, True, texts)


# --- elements -------------------------------------------------------------------------------------


def element(tag: BaseTag, vr: str, value: bytes) -> bytes:
    """An element with its value, padded to an even length."""
    if len(value) % 2:
        value += _PADDING.get(vr, b" ")
    return header(tag, vr, len(value)) + value


def header(tag: BaseTag, vr: str, length: int) -> bytes:
    """What stands before a value."""
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag.group, tag.element, vr.encode(), 0, length)
    return struct.pack("<HH2sH", tag.group, tag.element, vr.encode(), length)


def item(content: bytes) -> bytes:
    """An item of a sequence, or of encapsulated pixels."""
    return struct.pack("<HHI", *_ITEM, len(content)) + content


def sequence(tag: BaseTag, items: Iterable[bytes]) -> bytes:
    """A sequence of items."""
    content = b"".join(items)
    return header(tag, "SQ", len(content)) + content


def raw_sequence(tag: BaseTag, items: Iterable[bytes]) -> ReadyElement:
    """A sequence of ASCII that pydicom writes as it is."""
    content = b"".join(items)
    return ReadyElement(tag, "SQ", len(content), content, 0, False, True)


def encoded(dataset: Dataset) -> bytes:
    """The elements of a data set, as pydicom writes them."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, dataset)
    return file.getvalue()


# --- patterns -------------------------------------------------------------------------------------

Values = Mapping[str, bytes]
"""By keyword; what has none is left out."""


class Pattern:
    """The bytes of an item, some of whose values differ from frame to frame.

    slots: keywords of the elements, at any depth, that are written with the values given.
    """

    def __init__(self, dataset: Dataset, slots: frozenset[str]) -> None:
        self.slots = frozenset(_keywords(dataset)) & slots
        self._parts = [_compiled(one, slots) for one in dataset]

    def fill(self, values: Values) -> bytes:
        """The bytes with these values in the slots."""
        return b"".join([part if isinstance(part, bytes) else part(values) for part in self._parts])


def _keywords(dataset: Dataset) -> Iterator[str]:
    for one in dataset:
        yield one.keyword
        if one.VR == "SQ":
            for inner in one.value:
                yield from _keywords(inner)


def _compiled(one: DataElement, slots: frozenset[str]) -> bytes | Callable[[Values], bytes]:
    """The bytes of an element, or who makes them from values."""
    if one.keyword in slots:
        return partial(_filled, one.tag, str(one.VR), one.keyword)
    if one.VR == "SQ":
        patterns = [Pattern(inner, slots) for inner in one.value]
        if any(pattern.slots for pattern in patterns):
            return partial(_nested, one.tag, patterns)
    return encoded(Dataset({one.tag: one}))


def _filled(tag: BaseTag, vr: str, keyword: str, values: Values) -> bytes:
    value = values.get(keyword)
    return b"" if value is None else element(tag, vr, value)


def _nested(tag: BaseTag, patterns: Iterable[Pattern], values: Values) -> bytes:
    return sequence(tag, [item(pattern.fill(values)) for pattern in patterns])
