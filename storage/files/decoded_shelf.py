"""The shelf of decoded pixels: what stored images decode to, kept beside the shelf of metadata.

Never a source: every file can be made anew from the stored image. Its name tells of which bytes it
was made, and by what, so what is out of date is never found; a checksum tells a torn file. Files
lie in the folder of their study and go with it; beyond a limit, those unused longest go first.
"""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from storage.files.metadata_shelf import PART, folder_of, name_of

PREFIX = "pixels-"
_HEAD = struct.Struct("<8sQL")  # magic, bytes of pixels, their CRC-32
_MAGIC = b"WETPIXL1"
_ROOM_LEFT = 0.9
"""Share of the limit that is left when some had to go."""


class MadeOf(NamedTuple):
    """Whose pixels, and all that decides what they are."""

    study_instance_uid: str
    sop_instance_uid: str
    sha256: str
    """Of the stored data set."""
    transfer_syntax_uid: str
    decoder: str
    """With its version."""


class _Entry(NamedTuple):
    used_ns: int
    size_bytes: int
    path: Path


@dataclass(frozen=True, slots=True)
class DecodedShelf:
    """Crosses process borders. Any process may ``take``, one alone keeps and makes room.

    most_bytes: of all files together. least_free_bytes: with less room on the disk nothing is kept.
    """

    root: Path
    most_bytes: int
    least_free_bytes: int = 0

    def has(self, made_of: MadeOf) -> bool:
        return self._path(made_of).is_file()

    def take(self, made_of: MadeOf, frames: Sequence[memoryview]) -> bool:
        """Fill these, which together are the whole; false where that is not there, or not whole,
        and then they may hold anything."""
        path = self._path(made_of)
        try:
            with path.open("rb") as file:
                is_whole = _read(file, frames)
        except OSError:
            return False
        with suppress(OSError):
            if is_whole:
                os.utime(path)
            else:
                path.unlink()
        return is_whole

    def keep(self, made_of: MadeOf, frames: Sequence[memoryview]) -> int:
        """Put them on the shelf: found whole or not at all. Gives how many bytes that took.

        Raises
        ------
        OSError
            The disk is full, or away; nothing is left of it.
        """
        path = self._path(made_of)
        half = path.with_name(f"{secrets.token_hex(8)}{PART}")
        length, checksum = _measured(frames)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with half.open("xb") as file:
                file.write(_HEAD.pack(_MAGIC, length, checksum))
                for frame in frames:
                    file.write(frame)
            half.replace(path)
        finally:
            with suppress(OSError):
                half.unlink(missing_ok=True)
        return _HEAD.size + length

    def drop(self, made_of: MadeOf) -> None:
        """Take them away again; nothing where nothing is. Raises OSError."""
        self._path(made_of).unlink(missing_ok=True)

    def is_full(self) -> bool:
        """Whether the disk has no room for what is not needed. Raises OSError."""
        at = self.root if self.root.exists() else self.root.parent
        found = os.statvfs(at)
        return found.f_bavail * found.f_frsize < self.least_free_bytes

    def size_bytes(self) -> int:
        """How much lies there."""
        return sum(one.size_bytes for one in self._entries())

    def make_room(self) -> int:
        """Delete what was not used longest, where there is more than may be; gives what is left."""
        entries = sorted(self._entries())
        total = sum(one.size_bytes for one in entries)
        if total <= self.most_bytes:
            return total
        for entry in entries:
            if total <= self.most_bytes * _ROOM_LEFT:
                break
            with suppress(OSError):
                entry.path.unlink(missing_ok=True)
                total -= entry.size_bytes
        return total

    def _entries(self) -> Iterator[_Entry]:
        for path in self.root.glob(f"??/*/{PREFIX}*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                yield _Entry(found.st_mtime_ns, found.st_size, path)

    def _path(self, made_of: MadeOf) -> Path:
        folder = folder_of(self.root, made_of.study_instance_uid)
        return folder / f"{PREFIX}{name_of(chr(0).join(made_of[1:]))}"


def _measured(frames: Sequence[memoryview]) -> tuple[int, int]:
    length = checksum = 0
    for frame in frames:
        length += frame.nbytes
        checksum = zlib.crc32(frame, checksum)
    return length, checksum


def _read(file: BinaryIO, frames: Sequence[memoryview]) -> bool:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return False
    magic, length, expected = _HEAD.unpack(head)
    wanted = sum(frame.nbytes for frame in frames)
    there = os.fstat(file.fileno()).st_size - _HEAD.size
    if magic != _MAGIC or not length == wanted == there:
        return False
    for frame in frames:
        if file.readinto(frame) != frame.nbytes:  # type: ignore[attr-defined]
            return False
    return _measured(frames)[1] == int(expected)
