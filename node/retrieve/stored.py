"""Reads frames from an open file as they are stored, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from node.retrieve.frames import NativeFrames, Span, StoredFrames, UnreadablePixels

PIECE = 1 << 20


def frame_pieces(file: BinaryIO, frames: StoredFrames, number: int) -> Iterator[bytes]:
    """The bytes of a frame, counted from 1: the pixels alone, or the codestream.

    Raises
    ------
    NoSuchFrame, UnreadablePixels, OSError
    """
    spans = frames.spans(file, number)
    if isinstance(frames, NativeFrames) and frames.form.frame_bits % 8:
        return iter((_aligned(file, frames, number, spans[0]),))
    return (piece for span in spans for piece in span_pieces(file, span))


def span_pieces(file: BinaryIO, span: Span) -> Iterator[bytes]:
    """Raises UnreadablePixels where the file is shorter, and OSError."""
    file.seek(span.offset)
    left = span.length
    while left:
        piece = file.read(min(left, PIECE))
        if not piece:
            raise UnreadablePixels("the file ends before the value does")
        left -= len(piece)
        yield piece


def _aligned(file: BinaryIO, frames: NativeFrames, number: int, span: Span) -> bytes:
    """A frame of single bits from its first bit on: in the file it may begin within a byte."""
    packed = np.frombuffer(b"".join(span_pieces(file, span)), np.uint8)
    bits = np.unpackbits(packed, bitorder="little")
    first = frames.shift(number)
    return np.packbits(bits[first : first + frames.form.frame_bits], bitorder="little").tobytes()
