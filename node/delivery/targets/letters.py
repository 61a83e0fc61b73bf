"""What is sent over the web: files with their UIDs and sizes, and the body that carries several."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from storage.files.blobs import Blob
from storage.header import values

_CHUNK = 1 << 18
_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class Unreadable(Exception):
    """A file cannot be read, or was exchanged since its size was told."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Letter:
    """An object to send. ``index``: its place in the caller's sequence."""

    index: int
    source: Blob
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    size_bytes: int


def read_letter(index: int, source: Blob) -> Letter:
    """
    Raises
    ------
    Unreadable
    """
    try:
        with source.open("rb") as file:
            header = dcmread(file, stop_before_pixels=True, specific_tags=list(_KEYS))
        size = source.size()
    except (OSError, InvalidDicomError) as error:
        raise Unreadable(index, f"the file cannot be read ({type(error).__name__})") from error
    uids = [values.uid(header, key) for key in _KEYS]
    if not all(uids):
        raise Unreadable(index, "the file names no study, series or instance")
    return Letter(index, source, uids[0], uids[1], uids[2], size)


def requests(letters: Iterable[Letter], most: int, most_bytes: int) -> Iterator[list[Letter]]:
    """The letters in order, so many and so large together as one request may be."""
    batch: list[Letter] = []
    size = 0
    for one in letters:
        if batch and (len(batch) == most or size + one.size_bytes > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.size_bytes
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class Body:
    """multipart/related of files (PS3.18 8.6.1.2), read as it is sent; can be read again."""

    letters: Sequence[Letter]
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def headers(self) -> dict[str, str]:
        kind = f'multipart/related; type="application/dicom"; boundary={self.boundary}'
        return {"Content-Type": kind, "Content-Length": str(self._length())}

    def __iter__(self) -> Iterator[bytes]:
        """Raises Unreadable."""
        for one in self.letters:
            yield self._head()
            yield from _content(one)
            yield b"\r\n"
        yield self._end()

    def _head(self) -> bytes:
        return f"--{self.boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()

    def _end(self) -> bytes:
        return f"--{self.boundary}--\r\n".encode()

    def _length(self) -> int:
        each = len(self._head()) + len(b"\r\n")
        return sum(each + one.size_bytes for one in self.letters) + len(self._end())


def _content(letter: Letter) -> Iterator[bytes]:
    left = letter.size_bytes
    try:
        with letter.source.open("rb") as file:
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk
    except OSError as error:
        reason = f"the file cannot be read ({type(error).__name__})"
        raise Unreadable(letter.index, reason) from error
    if left:
        raise Unreadable(letter.index, "the file has become shorter")
