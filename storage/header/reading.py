"""Reads headers of stored files in bounded memory, one way for all: who receives, who indexes anew.

What was acknowledged was read by these functions, so a lost index takes all of it again. Values of
more than some length are skipped on disk, whoever made them: pixels, raw data, private elements.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from storage.errors import UnreadableInstance
from storage.files.blobs import local_file
from storage.files.port import Readable
from storage.files.seal import PREAMBLE, dataset_offset
from storage.header.abridged import abridge
from storage.header.attributes import extract
from storage.header.elements import NotPlain
from storage.header.quick import quick_extract
from storage.records import InstanceAttributes

LONG_VALUE_BYTES = 64 * 1024
"""Header elements longer than this are read only if somebody asks for them."""
MAX_HEADER_BYTES = 64 * 1024 * 1024
"""No more is read, or inflated, for a header: all that counts of it has to lie within."""
INFLATING_AT_ONCE = 2
"""Deflated instances whose headers may be in memory at one time."""
BEGINNING_BYTES = 256 * 1024
"""So much of a stored file is looked at before a real parser is asked."""
META_BYTES = 1024
"""Within these a file names its transfer syntax, unless its meta information is out of the way."""
UNDEFINED_LENGTH = 0xFFFFFFFF
"""PS3.5 7.1.1."""

_META_ELEMENT = struct.Struct("<HH2sH")
_LONG_IN_META = frozenset({b"OB", b"UN"})
"""Representations in group 2 whose length has four bytes (PS3.5 7.1.2)."""

_inflating = threading.Semaphore(INFLATING_AT_ONCE)


class FileHeader(NamedTuple):
    """What comes before the pixels; ``pixels_at`` is the offset of their element in the file."""

    dataset: FileDataset
    pixels_at: int


def read_attributes(source: Readable) -> InstanceAttributes:
    """What the index keeps of a stored file, as it was when the file was received.

    Raises
    ------
    UnreadableInstance, OSError
    """
    with local_file(source) as path:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING_BYTES)
        syntax = _transfer_syntax(path)
        data_set = memoryview(beginning)[dataset_offset(beginning) :]
        return quick_extract(data_set, syntax) or parse_attributes(path)


def parse_attributes(path: Path) -> InstanceAttributes:
    """The same by a parser, which sees no more of the header than it has to.

    Raises
    ------
    UnreadableInstance, OSError
    """
    try:
        with _named_faults():
            return _abridged_attributes(path)
    except NotPlain:
        return extract(read_header(path).dataset)


def read_header(source: Readable, long_value_bytes: int = LONG_VALUE_BYTES) -> FileHeader:
    """A file's data set up to the pixels, with file meta and without long values.

    Raises
    ------
    UnreadableInstance
        The bytes are no data set in the transfer syntax that the file names.
    OSError
        The disk does not give them.
    """
    with _named_faults(), local_file(source) as path, path.open("rb") as file:
        syntax = named_syntax(file.read(META_BYTES)) or _transfer_syntax(path)
        if syntax == DeflatedExplicitVRLittleEndian:
            with _inflating:
                return _read_deflated(path)
        return _read_plain(path, file, long_value_bytes)


@contextmanager
def _named_faults() -> Iterator[None]:
    """Whatever foreign bytes make a parser raise becomes UnreadableInstance."""
    try:
        yield
    except (UnreadableInstance, NotPlain):
        raise
    except EOFError as error:
        raise UnreadableInstance("the data set ends within an element") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # a length led to a place that no file has
            raise UnreadableInstance("the data set cannot be parsed") from error
        raise
    except Exception as error:  # border: pydicom raises nearly anything on foreign bytes
        raise UnreadableInstance("the data set cannot be parsed") from error


def _transfer_syntax(path: Path) -> str:
    return str(file_meta(path).get("TransferSyntaxUID", ""))


def named_syntax(beginning: bytes) -> str:
    """The Transfer Syntax UID that a file's first bytes name; empty where they need a parser."""
    at, end = PREAMBLE + 4, dataset_offset(beginning)
    while at + 8 <= min(end, len(beginning)):
        group, element, vr, length = _META_ELEMENT.unpack_from(beginning, at)
        at += _META_ELEMENT.size
        if vr in _LONG_IN_META:
            length = int.from_bytes(beginning[at : at + 4], "little")
            at += 4
        if (group, element) == (0x0002, 0x0010) and at + length <= len(beginning):
            return beginning[at : at + length].rstrip(b" \0").decode("ascii", "replace")
        at += length
    return ""


def file_meta(path: Path) -> Dataset:
    """A file's meta information, with what of it stands within the data set.

    Raises
    ------
    UnreadableInstance, OSError
    """
    try:
        return read_file_meta_info(path)
    except OSError:
        raise
    except InvalidDicomError as error:
        raise UnreadableInstance("not a DICOM file") from error
    except Exception as error:  # border: pydicom raises nearly anything on foreign bytes
        raise UnreadableInstance("the file meta information cannot be parsed") from error


