"""Preamble, prefix and file meta information (PS3.10 7.1) in front of a data set as it came."""

from __future__ import annotations

import struct
from functools import lru_cache

from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.receive.offer import Offer


def file_header(offer: Offer) -> bytes:
    """What a file begins with, up to its data set.

    Written by hand because what a peer calls a UID is kept even where it is none: an instance
    that goes to quarantine must be written first.
    """
    before, behind = _around(offer.sop_class_uid, offer.transfer_syntax_uid, offer.calling_ae)
    body = before + _element(0x0003, b"UI", offer.sop_instance_uid) + behind
    group_length = struct.pack("<HH2sHI", 2, 0x0000, b"UL", 4, len(body))
    return b"\x00" * 128 + b"DICM" + group_length + body


@lru_cache(maxsize=256)
def _around(sop_class_uid: str, transfer_syntax_uid: str, calling_ae: str) -> tuple[bytes, bytes]:
    """What stands before and behind the SOP Instance UID: the same for a series."""
    before = struct.pack("<HH2sHI2s", 2, 0x0001, b"OB", 0, 2, b"\x00\x01")
    before += _element(0x0002, b"UI", sop_class_uid)
    behind = _element(0x0010, b"UI", transfer_syntax_uid)
    behind += _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID)
    behind += _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
    if calling_ae:
        behind += _element(0x0016, b"AE", calling_ae)
    return before, behind


def _element(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
