"""One instance while it is received: written, sealed, named or put aside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from storage.errors import StoreUnavailable
from storage.files.disk import named_errors, start_writing, sync_file, write_all
from storage.files.seal import PREAMBLE, dataset_digest, holds, read_seal, seal
from storage.files.shelves import STORE, Shelves, key_of, quarantine_name
from storage.quarantine import RefusalKind
from storage.records import Placement, PutOutcome

_SPILL = 256 * 1024
"""So much of an instance is gathered in memory before it is written."""
_HELD = 8 * 1024 * 1024
"""So much, where the instance is there already: most likely it comes again, and none is written."""
_PAGE = 4096


class IncomingFile:
    """One instance while it is received."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._first: bytearray | None = None
        self._header_bytes = self._hashed_from = 0
        self._can_be_sealed = False
        self._mark = b""
        self._begun_for: str | None = None
        self._expected = ""
        self._spill = 0
        """From how many bytes on what is in memory is written; 0: not known yet."""
        self._key = ""
        self._is_touched = False
        """Whether something was written into the file: else all that came is in memory."""
        self._is_reserved = self._is_taken = self._is_closed = False
        self._settled = False
        with named_errors(STORE):
            self._ready = shelves.ready.take()
        self.name = self._ready.name
        self._file = self._ready.path

    def __enter__(self) -> IncomingFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing more comes: what was not placed or put into quarantine is deleted."""
        if self._settled or self._is_closed:
            self._ready.close()
        elif self._is_touched:
            with suppress(OSError):
                self._unseal_for_good()
            self._ready.discard()
        else:
            self._shelves.ready.give_back(self._ready)
        self._is_closed = True
        self._release()

    def _unseal_for_good(self) -> None:
        """A file whose deletion a power cut may undo must not bear a seal then."""
        if self._mark:
            self._unseal()
            if self._shelves.sync:
                os.fdatasync(self._ready.descriptor)

    @property
    def path(self) -> Path:
        return Path(self._file)

    @contextmanager
    def local_file(self) -> Iterator[Path]:
        """What came until now.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        self.flush()
        yield self.path

    def write_header(self, data: bytes, sop_instance_uid: str = "") -> None:
        """Preamble and file meta information, before all else: ours, so not part of the digest.

        With the UID under which it most likely is placed.
        """
        self._expected = sop_instance_uid
        self._can_be_sealed = data[PREAMBLE : PREAMBLE + 4] == b"DICM"
        self._pending += data
        self._header_bytes = self._hashed_from = len(data)
        self.size_bytes += len(data)

    def write(self, data: bytes | memoryview) -> None:
        """Data set bytes, as received."""
        self._pending += data
        self.size_bytes += len(data)
        if len(self._pending) >= _SPILL and len(self._pending) >= self._limit():
            self.flush()

    def _limit(self) -> int:
        """Of what is held in memory: asked of the disk once, and for large instances only."""
        if not self._spill:
            key = key_of(self._expected) if self._expected else ""
            comes_again = key and os.path.lexists(f"{self._shelves.root}/{key}")
            self._spill = _HELD if comes_again else _SPILL
        return self._spill

    def beginning(self) -> memoryview:
        """The data set's first bytes, a few hundred kB or all that came; valid until a write."""
        return memoryview(self._first or self._pending)[self._header_bytes :]

    def flush(self) -> None:
        """Make what was written readable at ``path``; it is hashed while the disk begins."""
        self._write_pending(_PAGE)  # the first page is yet to bear the seal

    def _write_pending(self, begin_at: int) -> None:
        if not self._pending:
            return
        self._is_touched = True
        self._spill = _SPILL
        with named_errors(STORE):
            write_all(self._ready.descriptor, self._pending)
            if self._shelves.sync:
                start_writing(self._ready.descriptor, begin_at)
        self._digest_pending()
        if self._first is None:
            self._first = self._pending
        self._pending = bytearray()
        self._hashed_from = 0

    def _digest_pending(self) -> None:
        with memoryview(self._pending) as pending:
            self._hash.update(pending[self._hashed_from :])
        self._hashed_from = len(self._pending)

    def begin_to_place(self, sop_instance_uid: str) -> None:
        """All bytes came: seal and write them, so that the disk begins while others look at them.

        ``place`` finishes it; with another UID, or in quarantine, the file bears no such seal. Nor
        does it where the name is taken, or others bring the same instance at this moment: of one
        UID no two files are sealed that could both be taken for what was acknowledged.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        self._release()
        self._key = key_of(sop_instance_uid)
        self._begun_for = sop_instance_uid
        if self._is_touched:
            self.flush()
        with named_errors(STORE):
            self._unseal()
            self._is_reserved = self._shelves.reservations.take(self._key)
            self._is_taken = os.path.lexists(self._final)
            if self._is_taken:
                return  # most likely the same again: nothing needs to be written, or hashed
            self._digest_pending()
            if self._is_reserved:
                self._seal(sop_instance_uid)
        self._write_pending(0)

    @property
    def _final(self) -> str:
        return f"{self._shelves.root}/{self._key}"

    def _release(self) -> None:
        if self._is_reserved:
            self._is_reserved = False
            self._shelves.reservations.release(self._key)

    def place(self, sop_instance_uid: str) -> Placement:
        """Give the instance its name; when this returns it survives a power cut.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        if self._begun_for != sop_instance_uid or self._has_made_room():
            self.begin_to_place(sop_instance_uid)
        with named_errors(STORE):
            if self._is_taken:
                return self._place_beside()
            self._sync()
            try:
                os.link(self._file, self._final)
            except FileExistsError:
                return self._place_beside()
            self._settled = True  # from here on others are told that it is there: it must be found
            if not self._mark:
                self._vouch_without_seal(sop_instance_uid)
        digest = self._hash.hexdigest()
        return Placement(PutOutcome.NEW, self._key, self.size_bytes, digest, self.name)

    def _has_made_room(self) -> bool:
        """Whether what had the name has been taken out since."""
        return self._is_taken and not os.path.lexists(self._final)

    def _vouch_without_seal(self, sop_instance_uid: str) -> None:
        """Sync the names: no seal gives them back. The seal comes when they are safe."""
        self._sync_names()
        self._seal(sop_instance_uid)
        if self._mark and self._shelves.sync:
            os.fdatasync(self._ready.descriptor)

    def _seal(self, sop_instance_uid: str) -> None:
        """Write the seal; into what waits in memory, where it is all there."""
        if not self._can_be_sealed:
            return
        digest, size_bytes = self._hash.digest(), self.size_bytes - self._header_bytes
        self._mark = seal(digest, size_bytes, sop_instance_uid, self._shelves.sync)
        if self._pending:
            self._pending[: len(self._mark)] = self._mark
        else:
            os.pwrite(self._ready.descriptor, self._mark, 0)

    def _unseal(self) -> None:
        if self._mark:
            os.pwrite(self._ready.descriptor, bytes(len(self._mark)), 0)
            self._mark = b""

    @property
    def sha256(self) -> str:
        """Of the data set bytes that came until now."""
        self._digest_pending()
        return self._hash.hexdigest()

    def quarantine(self, kind: RefusalKind) -> str:
        """Keep a refused instance aside; gives its name there.

        What lies there already, with the same bytes, stays as it is.
        """
        name = quarantine_name(kind, self.sha256)
        with named_errors(STORE):
            if _has_size(self._shelves.quarantine / name, self.size_bytes):
                return name  # close() deletes what came now
            self._unseal()
            self._sync()
            self._shelves.keep_aside(self.path, kind, self.sha256)
            self._settled = True
        return name

    def _sync(self) -> None:
        self.flush()
        if self._shelves.sync:
            os.fdatasync(self._ready.descriptor)

    def _sync_names(self) -> None:
        self._shelves.sync_folder(Path(self._final).parent)
        self._shelves.sync_folder(Path(self._file).parent)

    def _place_beside(self) -> Placement:
        """Another file has the name: is it the same instance, and safe?"""
        final = Path(self._final)
        if not self._is_the_same(final):
            kept = self.quarantine(RefusalKind.CONFLICT)
            return Placement(PutOutcome.CONFLICT, kept, self.size_bytes, self.sha256, "")
        found = read_seal(final)
        if self._shelves.sync and not (found and found.synced):
            sync_file(final)
            self._sync_names()  # whoever placed it may not have come so far
        digest = found.sha256 if found else self.sha256
        if not os.path.lexists(final):
            raise StoreUnavailable("the same instance was being deleted; it is to be sent again")
        return Placement(PutOutcome.SAME, self._key, self.size_bytes, digest, "")

    def _is_the_same(self, final: Path) -> bool:
        """Whether the data set there is that which came: its bytes are read, not its seal."""
        if self._is_touched:
            return dataset_digest(final) == self.sha256
        with memoryview(self._pending) as pending:
            return holds(final, pending[self._header_bytes :])


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False