def _abridged_attributes(path: Path) -> InstanceAttributes:
    """Raises NotPlain where the whole header has to be parsed."""
    syntax = UID(_transfer_syntax(path))
    if syntax.is_private or not syntax.is_transfer_syntax or not syntax.is_little_endian:
        raise NotPlain
    if syntax == DeflatedExplicitVRLittleEndian:
        with _inflating:
            inflated = _inflate(path)
            abridged = abridge(inflated.getbuffer(), len(_plain_meta()), is_explicit=True)
    else:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            start = dataset_offset(data[: PREAMBLE + 16])
            abridged = abridge(data, start, not syntax.is_implicit_VR)
    encoding = ImplicitVRLittleEndian if syntax.is_implicit_VR else ExplicitVRLittleEndian
    dataset = dcmread(BytesIO(_plain_meta(encoding) + abridged.data_set))
    dataset.file_meta = read_file_meta_info(path)
    found = extract(dataset)
    instance = {name: value for name, value in found.instance.items() if name != "FramePositions"}
    if abridged.positions is not None:
        instance["FramePositions"] = abridged.positions
    return replace(found, instance=instance)


def _read_plain(path: Path, opened: BinaryIO, long_value_bytes: int) -> FileHeader:
    size_bytes = os.fstat(opened.fileno()).st_size
    is_long = size_bytes > MAX_HEADER_BYTES
    with _BoundedFile(path) if is_long else nullcontext(opened) as file:
        file.seek(0)
        dataset = dcmread(file, stop_before_pixels=True, defer_size=long_value_bytes)
        pixels_at = file.tell()
        _check_end(dataset, size_bytes)
        _leave_out_long_values(dataset)
    return FileHeader(dataset, pixels_at)


class _BoundedFile(io.FileIO):
    """Reads no more than a header may have: lengths in a large file can claim anything."""

    def __init__(self, name: str | Path, mode: str = "rb") -> None:
        super().__init__(name, mode)
        self._left = MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > self._left:
            raise UnreadableInstance("the header is too long")
        self._left -= size
        return super().read(size)


def _check_end(dataset: Dataset, file_bytes: int) -> None:
    """pydicom takes what is left where a file ends within a value: a shortened UID, say.

    Raises
    ------
    UnreadableInstance
    """
    last = next(reversed(dataset.values()), None)  # type: ignore[call-overload]
    if not isinstance(last, RawDataElement) or last.length == UNDEFINED_LENGTH:
        return
    there = file_bytes - last.value_tell if last.value is None else len(last.value)
    if there < last.length:
        raise UnreadableInstance("the data set ends within an element")


def _leave_out_long_values(dataset: Dataset) -> None:
    """What was deferred for its length stays on disk: only sequences are read again."""
    long = [
        one
        for one in dataset.values()
        if isinstance(one, RawDataElement) and one.value is None and one.length
    ]
    for element in long:
        if not _is_sequence(element) or element.length > MAX_HEADER_BYTES:
            del dataset[element.tag]


def _is_sequence(element: RawDataElement) -> bool:
    if element.VR is not None:
        return element.VR == "SQ"
    return dictionary_has_tag(element.tag) and dictionary_VR(element.tag) == "SQ"


def _read_deflated(path: Path) -> FileHeader:
    inflated = _inflate(path)
    size = inflated.seek(0, io.SEEK_END)
    inflated.seek(0)
    dataset = dcmread(inflated, stop_before_pixels=True)
    _check_end(dataset, size)
    dataset.file_meta = read_file_meta_info(path)
    return FileHeader(dataset, 0)


@contextmanager
def inflated(path: Path) -> Iterator[tuple[memoryview, int]]:
    """A deflated file with its data set inflated, as far as its header may need; and where that
    begins.

    Raises
    ------
    UnreadableInstance, OSError
    """
    with _inflating:
        try:
            data = _inflate(path)
        except zlib.error as error:
            raise UnreadableInstance("the data set cannot be inflated") from error
        yield data.getbuffer(), len(_plain_meta())


def _inflate(path: Path) -> BytesIO:
    """No more than the header may need: a small file can inflate to any size."""
    inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), BytesIO()
    inflated.write(_plain_meta())
    with path.open("rb") as file:
        file.seek(dataset_offset(file.read(PREAMBLE + 16)))
        while not inflater.eof and inflated.tell() < MAX_HEADER_BYTES:
            packed = inflater.unconsumed_tail or file.read(LONG_VALUE_BYTES)
            if not packed:
                break
            inflated.write(inflater.decompress(packed, LONG_VALUE_BYTES * 16))
    return inflated


def _plain_meta(encoding: str = ExplicitVRLittleEndian) -> bytes:
    """Preamble and file meta information of a data set in memory. PS3.10 7.1."""
    syntax = encoding.encode() + b"\0" * (len(encoding) % 2)
    element = struct.pack("<HH2sH", 2, 0x0010, b"UI", len(syntax)) + syntax
    length = struct.pack("<HH2sHI", 2, 0x0000, b"UL", 4, len(element))
    return bytes(PREAMBLE) + b"DICM" + length + element
