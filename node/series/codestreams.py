"""Reads of a compressed frame what no decoder tells: how its samples are made, and whether it ends.

Knows the markers of JPEG and JPEG-LS (ITU-T T.81 B.1, T.87 C.1) and of JPEG 2000 (T.800 A.5.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.pixels.utils import get_j2k_parameters

_START_OF_IMAGE = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_JPEG_LS_FRAME = 0xF7
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {_JPEG_LS_FRAME}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_END = re.compile(rb"\xff+\xd9")


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a stream. JPEG and JPEG-LS know no sign: theirs are the bits of the pixels."""

    bits: int
    signed: bool = False


def sample_of(stream: bytes) -> Sample | None:
    """How the samples of a stream are made; None where it does not say, as RLE does not."""
    if not stream.startswith(_START_OF_IMAGE):
        found = get_j2k_parameters(stream)
        return Sample(found["precision"], found["is_signed"]) if "precision" in found else None
    marker, place = _segment(stream, len(_START_OF_IMAGE))
    while marker not in _FRAMES:
        if marker is None or marker == _START_OF_SCAN:
            return None
        marker, place = _segment(stream, place + _length(stream, place))
    return Sample(stream[place + 2]) if place + 2 < len(stream) else None


def jpeg_has_end(stream: bytes) -> bool:
    """Whether the first scan of a JPEG or JPEG-LS stream is followed by End of Image, whatever
    comes then.

    Within a scan every FF is followed by 00 or by a marker (T.81 F.1.2.3), in JPEG-LS by a byte
    below 80 (T.87 A.1); before it, segments may hold an End of Image of their own, of a thumbnail.
    """
    marker, place = _segment(stream, len(_START_OF_IMAGE))
    while marker != _START_OF_SCAN:
        if marker is None:
            return False
        marker, place = _segment(stream, place + _length(stream, place))
    return _JPEG_END.search(stream, place + _length(stream, place)) is not None


def _segment(stream: bytes, place: int) -> tuple[int | None, int]:
    """The marker at a place, and where its segment begins; None where there is none."""
    while stream[place : place + 1] == b"\xff":
        place += 1
        if stream[place : place + 1] == b"\xff":
            continue  # fill bytes
        if place >= len(stream):
            break
        marker = stream[place]
        place += 1
        if marker not in _WITHOUT_LENGTH:
            return marker, place
    return None, place


def _length(stream: bytes, place: int) -> int:
    return max(2, int.from_bytes(stream[place : place + 2], "big"))
