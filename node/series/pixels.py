"""Reads images from files: the header first, then the pixels of each frame into a given array.

Owns the choice of the decoder. Keeps one frame in memory beside the array, of compressed images
one file. Knows nothing of series or geometry.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_frames
from pydicom.filereader import data_element_generator
from pydicom.pixels.decoders.base import get_decoder

from node.series.codestreams import Sample, jpeg_has_end, sample_of
from node.series.frames import frame_count
from node.series.geometry import NotGreyscale, UndecodablePixels, UnreadableHeader
from storage.errors import UnreadableInstance
from storage.files.port import Readable
from storage.header import reading as stored_header
from storage.header import values
from storage.header.guarded import guarded_header

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_PIXEL_TAG = 0x7FE00010
_UNDEFINED_LENGTH = 0xFFFFFFFF

LONG_VALUE_BYTES = 1 << 20
"""Of header elements longer than this only sequences are read: no table of the standard is longer,
raw data and what vendors keep in private elements are."""
_OF_PIXELS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData",
]  # fmt: skip
"""What decoders ask for."""

_MAPPABLE = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian})
"""Transfer syntaxes whose pixels stand in the file as they stand in memory."""

_PLUGINS = {"pylibjpeg": "pylibjpeg", "pyjpegls": "pyjpegls", "gdcm": "python-gdcm"}
"""pydicom's decoding plugins that keep all 16 bits, best first, and their distributions."""

_JPEG_2000 = frozenset(uid.JPEG2000TransferSyntaxes)

_WITH_END_OF_IMAGE = frozenset(
    {
        *(uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1),
        *(uid.JPEGLSLossless, uid.JPEGLSNearLossless),
    }
)

_LOSSY = frozenset({uid.JPEG2000, uid.HTJ2K, uid.JPEGLSNearLossless})
"""Syntaxes whose streams may hold more bits than are stored, and not to the bit."""

OVERSHOOT = 1 / 8
"""Share of the stored range by which lossy coding may miss it."""

_COLOURS = frozenset(
    {
        *("RGB", "HSV", "ARGB", "CMYK", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422"),
        *("YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"),
    }
)
"""Defined terms of Photometric Interpretation beside the monochrome ones (PS3.3 C.7.6.3.1.2)."""

_DECODING_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    EOFError,
    struct.error,
)
"""What pydicom, its plugins and imagecodecs raise on damaged or unknown streams."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """An image whose header has been read. ``pixels_at``: offset of the Pixel Data element."""

    source: Readable
    header: FileDataset
    pixels_at: int


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What images must have in common to lie in one array (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    bits_allocated: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.bits_allocated // 8


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a frame's pixels go. ``frame`` counts from 0."""

    frame: int
    array: NDArray[Any]


def read_header(source: Readable) -> ImageFile:
    """The header of an image, without pixel data and other long values.

    Raises
    ------
    UnreadableHeader
        The file is not DICOM, or ends within the header.
    """
    try:
        header, pixels_at = stored_header.read_header(source, LONG_VALUE_BYTES)
    except UnreadableInstance as error:
        raise UnreadableHeader(str(error)) from error
    return ImageFile(source, guarded_header(header), pixels_at)


def is_image(header: Dataset) -> bool:
    """Whether the pixels are measured values: not of a segmentation, nor floating-point numbers."""
    return "BitsStored" in header and "SegmentSequence" not in header


