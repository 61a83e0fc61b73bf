"""Answers as the bytes of a data set (PS3.5 7.1): most of them are text, which is ready to send."""

from __future__ import annotations

import struct

from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_dataset
from pydicom.uid import UID

from node.query.answer import Elements, data_set
from storage.header.elements import LONG_VRS

_LONG = frozenset(one.decode() for one in LONG_VRS)
MOST = 0xFFFE
"""Bytes of a value with a length of 16 bits: what is longer is cut."""


def encoded(elements: Elements, transfer_syntax: UID) -> bytes:
    """In ascending order of tags, in one of the native transfer syntaxes."""
    is_implicit = transfer_syntax.is_implicit_VR
    if not transfer_syntax.is_little_endian:
        return _by_library(elements)
    parts = []
    for tag in sorted(elements):
        element = elements[tag]
        if isinstance(element, RawDataElement):
            parts.append(_text(tag, element, is_implicit))
            continue
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, is_implicit
        write_data_element(buffer, element, "utf8")
        parts.append(bytes(buffer.getvalue()))
    return b"".join(parts)


def _by_library(elements: Elements) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = False, False
    write_dataset(buffer, data_set(dict(elements)), "utf8")
    return bytes(buffer.getvalue())


def _text(tag: int, element: RawDataElement, is_implicit: bool) -> bytes:
    value, vr = element.value or b"", element.VR or "UN"
    group, number = tag >> 16, tag & 0xFFFF
    if is_implicit:
        return struct.pack("<HHL", group, number, len(value)) + value
    if vr in _LONG:
        return struct.pack("<HH2sHL", group, number, vr.encode(), 0, len(value)) + value
    cut = value[:MOST]
    return struct.pack("<HH2sH", group, number, vr.encode(), len(cut)) + cut
