"""The instance store: every received file exactly as it came, synced before it is acknowledged.

A file's name derives from its SOP Instance UID, so the file system itself settles that there is
one instance to a UID: ``link`` fails where one lies already. A second link in ``incoming/`` stays
until the index has the instance; what an abrupt end left there is found at the next start.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from storage.errors import OutOfSpace, StoreUnavailable
from storage.records import Outcome, Placement

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PREAMBLE = 128
_CHUNK = 1 << 20
_STORE = "the instance store"


class InstanceStore:
    """A folder of instances, and the folder where refused ones are kept aside."""

    def __init__(self, root: Path, quarantine: Path) -> None:
        self.root = root
        self.quarantine = quarantine
        self.incoming = root / "incoming"
        with named_errors(_STORE):
            self._make_folders()

    def _make_folders(self) -> None:
        for folder in (self.root, self.incoming, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True)
        missing = [name for name in _SHARDS if not (self.root / name).is_dir()]
        for name in missing:
            (self.root / name).mkdir(exist_ok=True)
        for folder in (self.root, self.root.parent, self.quarantine.parent):
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

    def unindexed(self) -> list[tuple[str, Path]]:
        """What was received whole and may lack its index row: (incoming name, path).

        Files that were never linked to their final name were never acknowledged: deleted. So this
        is for the start only, before anything is received.

        Raises
        ------
        StoreUnavailable
        """
        found = []
        with named_errors(_STORE):
            for path in sorted(self.incoming.iterdir()):
                if path.suffix == _PART and path.stat().st_nlink >= 2:
                    found.append((path.name, path))
                else:
                    path.unlink()
        return found

    def forget_incoming(self, name: str) -> None:
        """The index has the instance: its second link may go. ``name`` is empty where none is.

        Neither synced nor sure: a link that stays is found, and dropped, at the next start.
        """
        if name:
            with suppress(OSError):
                (self.incoming / name).unlink()

    def free_bytes(self) -> int:
        with named_errors(_STORE):
            return shutil.disk_usage(self.root).free

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

    def delete(self, key: str) -> None:
        with named_errors(_STORE):
            self.path(key).unlink(missing_ok=True)


class IncomingFile:
    """One instance while it is received."""

    def __init__(self, store: InstanceStore) -> None:
        self._store = store
        self.name = f"{secrets.token_hex(16)}{_PART}"
        self.path = store.incoming / self.name
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._settled = False
        with named_errors(_STORE):
            self._file = self.path.open("xb", buffering=_CHUNK)

    def __enter__(self) -> IncomingFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._file.close()
        if not self._settled:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def write_header(self, data: bytes) -> None:
        """Preamble and file meta information: ours, so not part of the digest."""
        with named_errors(_STORE):
            self._file.write(data)
        self.size_bytes += len(data)

    def write(self, data: bytes | memoryview) -> None:
        """Data set bytes, as received."""
        with named_errors(_STORE):
            self._file.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)

    def flush(self) -> None:
        """Make what was written readable at ``path``."""
        with named_errors(_STORE):
            self._file.flush()

    def place(self, sop_instance_uid: str) -> Placement:
        """Give the instance its name; when this returns it survives a power cut.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        key = self._store.key_of(sop_instance_uid)
        final = self._store.path(key)
        with named_errors(_STORE):
            self._sync()
            try:
                os.link(self.path, final)
            except FileExistsError:
                return self._place_beside(key, final)
            self._settled = True  # from here on others are told that it is there: it must be found
            sync_folder(final.parent)
            sync_folder(self._store.incoming)
        return Placement(Outcome.NEW, key, self.size_bytes, self._hash.hexdigest(), self.name)

    def quarantine(self, reason: str) -> str:
        """Keep a refused instance aside; gives its name there. ``reason`` is one short word."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        name = f"{now}-{reason}-{secrets.token_hex(4)}.dcm"
        with named_errors(_STORE):
            self._sync()
            _move(self.path, self._store.quarantine / name)
            self._settled = True
            sync_folder(self._store.quarantine)
        return name

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _place_beside(self, key: str, final: Path) -> Placement:
        digest = self._hash.hexdigest()
        if dataset_digest(final) == digest:
            sync_folder(final.parent)
            sync_folder(self._store.incoming)  # whoever placed it may not have come so far
            return Placement(Outcome.SAME, key, self.size_bytes, digest, "")
        kept = self.quarantine("conflict")
        return Placement(Outcome.CONFLICT, kept, self.size_bytes, digest, "")


_SHARDS = tuple(f"{number:02x}" for number in range(256))
_PART = ".part"


def dataset_digest(path: Path) -> str:
    """sha256 of a file's data set: what follows preamble, "DICM" and the group 2 elements."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(_dataset_offset(file.read(_PREAMBLE + 16)))
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _dataset_offset(head: bytes) -> int:
    """Where the data set begins: after (0002,0000), whose UL value counts the rest of group 2."""
    group_length = head[_PREAMBLE + 4 : _PREAMBLE + 16]
    is_whole = len(group_length) == 12 and head[_PREAMBLE : _PREAMBLE + 4] == b"DICM"
    if not is_whole or group_length[:6] != b"\x02\x00\x00\x00UL":
        return 0
    return _PREAMBLE + 16 + int.from_bytes(group_length[8:12], "little")


def _move(path: Path, target: Path) -> None:
    """Rename; across file systems copy, sync, then delete."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            with path.open("rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError:
            target.unlink(missing_ok=True)
            raise
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Turn what the file system raises into the errors of this package."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        if error.errno in _FULL:
            raise OutOfSpace(f"{what} is full: {reason}") from error
        raise StoreUnavailable(f"{what} failed: {reason}") from error
