"""The instance store: every received file exactly as it came, synced before it is acknowledged.

A file's name derives from its SOP Instance UID, so the file system itself settles that there is
one instance to a UID: ``link`` fails where one lies already. A second link in ``incoming/`` stays
until the index has the instance; what an abrupt end left there is found at the next start.

One sync settles an instance. Files are received into names in ``incoming/`` that were made and
synced before, by the dozen, so a power cut takes none away; and each file carries a seal over its
own bytes (``storage.seal``), by which the next start tells a whole instance from a torn one and
gives it its final name, should that have been lost. The folders of final names are synced later,
for many instances at once, and only then the second links may go.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from storage.disk import (
    copy_synced,
    move,
    named_errors,
    start_writing,
    sync_file,
    sync_folder,
    write_all,
)
from storage.errors import StoreUnavailable
from storage.quarantine import RefusalKind, Refused
from storage.ready_files import PART, ReadyFiles
from storage.records import Outcome, Placement
from storage.seal import PREAMBLE, dataset_digest, seal, seal_file, sealed_uid

_SPILL = 256 * 1024
"""So much of an instance is gathered in memory before it is written."""
_PAGE = 4096
_ROOM_S = 0.1
_STORE = "the instance store"


class InstanceStore:
    """A folder of instances, and the folder where refused ones are kept aside."""

    def __init__(self, root: Path, quarantine: Path, sync: bool = True, receiver: str = "") -> None:
        """Without ``sync`` nothing waits for the disk, and a power cut may take what was stored.

        ``receiver`` names the process that receives into it, where there are several: each has
        a folder of its own in ``incoming``.
        """
        self.root = root
        self.quarantine = quarantine
        self.receiver = receiver
        self.incoming = root / "incoming"
        self.discarded = root / "discarded"
        self.sync = sync
        self._own_incoming = self.incoming / receiver
        self.ready = ReadyFiles(self._own_incoming, receiver, sync)
        self._room_until = 0.0
        with named_errors(_STORE):
            self._make_folders()

    def _make_folders(self) -> None:
        for folder in (self.root, self._own_incoming, self.discarded, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True)
        for name in _SHARDS:
            (self.root / name).mkdir(exist_ok=True)
        parents = (self.root, self.root.parent, self.quarantine.parent, self._own_incoming.parent)
        for folder in dict.fromkeys(parents):
            self.sync_folder(folder)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder survive a power cut, unless the store is not to sync."""
        if self.sync:
            sync_folder(folder)

    def open_incoming(self) -> IncomingFile:
        """A new file to receive into; leaving it without ``place`` deletes it."""
        return IncomingFile(self)

    def path(self, key: str) -> Path:
        return self.root / key

    def key_of(self, sop_instance_uid: str) -> str:
        """Where an instance lies. A digest: a UID from a peer never becomes a path."""
        digest = hashlib.blake2b(sop_instance_uid.encode(), digest_size=16).hexdigest()
        return f"{digest[:2]}/{digest}.dcm"

    def verify(self, key: str, sha256: str) -> bool:
        """Whether the file is there with the bytes that were received."""
        try:
            return dataset_digest(self.path(key)) == sha256
        except OSError:
            return False

    def iterate(self) -> Iterator[str]:
        """The keys of all instances, in no order that means anything.

        Raises
        ------
        StoreUnavailable
        """
        for shard in _SHARDS:
            with named_errors(_STORE):
                names = sorted(path.name for path in (self.root / shard).iterdir())
            yield from (f"{shard}/{name}" for name in names if name.endswith(".dcm"))

    def unindexed(self, receiver: str = "") -> list[tuple[str, Path]]:
        """What was received whole and may lack its index row: (incoming name, path).

        A sealed file that lost its final name in a power cut gets it back. What is neither linked
        nor sealed was never acknowledged: deleted. So this is for the start, before anything is
        received; or for what one ``receiver`` left that has ended.

        Raises
        ------
        StoreUnavailable
        """
        found = []
        with named_errors(_STORE):
            if not receiver:
                self.ready.forget()  # their names go with the others that nothing came into
            self.incoming.stat()  # what has vanished is a fault, and not empty
            for path in sorted((self.incoming / receiver).rglob("*")):
                if path.is_dir():
                    continue
                if path.suffix == PART and (path.stat().st_nlink >= 2 or self._restore(path)):
                    found.append((str(path.relative_to(self.incoming)), path))
                else:
                    path.unlink(missing_ok=True)
        return found

    def _restore(self, path: Path) -> bool:
        """Give a sealed file its final name; false where it is not sealed, or not needed."""
        uid = sealed_uid(path)
        if not uid:
            return False
        final = self.path(self.key_of(uid))
        try:
            os.link(path, final)
        except FileExistsError:
            if dataset_digest(final) != dataset_digest(path):
                self._keep_aside(path, RefusalKind.CONFLICT, dataset_digest(path))
            return False
        return True

    def set_aside(self, name: str, reason: str) -> Refused:
        """Move a file that ``unindexed`` found, and that is no instance, to quarantine.

        Raises
        ------
        StoreUnavailable
        """
        path = self.incoming / name
        with named_errors(_STORE):
            uid, sha256 = sealed_uid(path), dataset_digest(path)
            final = self.path(self.key_of(uid))
            if final.exists() and final.samefile(path):
                final.unlink()
            kept = self._keep_aside(path, RefusalKind.UNREADABLE, sha256)
        return Refused(kept, RefusalKind.UNREADABLE, reason, sha256, uid)

    def _keep_aside(self, path: Path, kind: RefusalKind, sha256: str) -> str:
        """Move a synced file to quarantine; the same bytes are there once. Raises OSError."""
        kept = quarantine_name(kind, sha256)
        move(path, self.quarantine / kept)
        self.sync_folder(self.quarantine)
        return kept

    def settle(self, placements: Iterable[Placement]) -> None:
        """The index has these instances: sync their final names, then drop the second links.

        Raises
        ------
        StoreUnavailable
        """
        known = [one for one in placements if one.incoming]
        with named_errors(_STORE):
            for shard in sorted({one.key[:2] for one in known}):
                self.sync_folder(self.root / shard)
        for one in known:
            self.forget_incoming(one.incoming)

    def forget_incoming(self, name: str) -> None:
        """Drop a second link, once the final name is synced. ``name`` is empty where none is.

        Neither synced nor sure: a link that stays is found, and dropped, at the next start.
        """
        if name:
            with suppress(OSError):
                (self.incoming / name).unlink()

    def free_bytes(self) -> int:
        return self.free_bytes_at(self.root)

    @staticmethod
    def free_bytes_at(folder: Path) -> int:
        """Raises StoreUnavailable."""
        with named_errors(_STORE):
            return shutil.disk_usage(folder).free

    def has_room(self, bytes_free: int) -> bool:
        """Whether so much is free: asked of the disk a few times a second while it is so."""
        now = time.monotonic()
        if now >= self._room_until:
            if self.free_bytes() < bytes_free:
                return False
            self._room_until = now + _ROOM_S
        return True

    def probe(self) -> None:
        """Write, sync, link, read back and delete a small file.

        Raises
        ------
        StoreUnavailable
        """
        token = secrets.token_bytes(32)
        path = self.incoming / f"probe-{secrets.token_hex(8)}"
        linked = path.with_suffix(".link")
        with named_errors(_STORE):
            try:
                with path.open("wb") as file:
                    file.write(token)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(path, linked)
                if linked.read_bytes() != token:
                    raise StoreUnavailable("a probe file came back with other bytes")
            finally:
                linked.unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def exchange(self, key: str, kept: str, sop_instance_uid: str, old_sha256: str) -> str:
        """Store refused bytes in the place of others, which go to quarantine: their name there.

        Repeated after an abrupt end it goes on where that came to.

        Raises
        ------
        StoreUnavailable
            Also when what was kept aside is not there any more.
        """
        newer, final = self.quarantine / kept, self.path(key)
        old = quarantine_name(RefusalKind.REPLACED, old_sha256)
        with named_errors(_STORE):
            if newer.exists():
                if dataset_digest(final) == old_sha256:
                    copy_synced(final, self.quarantine / old)
                    self.sync_folder(self.quarantine)
                seal_file(newer, sop_instance_uid)
                move(newer, final)
                self.sync_folder(final.parent)
            elif dataset_digest(final) == old_sha256:
                raise StoreUnavailable("the refused image is no longer in quarantine")
        return old

    def discard(self, key: str) -> None:
        """Take an instance out of the store; ``give_back`` or ``purge`` decides about it.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_STORE), suppress(FileNotFoundError):
            self.path(key).rename(self._discarded(key))

    def give_back(self, key: str) -> None:
        """A discarded instance is wanted after all; one that came anew meanwhile stays.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_STORE), suppress(FileNotFoundError):
            with suppress(FileExistsError):
                os.link(self._discarded(key), self.path(key))
                self.sync_folder(self.path(key).parent)
            self._discarded(key).unlink()

    def purge(self, key: str) -> None:
        """Delete a discarded instance for good.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_STORE):
            self._discarded(key).unlink(missing_ok=True)

    def _discarded(self, key: str) -> Path:
        return self.discarded / Path(key).name


class IncomingFile:
    """One instance while it is received."""

    def __init__(self, store: InstanceStore) -> None:
        self._store = store
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._first: bytearray | None = None
        self._header_bytes = self._hashed_from = 0
        self._can_be_sealed = False
        self._mark = b""
        self._begun_for: str | None = None
        self._key = ""
        self._is_taken = False
        self._settled = False
        with named_errors(_STORE):
            self._ready = store.ready.take()
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
        self._ready.close()
        if not self._settled:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    @property
    def path(self) -> Path:
        return Path(self._file)

    def write_header(self, data: bytes) -> None:
        """Preamble and file meta information, before all else: ours, so not part of the digest."""
        self._can_be_sealed = data[PREAMBLE : PREAMBLE + 4] == b"DICM"
        self._pending += data
        self._header_bytes = self._hashed_from = len(data)
        self.size_bytes += len(data)

    def write(self, data: bytes | memoryview) -> None:
        """Data set bytes, as received."""
        self._pending += data
        self.size_bytes += len(data)
        if len(self._pending) >= _SPILL:
            self.flush()

    def beginning(self) -> memoryview:
        """The data set's first bytes, a few hundred kB or all that came; valid until a write."""
        return memoryview(self._first or self._pending)[self._header_bytes :]

    def flush(self) -> None:
        """Make what was written readable at ``path``; it is hashed while the disk begins."""
        self._write_pending(_PAGE)  # the first page is yet to bear the seal

    def _write_pending(self, begin_at: int) -> None:
        if not self._pending:
            return
        with named_errors(_STORE):
            write_all(self._ready.descriptor, self._pending)
            if self._store.sync:
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

        ``place`` finishes it; with another UID, or in quarantine, the file bears no such seal.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        self._key = self._store.key_of(sop_instance_uid)
        final = f"{self._store.root}/{self._key}"
        if len(self._pending) < self.size_bytes:
            self.flush()
        self._digest_pending()
        with named_errors(_STORE):
            self._unseal()
            self._is_taken = os.path.lexists(final)  # what is not taken must not bear a seal
            if self._can_be_sealed and not self._is_taken:
                self._seal(sop_instance_uid)
        self._write_pending(0)
        self._begun_for = sop_instance_uid

    def place(self, sop_instance_uid: str) -> Placement:
        """Give the instance its name; when this returns it survives a power cut.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        if self._begun_for != sop_instance_uid:
            self.begin_to_place(sop_instance_uid)
        key, final = self._key, f"{self._store.root}/{self._key}"
        with named_errors(_STORE):
            if self._is_taken:
                return self._place_beside(key, Path(final))
            self._sync()
            try:
                os.link(self._file, final)
            except FileExistsError:
                return self._place_beside(key, Path(final))
            self._settled = True  # from here on others are told that it is there: it must be found
            if not self._mark:
                self._sync_names(Path(final))
        return Placement(Outcome.NEW, key, self.size_bytes, self._hash.hexdigest(), self.name)

    def _seal(self, sop_instance_uid: str) -> None:
        """Write the seal; into what waits in memory, where it is all there."""
        digest, size_bytes = self._hash.digest(), self.size_bytes - self._header_bytes
        self._mark = seal(digest, size_bytes, sop_instance_uid)
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
        with named_errors(_STORE):
            if _has_size(self._store.quarantine / name, self.size_bytes):
                return name  # close() deletes what came now
            self._unseal()
            self._sync()
            self._store._keep_aside(self.path, kind, self.sha256)
            self._settled = True
        return name

    def _sync(self) -> None:
        self.flush()
        if self._store.sync:
            os.fdatasync(self._ready.descriptor)

    def _sync_names(self, final: Path) -> None:
        self._store.sync_folder(final.parent)
        self._store.sync_folder(Path(self._file).parent)

    def _place_beside(self, key: str, final: Path) -> Placement:
        digest = self._hash.hexdigest()
        if dataset_digest(final) == digest:
            if self._store.sync:
                sync_file(final)
            self._sync_names(final)  # whoever placed it may not have come so far
            if not os.path.lexists(final):
                raise StoreUnavailable(
                    "the same instance was being deleted; it is to be sent again"
                )
            return Placement(Outcome.SAME, key, self.size_bytes, digest, "")
        kept = self.quarantine(RefusalKind.CONFLICT)
        return Placement(Outcome.CONFLICT, kept, self.size_bytes, digest, "")


_SHARDS = tuple(f"{number:02x}" for number in range(256))


def quarantine_name(kind: RefusalKind, sha256: str) -> str:
    """The name of refused bytes in quarantine: the same bytes have the same name."""
    return f"{kind}-{sha256}.dcm"


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False
