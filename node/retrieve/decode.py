"""Compressed pixel data, decoded frame by frame into the cells of native ones (PS3.5 8.1.1).

Owns what becomes of the colours: what the decoder gives is what is said. Nothing is corrected and
nothing rescaled; bits that the stream has beyond those stored stay where they are.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

from node.series.codestreams import Sample, jpeg_has_end, sample_of
from node.series.geometry import UndecodablePixels
from storage.header import values

_PLUGINS = ("pylibjpeg", "pyjpegls", "gdcm", "pydicom")
"""pydicom's decoding plugins that keep all 16 bits, best first."""
_JPEG_2000_PART_2 = frozenset(
    {uid.UID("1.2.840.10008.1.2.4.92"), uid.UID("1.2.840.10008.1.2.4.93")}
)
_WITH_END_OF_IMAGE = frozenset(
    {
        *(uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
        *(uid.JPEGLSLossless, uid.JPEGLSNearLossless),
    }
)
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_PLAIN_FRAMES = "1.2.840.10008.1.2.1.98"
_TURNED_TO_RGB = frozenset({"YBR_RCT", "YBR_ICT"})
_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_FULL_420"})
"""Decoders give every pixel its three samples."""
MOST_FRAME_BYTES = 1 << 30
"""Of one frame: a header can claim 65,535 rows and columns of 64 bits."""
OF_PIXELS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "LossyImageCompression", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip
"""What has to be read of a header."""

_DECODING_ERRORS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError, RuntimeError,
    TypeError, ValueError, EOFError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom, its plugins and imagecodecs raise on damaged or unknown streams."""


@dataclass(frozen=True, slots=True)
class PixelShape:
    """How native frames are made. PS3.3 C.7.6.3."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    frames: int

    @property
    def cells(self) -> int:
        return self.rows * self.columns * self.samples

    @property
    def frame_bytes(self) -> int:
        return self.cells * self.bits_allocated // 8

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"<{'i' if self.is_signed else 'u'}{self.bits_allocated // 8}")


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """The bytes of one frame, little endian, and how its colours lie."""

    pixels: bytes
    photometric: str
    planar: int


def shape_of(header: Dataset) -> PixelShape:
    """
    Raises
    ------
    UndecodablePixels
        An attribute is missing or out of all proportion.
    """
    names = ("Rows", "Columns", "BitsAllocated", "BitsStored")
    sizes = [values.known(values.whole(header, name)) for name in names]
    if any(size is None or size < 1 for size in sizes):
        raise UndecodablePixels("the description of the pixels is not complete")
    rows, columns, allocated, stored = (int(size or 0) for size in sizes)
    high_bit = values.known(values.whole(header, "HighBit"))
    shape = PixelShape(
        rows,
        columns,
        values.known(values.whole(header, "SamplesPerPixel")) or 1,
        allocated,
        stored,
        stored - 1 if high_bit is None else high_bit,
        values.known(values.whole(header, "PixelRepresentation")) == 1,
        values.known(values.whole(header, "NumberOfFrames")) or 1,
    )
    if allocated not in (8, 16, 32) or not stored <= allocated:
        raise UndecodablePixels(f"{stored} of {allocated} bits a sample")
    if shape.frame_bytes > MOST_FRAME_BYTES:
        raise UndecodablePixels("a frame is too large")
    return shape


