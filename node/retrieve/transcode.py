"""Stored instances in the transfer syntax that a peer takes: unchanged, or decompressed, no other.

Nothing is ever compressed anew, so nothing is lost. Frame by frame: of pixels no more is in memory
than one frame; what is encoded anew lies in a file without a name.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import SEEK_END, BufferedReader
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.retrieve.encoded import Encoded
from node.retrieve.reencode import (
    ICON_IMAGE_SEQUENCE,
    PIXEL_DATA,
    Encoding,
    NotPlainEnough,
    Reencoder,
    Replacement,
    head_bytes,
)
from node.series.geometry import UndecodablePixels
from storage.files.blobs import local_file
from storage.files.port import Readable
from storage.files.seal import PREAMBLE, dataset_offset
from storage.header import values
from storage.header.guarded import guarded_header

DECODED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""What everything can be encoded in, better first."""
_CHUNK_BYTES = 1 << 20
_MOST_PIXEL_BYTES = 0xFFFFFFFE
MOST_INFLATED_BYTES = 8 << 30
"""Of a deflated data set, two values of the greatest length: a few MiB could fill a disk."""
_LOSSY = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
"""Syntaxes that are always lossy, with the method's term. PS3.3 C.7.6.1.1.5."""
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002, 0x7FE00003)


class NotEncodable(Exception):
    """An instance that cannot be had in another transfer syntax; the message names no patient."""


def syntaxes_of(stored: str) -> tuple[str, ...]:
    """The transfer syntaxes in which an instance can be sent, its own first."""
    return tuple(dict.fromkeys((stored, *DECODED)))


@contextmanager
def encoded(source: Readable, stored: str, wanted: str) -> Iterator[Encoded]:
    """An instance's data set in one of ``syntaxes_of`` what it is stored in.

    Raises
    ------
    NotEncodable
    OSError
        The file is gone, or cannot be read.
    """
    if stored == wanted:
        with source.open("rb") as file:
            start = _start(file)
            length = file.seek(0, SEEK_END) - start
            file.seek(start)
            yield Encoded(file, length)
        return
    with local_file(source) as path, tempfile.TemporaryFile() as made:
        try:
            _encode_anew(path, UID(stored), UID(wanted), made)
        except (NotPlainEnough, UndecodablePixels) as error:
            raise NotEncodable(str(error)) from error
        length = made.tell()
        made.seek(0)
        yield Encoded(made, length)


def _start(file: BufferedReader) -> int:
    """Where the data set begins."""
    start = dataset_offset(file.read(PREAMBLE + 16))
    if start:
        return start
    file.seek(0)
    try:
        read_preamble(file, force=False)
        _read_file_meta_info(file)
    except Exception as error:  # border: pydicom raises nearly anything on foreign bytes
        raise NotEncodable("no DICOM file") from error
    return file.tell()


def _encode_anew(path: Path, stored: UID, wanted: UID, made: BinaryIO) -> None:
    if wanted not in DECODED:
        raise NotEncodable("nothing is compressed anew")
    with path.open("rb") as file:
        start = _start(file)
        if stored == DeflatedExplicitVRLittleEndian:
            with tempfile.TemporaryFile() as inflated:
                _inflate(file, start, inflated)
                _reencode(inflated, 0, ExplicitVRLittleEndian, wanted, made)
        elif stored.is_encapsulated:
            _decompress(path, start, stored, wanted, made)
        else:
            _reencode(file, start, stored, wanted, made)


def _inflate(file: BinaryIO, start: int, inflated: BinaryIO) -> None:
    """PS3.5 A.5: a raw deflate stream, perhaps with a byte of padding behind it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    file.seek(start)
    try:
        while not inflater.eof:
            packed = inflater.unconsumed_tail or file.read(_CHUNK_BYTES)
            if not packed:
                break
            inflated.write(inflater.decompress(packed, _CHUNK_BYTES * 4))
            if inflated.tell() > MOST_INFLATED_BYTES:
                raise NotEncodable(f"inflated it is longer than {MOST_INFLATED_BYTES} bytes")
    except zlib.error as error:
        raise NotEncodable("the data set cannot be inflated") from error
    inflated.flush()


def _reencode(file: BinaryIO, start: int, stored: UID, wanted: UID, made: BinaryIO) -> None:
    if stored == wanted:
        file.seek(start)
        while chunk := file.read(_CHUNK_BYTES):
            made.write(chunk)
        return
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        Reencoder(data, Encoding.of(stored), wanted.is_implicit_VR).write(made, start)


# --- compressed pixels ----------------------------------------------------------------------------


def _decompress(path: Path, start: int, stored: UID, wanted: UID, made: BinaryIO) -> None:
    from node.retrieve.decode import OF_PIXELS, decoded_frames, shape_of  # numpy and its codecs

    with path.open("rb") as file:
        header = guarded_header(dcmread(file, stop_before_pixels=True, specific_tags=[*OF_PIXELS]))
        head = file.read(12)
        if head[:4] != b"\xe0\x7f\x10\x00" or head[8:12] != b"\xff\xff\xff\xff":
            raise NotEncodable("there is no compressed Pixel Data element")
        shape = shape_of(header)
        frames = decoded_frames(file, header, stored)
        first = next(frames)
        total = shape.frame_bytes * shape.frames

        def write_pixels(out: BinaryIO) -> None:
            vr = b"OW" if shape.bits_allocated > 8 or wanted.is_implicit_VR else b"OB"
            out.write(head_bytes(PIXEL_DATA, vr, total + total % 2, wanted.is_implicit_VR))
            for frame in chain((first,), frames):
                if (frame.photometric, frame.planar) != (first.photometric, first.planar):
                    raise UndecodablePixels("the frames differ in their colours")
                out.write(frame.pixels)
            out.write(b"\0" * (total % 2))

        if total > _MOST_PIXEL_BYTES:
            raise NotEncodable("decompressed it is longer than a value may be")
        replaced: dict[int, Replacement | None] = dict.fromkeys(_OFFSET_TABLES)
        replaced |= _described(header, stored, wanted, first.photometric, first.planar)
        replaced[PIXEL_DATA] = write_pixels
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            Reencoder(
                data,
                Encoding.of(stored),
                wanted.is_implicit_VR,
                replaced,
                frozenset({ICON_IMAGE_SEQUENCE}),
            ).write(made, start)


def _described(
    header: Dataset, stored: UID, wanted: UID, photometric: str, planar: int
) -> dict[int, Replacement | None]:
    """What is said of the pixels once they are decompressed. PS3.5 8.2, PS3.3 C.7.6.1.1.5."""
    given: dict[int, tuple[bytes, bytes]] = {0x00280004: (b"CS", _text(photometric))}
    if (values.known(values.whole(header, "SamplesPerPixel")) or 1) > 1:
        given[0x00280006] = (b"US", struct.pack("<H", planar))
    if stored in _LOSSY and values.text(header, "LossyImageCompression") != "01":
        given[0x00282110] = (b"CS", _text("01"))
        given[0x00282114] = (b"CS", _text(_LOSSY[stored]))
    return {
        tag: partial(_write_element, tag, vr, value, wanted.is_implicit_VR)
        for tag, (vr, value) in given.items()
    }


def _write_element(tag: int, vr: bytes, value: bytes, is_implicit: bool, out: BinaryIO) -> None:
    out.write(head_bytes(tag, vr, len(value), is_implicit) + value)


def _text(value: str) -> bytes:
    return value.encode("ascii", "replace") + b" " * (len(value) % 2)
