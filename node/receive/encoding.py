"""How a data set is really encoded, judged by its first element (PS3.5 7.1), whatever is said.

Some gateways name the transfer syntax of the file that they had, and send another.
"""

from __future__ import annotations

import struct

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

HEAD_BYTES = 8
"""Of the first element: tag, then VR and length, or a length alone."""
PREAMBLE = 128
"""Of a file: PS3.10 7.1."""
FILE_META = 0x0002
LONG_VRS = (b"OB", b"UN")
"""In file meta information: 32 bits of length, behind two reserved bytes."""
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


class Contradiction(Exception):
    """The data set cannot be in the transfer syntax that was announced, nor in any other."""


def real_syntax(announced: str, beginning: bytes | memoryview) -> str:
    """The transfer syntax of a data set that begins so; what was announced where nothing else fits.

    Raises
    ------
    Contradiction
        A whole file; or implicit VR, announced as compressed: there is no such transfer syntax.
    """
    if announced == DeflatedExplicitVRLittleEndian:
        return announced
    if beginning[PREAMBLE : PREAMBLE + 4] == b"DICM" and not any(beginning[:HEAD_BYTES]):
        raise Contradiction("a file in the place of a data set")
    head = _head_of_data_set(beginning)
    if len(head) < HEAD_BYTES:
        return announced
    found = _native_syntax(head, announced)
    if announced in NATIVE:
        return found
    if found == ImplicitVRLittleEndian and UID(announced).is_compressed:
        raise Contradiction("implicit VR in a compressed syntax")
    return announced


def _head_of_data_set(beginning: bytes | memoryview) -> bytes:
    """Of the first element that is no file meta information: some leave that in front."""
    position = 0
    while position + 12 <= len(beginning):
        group, vr, length = struct.unpack_from("<H2x2sH", beginning, position)
        if group != FILE_META or not vr.isalpha():
            break
        if vr in LONG_VRS:
            (length,) = struct.unpack_from("<L", beginning, position + 8)
            position += 4
        position += HEAD_BYTES + length
    return bytes(beginning[position : position + HEAD_BYTES])


def _native_syntax(head: bytes, announced: str) -> str:
    little, big = struct.unpack("<H2x4x", head), struct.unpack(">H2x4x", head)
    is_little = little <= big  # a data set begins with a low group
    vr = head[4:6]
    if not (vr.isalpha() and vr.isupper()):
        return ImplicitVRLittleEndian if is_little else announced
    order = "<HH" if is_little else ">HH"
    group, element = struct.unpack_from(order, head)
    if announced == ImplicitVRLittleEndian and not _is_vr_of(vr, group << 16 | element):
        return announced  # a length that looks like a VR
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _is_vr_of(vr: bytes, tag: int) -> bool:
    if tag & 0xFFFF == 0:
        return vr == b"UL"  # a group length
    return dictionary_has_tag(tag) and dictionary_VR(tag).encode() == vr
