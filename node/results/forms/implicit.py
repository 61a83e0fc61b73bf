"""Bytes of elements in Implicit VR Little Endian (PS3.5 A.1), prepared by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from node.results import prepared


def element(keyword: str, value: str) -> bytes:
    """An element of text, padded to an even length."""
    return _element(keyword, (value + " " * (len(value) % 2)).encode("ascii"))


def sequence(keyword: str, items: Iterable[bytes]) -> bytes:
    """A sequence of items."""
    return _element(keyword, b"".join(map(prepared.item, items)))


def _element(keyword: str, value: bytes) -> bytes:
    tag = Tag(keyword)
    return struct.pack("<HHI", tag.group, tag.element, len(value)) + value


def encoded(dataset: Dataset) -> bytes:
    """The elements of a data set, as pydicom writes them."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, True
    write_dataset(file, dataset)
    return file.getvalue()
