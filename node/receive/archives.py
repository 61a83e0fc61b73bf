"""ZIP archives that a person brings, as the content of a CD is kept: read file by file.

What is in them is never written under its name, and never held in memory. An archive says in its
directory how much will come out of it, and no more does: what is too much is refused before
anything is unpacked.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
"""With one of them an archive begins: whole, empty, or the first of a split one."""
SIGNATURE_BYTES = 4
MAX_ARCHIVE_BYTES = 16 * 2**30
"""A DVD of two layers and two sides holds as much."""
MAX_MEMBERS = 50_000
MAX_DIRECTORY_BYTES = 16 * 2**20
"""The directory is the one part of an archive that is read as a whole."""
ALWAYS_BYTES = 2 * 2**30
"""So much may come out of any archive, however small: a segmentation shrinks to a thousandth."""
MOST_TIMES = 100
"""Out of a larger one comes at most so many times its own size; of slices it is two or three."""
PIECE_BYTES = 256 * 1024

_END = b"PK\x05\x06"
_END_BYTES, _LONGEST_REMARK = 22, 0xFFFF
_END_64 = b"PK\x06\x06"
_LOCATOR_64 = b"PK\x06\x07"
_LOCATOR_64_BYTES, _END_64_BYTES = 20, 56
_ENCRYPTED, _STRANGE = 0x1, 0x20 | 0x40 | 0x2000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error, OverflowError)
_UNREADABLE = (*_DAMAGED, NotImplementedError, RuntimeError)
"""What ``zipfile`` raises of files that were made to be wrong."""


class ArchiveFault(Exception):
    """An archive, or a file in it, cannot be read; the message says why and what to do."""


class Allowance:
    """How much may come out of one archive, with what comes out of archives within it."""

    def __init__(self, archive_bytes: int) -> None:
        self._left = max(ALWAYS_BYTES, MOST_TIMES * archive_bytes)
        self._members = MAX_MEMBERS

    def take(self, members: int, size_bytes: int) -> None:
        """Raises ArchiveFault."""
        self._members -= members
        self._left -= size_bytes
        if self._members < 0:
            raise ArchiveFault(f"more than {MAX_MEMBERS} files are in it: divide it")
        if self._left < 0:
            raise ArchiveFault(
                f"more than {MOST_TIMES} times its size would come out of it: unpack it yourself"
                " and bring its files"
            )


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    size_bytes: int
    info: zipfile.ZipInfo


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive."""

    members: tuple[Member, ...]
    """Without folders, and without those that are encrypted."""
    encrypted: int
    """How many files are."""
    _zip: zipfile.ZipFile

    def pieces(self, member: Member) -> Iterator[bytes]:
        """What it holds, in pieces; after the last its checksum is known to be right.

        Raises
        ------
        ArchiveFault
        """
        info = member.info
        if info.compress_type not in _METHODS or info.flag_bits & _STRANGE:
            raise ArchiveFault(
                f"it is packed by method {info.compress_type}: only stored and deflated (0, 8) are"
                " read; pack it anew"
            )
        try:
            with self._zip.open(info) as source:
                while piece := source.read(PIECE_BYTES):
                    yield piece
        except _UNREADABLE as error:
            raise ArchiveFault("it is damaged in the archive: copy it anew") from error


def is_archive(beginning: bytes | bytearray) -> bool:
    """Whether a file that begins so is an archive; no DICOM file does."""
    return bytes(beginning[:SIGNATURE_BYTES]) in SIGNATURES


@contextmanager
def opened(file: IO[bytes], size_bytes: int, allowance: Allowance) -> Iterator[Archive]:
    """An archive that lies in ``file``, once it is known that what is in it is not too much.

    Raises
    ------
    ArchiveFault
    """
    _check_directory(file, size_bytes)
    try:
        packed = zipfile.ZipFile(file)
    except _UNREADABLE as error:
        raise ArchiveFault("it is no whole ZIP archive: copy it anew") from error
    with packed:
        found = [one for one in packed.infolist() if not one.filename.endswith("/")]
        if sum(one.compress_size for one in found) > size_bytes:
            raise ArchiveFault("files in it lie over each other, as no packing program makes it")
        allowance.take(len(found), sum(one.file_size for one in found))
        open_ones = [one for one in found if not one.flag_bits & _ENCRYPTED]
        members = tuple(Member(one.filename, one.file_size, one) for one in open_ones)
        yield Archive(members, len(found) - len(members), packed)


def _check_directory(file: IO[bytes], size_bytes: int) -> None:
    """Raises ArchiveFault where the directory at its end is missing, or too long to be read."""
    begin = max(0, size_bytes - _END_BYTES - _LONGEST_REMARK - _LOCATOR_64_BYTES - _END_64_BYTES)
    file.seek(begin)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + _END_BYTES:
        raise ArchiveFault("it is no whole ZIP archive: its end is missing; copy it anew")
    (length,) = struct.unpack_from("<L", tail, end + 12)
    if tail[max(0, end - _LOCATOR_64_BYTES) : end].startswith(_LOCATOR_64):
        at = end - _LOCATOR_64_BYTES - _END_64_BYTES
        if at >= 0 and tail[at:].startswith(_END_64):
            (length,) = struct.unpack_from("<Q", tail, at + 40)
    if length > MAX_DIRECTORY_BYTES:
        raise ArchiveFault(f"more than {MAX_MEMBERS} files are in it: divide it")
