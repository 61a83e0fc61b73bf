"""The files of a form on their way into the store; what lies in ZIP archives among them too.

An archive is gathered in a temporary file and unpacked when it has come whole, by the thread that
reads the body: the rest of the body waits meanwhile.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Self, cast

from pydicom.uid import MediaStorageDirectoryStorage

from node.receive import archives, statuses
from node.receive.archives import Allowance, Archive, ArchiveFault, Member
from node.receive.file_head import NoFile, begins_as_file, read_head
from node.receive.file_reception import FileReception, Outcome
from node.receive.uploads import Upload
from node.web.dicomweb.storing import Storing, done

_FILE_NAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_LONGEST_NAME = 200
_IN_MEMORY_BYTES = 1024 * 1024
_WITHIN = " › "
_DEEPEST = 1
"""An archive may lie in an archive, and no other in that."""


@dataclass(slots=True)
class Unpacking:
    """How far the archives of a form are unpacked: written to by one thread, read by any."""

    of: int = 0
    """Files in them, as far as they were opened."""
    taken: int = 0


class FormFiles(Storing):
    """Takes the parts that are files, whatever type a browser guesses; passes over other fields."""

    def __init__(self, upload: Upload, settlers: Executor, unpacking: Unpacking) -> None:
        super().__init__(upload, "", settlers)
        self._unpacking = unpacking
        self.names: list[str] = []
        """Of each outcome."""
        self.passed_over: list[str] = []
        """Files in archives that are not meant to be stored: a directory, a viewer program."""
        self._name = ""
        self._beginning: bytearray | None = None
        """What came of a file of which it is not known yet whether it is an archive."""
        self._packed: _Gathered | None = None

    # --- told of the body -------------------------------------------------------------------------

    def begin_part(self, headers: Mapping[str, str]) -> None:
        found = _FILE_NAME.search(headers.get("content-disposition", ""))
        if found is None or not found[1]:  # another field, or no file was chosen
            self._settle_beside()
            return
        self._name = found[1][-_LONGEST_NAME:]
        self._beginning = bytearray()

    def part_data(self, data: memoryview) -> None:
        if self._beginning is not None:
            self._beginning += data
            if len(self._beginning) >= archives.SIGNATURE_BYTES:
                self._decide(self._beginning)
        elif self._packed is not None:
            self._packed.add(data)
        else:
            super().part_data(data)

    def end_part(self) -> None:
        if self._beginning is not None:
            self._decide(self._beginning)
        packed, self._packed = self._packed, None
        if packed is not None:
            with packed:
                self._unpack_whole(packed)
        elif self._coming is not None:
            super().end_part()

    def abandon(self) -> list[Outcome]:
        if self._packed is not None:
            self._packed.close()
            self._packed = None
        return super().abandon()

    def _decide(self, beginning: bytearray) -> None:
        self._beginning = None
        if archives.is_archive(beginning):
            self._packed = _Gathered()
            self._packed.add(memoryview(beginning))
            return
        self._begin(self._name)
        super().part_data(memoryview(beginning))

    # --- archives ---------------------------------------------------------------------------------

    def _unpack_whole(self, packed: _Gathered) -> None:
        name = self._name
        if packed.fault:
            self._refuse(name, packed.fault, statuses.OUT_OF_RESOURCES)
        else:
            self._unpack(name, packed, Allowance(packed.size_bytes), depth=0)

    def _unpack(self, name: str, packed: _Gathered, allowance: Allowance, depth: int) -> None:
        try:
            with archives.opened(packed.file, packed.size_bytes, allowance) as archive:
                if archive.encrypted:
                    self._refuse(name, _encrypted(archive))
                self._unpacking.of += len(archive.members)
                for member in archive.members:
                    self._take_member(name, archive, member, allowance, depth)
                    self._unpacking.taken += 1
        except ArchiveFault as error:
            self._refuse(name, str(error))

    def _take_member(
        self, within: str, archive: Archive, member: Member, allowance: Allowance, depth: int
    ) -> None:
        name = f"{within}{_WITHIN}{member.name[-_LONGEST_NAME:]}"
        try:
            with closing(_with_beginning(archive.pieces(member))) as pieces:
                beginning = next(pieces)
                if archives.is_archive(beginning):
                    self._take_inner(name, beginning, pieces, allowance, depth)
                elif not begins_as_file(beginning) or _is_directory(beginning):
                    self.passed_over.append(name)
                else:
                    self._take_file(name, beginning, pieces)
        except ArchiveFault as error:
            if self._coming is not None:
                self._coming.abandon()
                self._coming = None
                self.names.pop()
            self._refuse(name, str(error))

    def _take_inner(
        self,
        name: str,
        beginning: bytes,
        pieces: Iterator[bytes],
        allowance: Allowance,
        depth: int,
    ) -> None:
        if depth == _DEEPEST:
            raise ArchiveFault("it is an archive that lies two archives deep: unpack the outer one")
        with _Gathered() as inner:
            inner.add(memoryview(beginning))
            for piece in pieces:
                inner.add(memoryview(piece))
            if inner.fault:
                raise ArchiveFault(inner.fault)
            self._unpack(name, inner, allowance, depth + 1)

    def _take_file(self, name: str, beginning: bytes, pieces: Iterator[bytes]) -> None:
        coming = self._begin(name)
        coming.write(beginning)
        for piece in pieces:
            coming.write(piece)  # too large a one is dropped as it comes, and said to be so
        super().end_part()

    # --- outcomes ---------------------------------------------------------------------------------

    def _begin(self, name: str) -> FileReception:
        super().begin_part({})
        self.names.append(name)
        assert self._coming is not None
        return self._coming

    def _refuse(self, name: str, reason: str, status: int = statuses.CANNOT_UNDERSTAND) -> None:
        self._settle_beside()
        self.names.append(name)
        self._outcomes.append(done(Outcome(status, reason)))


class _Gathered:
    """A file that comes piece by piece, in memory as long as it is small; nobody sees it."""

    def __init__(self) -> None:
        made = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  # closed below
        self.file = cast(IO[bytes], made)
        self.size_bytes = 0
        self.fault = ""
        """Why it is not whole."""

    def add(self, data: memoryview) -> None:
        if self.fault:
            return
        self.size_bytes += len(data)
        if self.size_bytes > archives.MAX_ARCHIVE_BYTES:
            self.fault = f"an archive has at most {archives.MAX_ARCHIVE_BYTES >> 30} GiB: divide it"
            return
        try:
            self.file.write(data)
        except OSError:
            self.fault = "the node's folder for temporary files (TMPDIR) has no room for it"

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_beginning(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The pieces; of an empty file one that is empty."""
    yield next(pieces, b"")
    yield from pieces


def _is_directory(beginning: bytes) -> bool:
    """Whether this is a DICOMDIR: it names files of the medium, and nothing can be seen in it."""
    try:
        found = read_head(beginning, is_all=True)
    except NoFile:
        return False  # why it cannot be read is said of it as of any file
    return found is not None and found.offer.sop_class_uid == MediaStorageDirectoryStorage


def _encrypted(archive: Archive) -> str:
    whole = archive.encrypted + len(archive.members)
    return (
        f"{archive.encrypted} of {whole} files in it are encrypted: unpack it with its password and"
        " bring its files"
    )
