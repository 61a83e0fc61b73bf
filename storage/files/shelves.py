"""The folders of an instance store and the names in them: what lies where, and whose names last.

A key leads to ``root``; what is being received lies in ``incoming``, what was refused in
``quarantine``. Reads no bytes and knows no instance.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from storage.files.disk import move, named_errors, sync_folder
from storage.files.ready_files import ReadyFiles
from storage.files.reservations import Reservations
from storage.quarantine import RefusalKind

STORE = "the instance store"
"""What faults of the disk are said of."""
SHARDS = tuple(f"{number:02x}" for number in range(256))
"""The folders of final names."""
_PLACING = ".placing"


class Shelves:
    """Made if they are not there. Without ``sync`` no name waits for the disk."""

    def __init__(self, root: Path, quarantine: Path, sync: bool, receiver: str) -> None:
        """``receiver``: whose part of ``incoming`` is received into; empty for all of it.

        Raises
        ------
        OutOfSpace, StoreUnavailable
        """
        self.root = root
        self.quarantine = quarantine
        self.sync = sync
        self.incoming = root / "incoming"
        self.discarded = root / "discarded"
        self._own_incoming = self.incoming / receiver
        self.ready = ReadyFiles(self._own_incoming, receiver, sync)
        self.reservations = Reservations(root / _PLACING if receiver else None)
        with named_errors(STORE):
            self._make()

    def _make(self) -> None:
        for folder in (self.root, self._own_incoming, self.discarded, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True)
        for name in SHARDS:
            (self.root / name).mkdir(exist_ok=True)
        parents = (self.root, self.root.parent, self.quarantine.parent, self._own_incoming.parent)
        for folder in dict.fromkeys(parents):
            self.sync_folder(folder)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder survive a power cut, unless the store is not to sync."""
        if self.sync:
            sync_folder(folder)

    def keep_aside(self, path: Path, kind: RefusalKind, sha256: str) -> str:
        """Move a synced file to quarantine, and give its name there. Raises OSError."""
        kept = quarantine_name(kind, sha256)
        move(path, self.quarantine / kept)
        self.sync_folder(self.quarantine)
        return kept


def key_of(sop_instance_uid: str) -> str:
    """Where an instance lies. A digest: a UID from a peer never becomes a path."""
    digest = hashlib.blake2b(sop_instance_uid.encode(), digest_size=16).hexdigest()
    return f"{digest[:2]}/{digest}.dcm"


def quarantine_name(kind: RefusalKind, sha256: str) -> str:
    """The name of refused bytes in quarantine: the same bytes have the same name."""
    return f"{kind}-{sha256}.dcm"