def pixel_format(header: Dataset) -> PixelFormat:
    """Size and type of the pixels.

    Raises
    ------
    NotGreyscale, UndecodablePixels, UnreadableHeader
        More than one sample a pixel, or one bit; an unknown packing; an attribute is missing.
    """
    sizes = [
        header.get(keyword)
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
    ]
    if not all(isinstance(size, int) for size in sizes):
        raise UnreadableHeader("the description of the pixels is not complete")
    rows, columns, allocated, stored, representation = sizes
    photometric = values.text(header, "PhotometricInterpretation")
    if header.get("SamplesPerPixel", 1) != 1 or not photometric.startswith("MONOCHROME"):
        raise NotGreyscale(photometric if photometric in _COLOURS else "of unknown colour")
    if allocated not in (8, 16, 32):
        raise NotGreyscale(f"of {allocated} bits a pixel")
    if not 0 < stored <= allocated or not stored <= _high_bit(header) + 1 <= allocated:
        raise UndecodablePixels(f"{stored} of {allocated} bits are stored in an unknown way")
    if not (rows and columns):
        raise UndecodablePixels(f"{rows} rows and {columns} columns")
    return PixelFormat(rows, columns, allocated, signed=representation == 1)


def _high_bit(header: Dataset) -> int:
    """High Bit: beside overlays in the low bits older images have a higher one than usual."""
    given = header.get("HighBit")
    return given if isinstance(given, int) else int(header.BitsStored) - 1


