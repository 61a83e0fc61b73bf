"""The instance store: every received file exactly as it came, synced before it is acknowledged.

A file's name derives from its SOP Instance UID, so the file system itself settles that there is
one instance to a UID: ``link`` fails where one lies already. A second link in ``incoming/`` stays
until the index has the instance; what an abrupt end left there is found at the next start.

One sync settles an instance. Files are received into names in ``incoming/`` that were made and
synced before, by the dozen, so a power cut takes none away; and each file carries a seal over its
own bytes (``storage.files.seal``), by which the next start tells a whole instance from a torn one
and gives it its final name, should that have been lost. The folders of final names are synced
later, for many instances at once, and only then the second links may go.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from storage.errors import StorageError, StoreUnavailable
from storage.files import folder_lock, refused_runs
from storage.files.blobs import Blob, Files
from storage.files.disk import copy_synced, move, named_errors
from storage.files.incoming import IncomingFile
from storage.files.port import Readable
from storage.files.ready_files import PART
from storage.files.seal import dataset_digest, seal_file, sealed_uid
from storage.files.shelves import SHARDS, STORE, Shelves, key_of, quarantine_name
from storage.quarantine import RefusalKind, Refused
from storage.records import Placement

_ROOM_S = 0.1
_RECEIVERS_END_S = 10.0
"""How long receivers of a node that was killed may take to notice."""
_RECEIVERS = ".receivers.lock"
_FOLDER = "the folder of instances"
_QUARANTINE = "the quarantine folder"


class InstanceStore:
    """A folder of instances, and the folder where refused ones are kept aside."""

    def __init__(self, root: Path, quarantine: Path, sync: bool = True, receiver: str = "") -> None:
        """Without ``sync`` nothing waits for the disk, and a power cut may take what was stored.

        ``receiver`` names the process that receives into it, where there are several: each has
        a folder of its own in ``incoming``.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        self.root = root
        self.quarantine = quarantine
        self._receiver = receiver
        self._shelves = Shelves(root, quarantine, sync, receiver)
        self.blobs = Files(root)
        self.incoming = self._shelves.incoming
        self.discarded = self._shelves.discarded
        self.ready = self._shelves.ready
        self._held: IO[bytes] | None = None
        self._room_until = 0.0

    def lock(self) -> None:
        """Be the one node that works here, until unlocked or the process ends.

        A receiver process only keeps the next node from starting while it is at work.

        Raises
        ------
        FolderTaken, StoreUnavailable
        """
        if self._receiver:
            self._held = folder_lock.share(self.root, _FOLDER, _RECEIVERS)
            return
        self._held = folder_lock.lock(self.root, _FOLDER)
        try:
            folder_lock.lock(self.root, _FOLDER, _RECEIVERS, _RECEIVERS_END_S).close()
        except StorageError:
            self.unlock()
            raise

    def unlock(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """``lock`` for as long as something is done.

        Raises
        ------
        FolderTaken, StoreUnavailable
        """
        self.lock()
        try:
            yield
        finally:
            self.unlock()

    def open_incoming(self) -> IncomingFile:
        """A new file to receive into; leaving it without ``place`` deletes it."""
        return IncomingFile(self._shelves)

    def path(self, key: str) -> Path:
        return self.blobs.path(key)

    def key_of(self, sop_instance_uid: str) -> str:
        """Where an instance lies, or would."""
        return key_of(sop_instance_uid)

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
        for shard in SHARDS:
            with named_errors(STORE):
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
        with named_errors(STORE):
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

    def is_placed(self, found: Readable, key: str) -> bool:
        """Whether these bytes, of ``unindexed`` or of a key, are what lies under this key.

        Raises
        ------
        OSError
        """
        path = self.path(found.key) if isinstance(found, Blob) else found
        return isinstance(path, Path) and self.path(key).samefile(path)

    def received_at(self, key: str) -> float:
        """Raises OSError."""
        return self.path(key).stat().st_mtime

    def _restore(self, path: Path) -> bool:
        """Give a sealed file its final name; false where it is not sealed, or not needed.

        A final name that is there already, without being a link to it, comes of a copy of the
        folder that knew no hard links: then it is linked anew.
        """
        uid = sealed_uid(path)
        if not uid:
            return False
        final = self.path(key_of(uid))
        try:
            os.link(path, final)
        except FileExistsError:
            sha256 = dataset_digest(path)
            if dataset_digest(final) != sha256:
                self._shelves.keep_aside(path, RefusalKind.CONFLICT, sha256)
                return False
            path.unlink()
            os.link(final, path)
        return True

    def set_aside(self, name: str, reason: str) -> Refused:
        """Move a file that ``unindexed`` found, and that is no instance, to quarantine.

        Raises
        ------
        StoreUnavailable
        """
        path = self.incoming / name
        with named_errors(STORE):
            uid, sha256 = sealed_uid(path), dataset_digest(path)
            final = self.path(key_of(uid))
            if final.exists() and final.samefile(path):
                final.unlink()
            kept = self._shelves.keep_aside(path, RefusalKind.UNREADABLE, sha256)
        return Refused(kept, RefusalKind.UNREADABLE, reason, sha256, uid)

    def withdraw(self, placement: Placement, kind: RefusalKind | None = None) -> str:
        """Take out a placed instance whose row is another's, with its second link.

        Into quarantine under a ``kind``, and gives its name there; deleted without one. Repeated
        after an abrupt end it goes on; what is gone already is no fault.

        Raises
        ------
        StoreUnavailable
        """
        final, kept = self.path(placement.key), ""
        second = self.incoming / placement.incoming if placement.incoming else None
        with named_errors(STORE):
            if kind is not None:
                kept = quarantine_name(kind, placement.sha256)
                with suppress(FileNotFoundError):
                    copy_synced(final, self.quarantine / kept)
                    self._shelves.sync_folder(self.quarantine)
            final.unlink(missing_ok=True)  # first: with its seal the second link gives it back
            if second is not None:
                second.unlink(missing_ok=True)
        return kept

    def settle(self, placements: Iterable[Placement]) -> None:
        """The index has these instances: sync their final names, then drop the second links.

        Raises
        ------
        StoreUnavailable
        """
        known = [one for one in placements if one.incoming]
        with named_errors(STORE):
            for shard in sorted({one.key[:2] for one in known}):
                self._shelves.sync_folder(self.root / shard)
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
        with named_errors(STORE):
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
        with named_errors(STORE):
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
        with named_errors(STORE):
            if newer.exists():
                if dataset_digest(final) == old_sha256:
                    copy_synced(final, self.quarantine / old)
                    self._shelves.sync_folder(self.quarantine)
                seal_file(newer, sop_instance_uid)
                move(newer, final)
                self._shelves.sync_folder(final.parent)
            elif dataset_digest(final) == old_sha256:
                raise StoreUnavailable("the refused image is no longer in quarantine")
        return old

    def discard(self, key: str) -> None:
        """Take an instance out of the store; ``give_back`` or ``purge`` decides about it.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(STORE), suppress(FileNotFoundError):
            self.path(key).rename(self._discarded(key))

    def give_back(self, key: str) -> None:
        """A discarded instance is wanted after all; one that came anew meanwhile stays.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(STORE), suppress(FileNotFoundError):
            with suppress(FileExistsError):
                os.link(self._discarded(key), self.path(key))
                self._shelves.sync_folder(self.path(key).parent)
            self._discarded(key).unlink()

    def purge(self, key: str) -> None:
        """Delete a discarded instance for good.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(STORE):
            self._discarded(key).unlink(missing_ok=True)

    def can_be_taken(self, kept: str, sha256: str) -> bool:
        """Whether refused bytes are those of the digest; true also where ``exchange`` took them."""
        path = self.quarantine / kept
        try:
            return not path.exists() or dataset_digest(path) == sha256
        except OSError:
            return False

    def refused_bytes(self) -> int:
        """Of what was refused, without the folders of jobs.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_QUARANTINE), os.scandir(self.quarantine) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())

    def refused_runs(self) -> list[refused_runs.RefusedRun]:
        """What was refused of results, the oldest first.

        Raises
        ------
        StoreUnavailable
        """
        with named_errors(_QUARANTINE):
            return refused_runs.found(self.quarantine)

    def delete_refused_run(self, name: str) -> None:
        """Raises StoreUnavailable."""
        with named_errors(_QUARANTINE):
            shutil.rmtree(self.quarantine / name)

    def delete_refused(self, kept: str) -> None:
        """Raises StoreUnavailable."""
        with named_errors(_QUARANTINE):
            (self.quarantine / kept).unlink(missing_ok=True)

    def _discarded(self, key: str) -> Path:
        return self.discarded / Path(key).name
