"""Encoders and decoders of single grey frames: the only home of the codec libraries here.

A frame is ``(row, column)`` of 8 or 16 bits. JPEG-LS has no sign: signed pixels are encoded by
their bits, as PS3.5 8.2.3 allows for lossless coding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import DTypeLike, NDArray
from openjpeg import utils as openjpeg

Frame = NDArray[Any]
_ONE_AT_A_TIME = Lock()
"""pylibjpeg-openjpeg calls back into Python as it writes; it is not known to be thread-safe."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a lossy encoder is asked for: see ``CompressionParameters``."""

    ratio: float
    quality: int
    largest_error: int


@dataclass(frozen=True, slots=True)
class Codec:
    encode: Callable[[Frame, Options], bytes]
    decode: Callable[[bytes, DTypeLike], Frame]


def _unsigned(frame: Frame) -> Frame:
    return frame.view(f"u{frame.dtype.itemsize}")


def _even(stream: bytes) -> bytes:
    """A fragment has an even length (PS3.5 A.4)."""
    return stream + b"\0" if len(stream) % 2 else stream


def _jpeg_ls(frame: Frame, options: Options) -> bytes:
    return _even(bytes(imagecodecs.jpegls_encode(_unsigned(frame), level=0)))


def _jpeg_ls_near(frame: Frame, options: Options) -> bytes:
    return _even(bytes(imagecodecs.jpegls_encode(_unsigned(frame), level=options.largest_error)))


def _jpeg_ls_decode(stream: bytes, dtype: DTypeLike) -> Frame:
    decoded: Frame = imagecodecs.jpegls_decode(stream)
    return decoded.view(dtype)


def _jpeg_2000(frame: Frame, options: Options) -> bytes:
    resolutions = min(6, min(frame.shape).bit_length())
    return _even(
        bytes(
            imagecodecs.jpeg2k_encode(
                frame, level=0, codecformat="j2k", reversible=True, resolutions=resolutions
            )
        )
    )


def _jpeg_2000_lossy(frame: Frame, options: Options) -> bytes:
    with _ONE_AT_A_TIME:
        stream = openjpeg.encode_array(
            frame,
            bits_stored=8 * frame.dtype.itemsize,
            photometric_interpretation=2,
            use_mct=False,
            codec_format=0,
            compression_ratios=[options.ratio],
        )
    return _even(stream)


def _jpeg_2000_decode(stream: bytes, dtype: DTypeLike) -> Frame:
    decoded: Frame = imagecodecs.jpeg2k_decode(stream)
    return decoded.astype(dtype)


@cache
def _openjph_ready() -> None:
    """OpenJPH fills its tables as it is first used, and two threads may then both do so: streams
    came out damaged, and the decoder's error does not reach Python.
    """
    with _ONE_AT_A_TIME:
        imagecodecs.htj2k_decode(
            imagecodecs.htj2k_encode(np.zeros((1, 1), np.int16), reversible=True)
        )


def _htj2k(frame: Frame, options: Options) -> bytes:
    _openjph_ready()
    return _even(bytes(imagecodecs.htj2k_encode(frame, reversible=True)))


def _htj2k_decode(stream: bytes, dtype: DTypeLike) -> Frame:
    _openjph_ready()
    decoded: Frame = imagecodecs.htj2k_decode(stream)
    return decoded.astype(dtype)


def _jpeg_extended(frame: Frame, options: Options) -> bytes:
    return _even(
        bytes(
            imagecodecs.jpeg8_encode(
                frame.astype(np.uint16), level=options.quality, bitspersample=12, optimize=True
            )
        )
    )


def _jpeg_extended_decode(stream: bytes, dtype: DTypeLike) -> Frame:
    decoded: Frame = imagecodecs.jpeg8_decode(stream)
    return decoded.astype(dtype)


CODECS = {
    "jpeg_ls": Codec(_jpeg_ls, _jpeg_ls_decode),
    "jpeg_ls_near_lossless": Codec(_jpeg_ls_near, _jpeg_ls_decode),
    "jpeg_2000": Codec(_jpeg_2000, _jpeg_2000_decode),
    "jpeg_2000_lossy": Codec(_jpeg_2000_lossy, _jpeg_2000_decode),
    "htj2k": Codec(_htj2k, _htj2k_decode),
    "jpeg_extended": Codec(_jpeg_extended, _jpeg_extended_decode),
}
