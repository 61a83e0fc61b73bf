"""One frame as numbers: the stored values, whatever they were packed in (PS3.5 8, PS3.3 C.7.6.3).

Greyscale and palette frames are (row, column), colour ones (row, column, sample).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, RLELossless

from node.retrieve.decode import (
    DecodedFrame,
    PixelShape,
    decode_frame,
    shape_of,
)
from node.retrieve.frames import EncapsulatedFrames, NativeFrames, PixelForm, UnreadablePixels
from node.series.geometry import UndecodablePixels
from storage.header import values

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_FLOAT, _DOUBLE = 0x7FE00008, 0x7FE00009
MOST_PIXELS = 1 << 28
"""Of a frame that is made into a picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Stored values of a frame, and how its colours are to be read."""

    array: NDArray[Any]
    photometric: str


def of_frame(
    data: bytes, frames: NativeFrames | EncapsulatedFrames, header: Dataset, syntax: UID
) -> Samples:
    """The numbers of a frame that is stored as ``data``.

    Raises
    ------
    UnreadablePixels
    """
    form = frames.form
    if not 0 < form.rows * form.columns <= MOST_PIXELS:
        raise UnreadablePixels(f"a frame of {form.rows} rows and {form.columns} columns")
    if isinstance(frames, NativeFrames):
        planar = values.known(values.whole(header, "PlanarConfiguration")) or 0
        photometric, element = form.photometric, frames.element
    else:
        made = decoded(data, header, form, syntax)
        data, photometric, planar, element = made.pixels, made.photometric, made.planar, 0
    array = _array(data, _cell(form, header, element), form)
    if array.dtype.kind != "f" and form.bits_allocated > 1:
        array = _meant_bits(array, header)
    return Samples(_arranged(array, form, photometric, planar), photometric)


def decoded(stream: bytes, header: Dataset, form: PixelForm, syntax: UID) -> DecodedFrame:
    """A compressed frame in native cells. Raises UnreadablePixels."""
    try:
        if form.bits_allocated == 1:
            return _decoded_bits(stream, header, form, syntax)
        return decode_frame(stream, header, shape_of(header), syntax)
    except UndecodablePixels as error:
        raise UnreadablePixels(f"its pixels cannot be decoded: {error}") from error
    except Exception as error:  # border: decoders raise nearly anything on foreign bytes
        name = syntax.name if syntax.is_transfer_syntax else "unknown transfer syntax"
        sentence = f"its pixels cannot be decoded: {name} ({type(error).__name__})"
        raise UnreadablePixels(sentence) from error


def _decoded_bits(stream: bytes, header: Dataset, form: PixelForm, syntax: UID) -> DecodedFrame:
    """A frame of single bits, packed again. RLE and deflate pack their bytes, others the pixels."""
    pixels = form.rows * form.columns
    packed = -(-pixels // 8)
    by_bytes = syntax in (RLELossless, DEFLATED_FRAMES)
    rows, columns = (1, packed) if by_bytes else (form.rows, form.columns)
    shape = PixelShape(rows, columns, 1, 8, 8, 7, is_signed=False, frames=1)
    decoded = decode_frame(stream, header, shape, syntax)
    if by_bytes:
        return decoded
    bits = np.frombuffer(decoded.pixels, np.uint8)
    return replace(decoded, pixels=np.packbits(bits, bitorder="little").tobytes())


def _cell(form: PixelForm, header: Dataset, element: int) -> np.dtype[Any]:
    if element in (_FLOAT, _DOUBLE):
        return np.dtype("<f4" if element == _FLOAT else "<f8")
    if form.bits_allocated == 1:
        return np.dtype("u1")
    if form.bits_allocated not in (8, 16, 32, 64):
        raise UnreadablePixels(f"{form.bits_allocated} bits a sample")
    is_signed = values.known(values.whole(header, "PixelRepresentation")) == 1
    return np.dtype(f"<{'i' if is_signed else 'u'}{form.bits_allocated // 8}")


def _array(data: bytes, cell: np.dtype[Any], form: PixelForm) -> NDArray[Any]:
    if form.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[: form.rows * form.columns * form.samples]
    return np.frombuffer(data[: len(data) // cell.itemsize * cell.itemsize], cell)


def _meant_bits(array: NDArray[Any], header: Dataset) -> NDArray[Any]:
    """Only the bits stored: others mean nothing here, or hold overlays (PS3.5 8.1.1)."""
    allocated = array.dtype.itemsize * 8
    stored = values.known(values.whole(header, "BitsStored")) or allocated
    high = values.known(values.whole(header, "HighBit"))
    high_bit = stored - 1 if high is None else high
    if not 0 < stored < allocated or not stored <= high_bit + 1 <= allocated:
        return array
    moved = np.left_shift(array, allocated - 1 - high_bit)
    return np.asarray(np.right_shift(moved, allocated - stored))


def _arranged(array: NDArray[Any], form: PixelForm, photometric: str, planar: int) -> NDArray[Any]:
    rows, columns, samples = form.rows, form.columns, form.samples
    is_halved = photometric.endswith("_422") and array.size == rows * columns * 2
    try:
        if samples == 1:
            return array.reshape(rows, columns)
        if is_halved:
            return _doubled(array, rows, columns)
        if planar:
            return array.reshape(samples, rows, columns).transpose(1, 2, 0)
        return array.reshape(rows, columns, samples)
    except ValueError as error:
        raise UnreadablePixels(
            f"{array.size} samples where {rows * columns * samples} are needed"
        ) from error


def _doubled(array: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Y Y Cb Cr: two pixels share their colours (PS3.3 C.7.6.3.1.2)."""
    pairs = array.reshape(rows, columns // 2, 4)
    full = np.empty((rows, columns // 2, 2, 3), array.dtype)
    full[..., 0] = pairs[..., :2]
    full[..., 1:] = pairs[..., None, 2:]
    return full.reshape(rows, columns, 3)