def decoded_frames(value: BinaryIO, header: Dataset, syntax: uid.UID) -> Iterator[DecodedFrame]:
    """The frames of an encapsulated value, which begins where the file stands.

    Raises
    ------
    UndecodablePixels
    """
    shape = shape_of(header)
    tables = [header.get(name) for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")]
    extended = (tables[0], tables[1]) if all(tables) else None
    try:
        streams = generate_frames(value, number_of_frames=shape.frames, extended_offsets=extended)
        count = 0
        for stream in streams:
            count += 1
            if count > shape.frames:
                break
            yield decode_frame(stream, header, shape, syntax)
    except _DECODING_ERRORS as error:
        name = syntax.name if syntax.is_transfer_syntax else "unknown transfer syntax"
        raise UndecodablePixels(f"{name} ({type(error).__name__})") from error
    if count < shape.frames:
        raise UndecodablePixels(f"{count} of {shape.frames} frames are there")


def decode_frame(
    stream: bytes, header: Dataset, shape: PixelShape, syntax: uid.UID
) -> DecodedFrame:
    """One frame. Raises UndecodablePixels, and what decoders raise."""
    photometric = values.text(header, "PhotometricInterpretation")
    planar = values.known(values.whole(header, "PlanarConfiguration")) or 0
    if syntax == _DEFLATED_FRAMES:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        return _plain(
            inflater.decompress(stream, shape.frame_bytes + 1), shape, photometric, planar
        )
    if syntax == _PLAIN_FRAMES:
        return _plain(stream, shape, photometric, planar)
    if syntax in _WITH_END_OF_IMAGE and not jpeg_has_end(stream):
        raise UndecodablePixels("a JPEG stream has no end")
    sample = sample_of(stream)
    plugin = _plugin(syntax, shape)
    if plugin:
        return _by_plugin(stream, header, shape, syntax, plugin, sample)
    if syntax in _JPEG_2000_PART_2:
        cells = imagecodecs.jpeg2k_decode(stream)
        photometric = "RGB" if photometric in _TURNED_TO_RGB else photometric
    elif syntax == uid.JPEGExtended12Bit:
        cells = imagecodecs.jpeg8_decode(stream)
    else:
        raise UndecodablePixels("no decoder for this transfer syntax")
    return DecodedFrame(_native(cells.reshape(-1), shape, sample), photometric, 0)


def _plugin(syntax: uid.UID, shape: PixelShape) -> str:
    """The decoder of a transfer syntax; empty where pydicom has none that keeps all bits."""
    if syntax == uid.JPEGExtended12Bit and shape.bits_stored > 8:
        return ""  # gdcm and Pillow read 8 bits of these only
    try:
        available = get_decoder(syntax).available_plugins
    except NotImplementedError:
        return ""
    return next((one for one in _PLUGINS if one in available), "")


def _by_plugin(
    stream: bytes,
    header: Dataset,
    shape: PixelShape,
    syntax: uid.UID,
    plugin: str,
    sample: Sample | None,
) -> DecodedFrame:
    """GDCM gives no bits above Bits Stored: it is told of all that are in the stream."""
    bits = max(shape.bits_stored, sample.bits if sample else 0)
    source = io.BytesIO(encapsulate([stream]))
    decoder = get_decoder(syntax)
    buffer, found = decoder.as_buffer(
        source,
        decoding_plugin=plugin,
        raw=True,
        rows=shape.rows,
        columns=shape.columns,
        samples_per_pixel=shape.samples,
        number_of_frames=1,
        bits_allocated=shape.bits_allocated,
        bits_stored=min(bits, shape.bits_allocated),
        pixel_representation=int(shape.is_signed),
        photometric_interpretation=values.text(header, "PhotometricInterpretation"),
        planar_configuration=values.known(values.whole(header, "PlanarConfiguration")) or 0,
        pixel_keyword="PixelData",
    )
    allocated = int(found["bits_allocated"])
    sign = "i" if sample is not None and sample.signed else "u"
    cells = np.frombuffer(buffer, f"<{sign}{allocated // 8}")
    pixels = _native(cells, shape, sample)
    photometric = str(found["photometric_interpretation"])
    if photometric in _SUBSAMPLED:
        photometric = "YBR_FULL"
    planar = int(found.get("planar_configuration", 0) or 0)
    return DecodedFrame(pixels, photometric, planar)


def _plain(stream: bytes, shape: PixelShape, photometric: str, planar: int) -> DecodedFrame:
    if len(stream) not in (shape.frame_bytes, shape.frame_bytes + 1):
        raise UndecodablePixels(f"{len(stream)} bytes where {shape.frame_bytes} are needed")
    return DecodedFrame(stream[: shape.frame_bytes], photometric, planar)


def _native(cells: NDArray[Any], shape: PixelShape, sample: Sample | None) -> bytes:
    """Decoded samples in cells of Bits Allocated; of signed pixels the sign fills the cell."""
    if cells.size != shape.cells or cells.dtype.kind not in "iu":
        raise UndecodablePixels(f"decoded to {cells.size} samples instead of {shape.cells}")
    if cells.dtype.itemsize > shape.dtype.itemsize:
        raise UndecodablePixels(f"decoded to {cells.dtype.name} instead of {shape.dtype.name}")
    wide = cells.astype(shape.dtype)
    if shape.is_signed and sample is not None and sample.bits <= shape.bits_stored:
        unused = shape.bits_allocated - sample.bits
        wide = np.right_shift(np.left_shift(wide, unused), unused)
    return wide.tobytes()
