"""Preamble, prefix and file meta information (PS3.10 7.1) in front of a data set as it came."""

from __future__ import annotations

import struct

from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.receive.offer import Offer


def file_header(offer: Offer) -> bytes:
    """What a file begins with, up to its data set.

    Written by hand because what a peer calls a UID is kept even where it is none: an instance
    that goes to quarantine must be written first.
    """
    elements = [
        struct.pack("<HH2sHI2s", 2, 0x0001, b"OB", 0, 2, b"\x00\x01"),
        _element(0x0002, b"UI", offer.sop_class_uid),
        _element(0x0003, b"UI", offer.sop_instance_uid),
        _element(0x0010, b"UI", offer.transfer_syntax_uid),
        _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if offer.calling_ae:
        elements.append(_element(0x0016, b"AE", offer.calling_ae))
    body = b"".join(elements)
    group_length = struct.pack("<HH2sHI", 2, 0x0000, b"UL", 4, len(body))
    return b"\x00" * 128 + b"DICM" + group_length + body


def _element(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