def read_pixels(image: ImageFile, targets: Sequence[Target]) -> str:
    """Fills every target with the stored values of its frame and names the decoder.

    Raises
    ------
    UndecodablePixels
        The pixel data are absent, cut short, damaged or of an unknown form.
    """
    syntax = transfer_syntax(image.header)
    if syntax in _MAPPABLE:
        _read_native(image, targets)
        return f"pydicom {pydicom.__version__}"
    try:
        return _decode(image, targets, syntax)
    except (*_DECODING_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's: not of the stream, nor of a length that leads out of the file
        name = syntax.name if syntax.is_transfer_syntax else "unknown transfer syntax"
        raise UndecodablePixels(f"{name} ({type(error).__name__})") from error


def transfer_syntax(header: FileDataset) -> uid.UID:
    """Transfer Syntax UID; where a file lacks it, that of the encoding found."""
    given = values.text(header.file_meta, "TransferSyntaxUID")
    if given:
        return uid.UID(given)
    implicit, _ = header.original_encoding
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


# --- uncompressed ---------------------------------------------------------------------------------


def _read_native(image: ImageFile, targets: Sequence[Target]) -> None:
    frame_bytes = targets[0].array.nbytes
    bits = (int(image.header.BitsStored), _high_bit(image.header))
    with image.source.open("rb") as file:
        start, length = _native_element(file, image)
        needed = frame_bytes * frame_count(image.header)
        if length < needed:
            raise UndecodablePixels(f"{length} bytes where {needed} are needed")
        for target in targets:
            file.seek(start + target.frame * frame_bytes)
            if file.readinto(target.array.data.cast("B")) != frame_bytes:
                raise UndecodablePixels("the file ends within the pixel data")
            _clear_unused_bits(target.array, *bits)


def _native_element(file: BinaryIO, image: ImageFile) -> tuple[int, int]:
    """Offset and length of the value of Pixel Data (PS3.5 7.1.2, 7.1.3)."""
    implicit, _ = image.header.original_encoding
    file.seek(image.pixels_at)
    head = file.read(8 if implicit else 12)
    if len(head) < (8 if implicit else 12) or head[:4] != _PIXEL_DATA:
        raise UndecodablePixels("there is no Pixel Data element")
    length: int = struct.unpack("<L", head[-4:])[0]
    if length == _UNDEFINED_LENGTH:
        raise UndecodablePixels("compressed pixels under an uncompressed transfer syntax")
    return image.pixels_at + len(head), length


def _clear_unused_bits(array: NDArray[Any], bits_stored: int, high_bit: int) -> None:
    """Bits above High Bit, and those below the stored ones, mean nothing here (PS3.5 8.1.1).

    They may hold overlays. The sign is that of the highest bit stored.
    """
    allocated = array.dtype.itemsize * 8
    if bits_stored < allocated:
        np.left_shift(array, allocated - 1 - high_bit, out=array)
        np.right_shift(array, allocated - bits_stored, out=array)


# --- compressed, deflated, big endian -------------------------------------------------------------


def _decode(image: ImageFile, targets: Sequence[Target], syntax: uid.UID) -> str:
    dataset = _with_pixels(image, syntax)
    samples = _samples(dataset, syntax)
    plugin = _plugin(syntax, dataset.BitsStored)
    if plugin == "imagecodecs":
        decoded = _imagecodecs_frames(dataset, targets, syntax)
    elif plugin:
        decoded = _plugin_frames(dataset, targets, plugin, samples)
    else:
        decoded = _plain_frames(dataset, targets, syntax)
    for target, array in zip(targets, decoded, strict=True):
        sample = samples.get(target.frame)
        _fill(target, array)
        if syntax in _LOSSY and sample is not None:
            _saturate(target.array, dataset.BitsStored, sample)
        _clear_unused_bits(target.array, *_placed(dataset, sample))
    return decoder_of(syntax, dataset.BitsStored)


def decoder_of(syntax: uid.UID, bits_stored: int) -> str:
    """What decodes images of a transfer syntax, by name and version."""
    plugin = _plugin(syntax, bits_stored)
    if plugin == "imagecodecs":
        return f"imagecodecs {imagecodecs.__version__}"
    name = f"pydicom {pydicom.__version__}"
    return f"{name}, {_PLUGINS[plugin]} {_version(plugin)}" if plugin in _PLUGINS else name


@cache
def _version(plugin: str) -> str:
    return version(_PLUGINS[plugin])


def _with_pixels(image: ImageFile, syntax: uid.UID) -> FileDataset:
    """What decoders ask for. Of encapsulated pixels their element is read, not the header again.

    Raises
    ------
    UndecodablePixels, OSError
    """
    with image.source.open("rb") as file:
        if syntax.is_encapsulated:
            dataset = _described(image)
            file.seek(image.pixels_at)
            found = next(data_element_generator(file, *image.header.original_encoding), None)
            if isinstance(found, RawDataElement) and found.tag == _PIXEL_TAG:
                dataset[_PIXEL_TAG] = convert_raw_data_element(found)
        else:
            dataset = pydicom.dcmread(file, specific_tags=list(_OF_PIXELS))
    if "PixelData" not in dataset:
        raise UndecodablePixels("there is no Pixel Data element")
    return dataset


def _described(image: ImageFile) -> FileDataset:
    """The description of the pixels, without them."""
    header = image.header
    there = {word: header[word] for word in _OF_PIXELS if word in header}
    dataset = FileDataset("", {one.tag: one for one in there.values()}, file_meta=header.file_meta)
    dataset.set_original_encoding(*header.original_encoding)
    return dataset


def _samples(dataset: Dataset, syntax: uid.UID) -> dict[int, Sample]:
    """What the compressed frames say of their samples, by number.

    JPEG decoders fill up a stream that was cut short, and say nothing, and CharLS goes on for
    seconds: such are refused here.
    """
    if not syntax.is_encapsulated:
        return {}
    found = {}
    streams = generate_frames(dataset.PixelData, number_of_frames=frame_count(dataset))
    for number, stream in enumerate(streams):
        if syntax in _WITH_END_OF_IMAGE and not jpeg_has_end(stream):
            raise UndecodablePixels("a JPEG stream has no end")
        sample = sample_of(stream)
        if sample is not None:
            found[number] = sample
    return found


def _placed(dataset: Dataset, sample: Sample | None) -> tuple[int, int]:
    """Bits Stored and High Bit of a decoded frame.

    Encoders that leave out the bits beside the stored ones have moved these to the low end.
    """
    stored, high_bit = int(dataset.BitsStored), _high_bit(dataset)
    return stored, high_bit if sample is None or sample.bits > high_bit else stored - 1


def _plugin(syntax: uid.UID, bits_stored: int) -> str:
    """The decoder of a transfer syntax; empty for those that need none."""
    decoder = get_decoder(syntax)
    if decoder.is_native:
        return ""
    if syntax == uid.JPEGExtended12Bit and bits_stored > 8:
        return "imagecodecs"  # gdcm and Pillow read 8 bits of these only
    for plugin in (*_PLUGINS, "pydicom"):
        if plugin in decoder.available_plugins:
            return plugin
    return "imagecodecs"


def _plain_frames(
    dataset: Dataset, targets: Sequence[Target], syntax: uid.UID
) -> Iterator[NDArray[Any]]:
    frames = [target.frame for target in targets]
    decoded = get_decoder(syntax).iter_array(
        dataset, indices=frames, raw=True, correct_unused_bits=False
    )
    halves = syntax == uid.ExplicitVRBigEndian and dataset.BitsAllocated == 32
    for array, _ in decoded:
        yield _swapped_halves(array) if halves else array


def _swapped_halves(array: NDArray[Any]) -> NDArray[Any]:
    """Big endian turns over the bytes of the 16-bit words of OW, not the words (PS3.5 7.3)."""
    return np.ascontiguousarray(array.view(np.uint16)[:, ::-1]).view(array.dtype)[:, ::-1]


def _plugin_frames(
    dataset: FileDataset, targets: Sequence[Target], plugin: str, samples: Mapping[int, Sample]
) -> Iterator[NDArray[Any]]:
    """As the decoder left them: pydicom's own corrections of the sign know no overlays.

    Nor does GDCM give bits above Bits Stored: it is told of all that are in the stream.
    """
    decoder, frames = get_decoder(transfer_syntax(dataset)), [target.frame for target in targets]
    bits = max((sample.bits for sample in samples.values()), default=dataset.BitsStored)
    decoded = decoder.iter_buffer(dataset, indices=frames, decoding_plugin=plugin, bits_stored=bits)
    for frame, (buffer, found) in zip(frames, decoded, strict=True):
        sign = "i" if frame in samples and samples[frame].signed else "u"
        array = np.frombuffer(buffer, f"<{sign}{int(found['bits_allocated']) // 8}")
        yield array.reshape(dataset.Rows, dataset.Columns)


def _imagecodecs_frames(
    dataset: Dataset, targets: Sequence[Target], syntax: uid.UID
) -> Iterator[NDArray[Any]]:
    streams = list(generate_frames(dataset.PixelData, number_of_frames=frame_count(dataset)))
    decode = imagecodecs.jpeg2k_decode if syntax in _JPEG_2000 else imagecodecs.jpeg8_decode
    return (decode(streams[target.frame]) for target in targets)


def _saturate(array: NDArray[Any], bits_stored: int, sample: Sample) -> None:
    """Take values that a lossy stream has thrown a little beyond the stored bits back to their end.

    Only where none lies farther beyond: there overlays share the cells. A stream without sign holds
    negative pixels by their bits, not by their values.
    """
    if sample.bits <= bits_stored or sample.signed != (array.dtype.kind == "i"):
        return
    lowest = -(1 << (bits_stored - 1)) if sample.signed else 0
    highest = lowest + (1 << bits_stored) - 1
    reach = (highest - lowest) * OVERSHOOT
    if array.min() >= lowest - reach and array.max() <= highest + reach:
        np.clip(array, lowest, highest, out=array)


def _fill(target: Target, array: NDArray[Any]) -> None:
    """The decoded bits, whatever sign the decoder gave them: that is for Pixel Representation."""
    wider = array.dtype.itemsize > target.array.dtype.itemsize
    if array.shape != target.array.shape or array.dtype.kind not in "iu" or wider:
        raise UndecodablePixels(
            f"decoded to {array.dtype.name} {array.shape}, "
            f"{target.array.dtype.name} {target.array.shape} was announced"
        )
    np.copyto(target.array, array, casting="unsafe")
