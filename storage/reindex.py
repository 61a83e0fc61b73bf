"""Rebuilds the index from the stored files: they are the truth, the database only a view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from storage import index
from storage.blobs import Blob, local_file
from storage.database import Database
from storage.errors import UnreadableInstance
from storage.header import read_attributes
from storage.port import Instances, Readable
from storage.records import InstanceRecord, Placement, PutOutcome
from storage.seal import contradicts_seal, dataset_digest

BATCH = 500


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What was found: files in all, rows added, keys of files that could not be read."""

    found: int
    added: int
    unreadable: tuple[str, ...]


def reindex(
    database: Database, store: Instances, progress: Callable[[int, int], None] | None = None
) -> ReindexReport:
    """Enter every stored file that the index lacks; nothing is deleted or moved.

    ``progress`` is called with (files read, files in all).
    """
    keys = list(store.iterate())
    added = 0
    unreadable: list[str] = []
    for start in range(0, len(keys), BATCH):
        records = []
        for key in keys[start : start + BATCH]:
            try:
                records.append(record_of(store, Blob(store.blobs, key)))
            except UnreadableInstance:
                unreadable.append(key)
        with database.write() as tx:
            added += index.add(tx, records)
        if progress is not None:
            progress(min(start + BATCH, len(keys)), len(keys))
    return ReindexReport(len(keys), added, tuple(unreadable))


def record_of(store: Instances, found: Readable, incoming: str = "") -> InstanceRecord:
    """The index record of stored bytes, dated by the store: of all that was ever acknowledged.

    Raises
    ------
    UnreadableInstance
        Also when the file does not hold what it was sealed for, or is not the one that the store
        holds under the instance's name.
    """
    try:
        with local_file(found) as path:
            attributes = read_attributes(path)
            size_bytes, digest = path.stat().st_size, dataset_digest(path)
            is_damaged = contradicts_seal(path, digest)
        key = store.key_of(attributes.sop_instance_uid)
        is_placed = store.is_placed(found, key)
        received_at = datetime.fromtimestamp(store.received_at(key), UTC)
    except OSError as error:
        raise UnreadableInstance(f"the file cannot be read: {type(error).__name__}") from error
    if is_damaged:
        raise UnreadableInstance("the file does not hold the bytes that were received")
    if not is_placed:
        raise UnreadableInstance("the file lies under the name of another instance")
    placement = Placement(PutOutcome.NEW, key, size_bytes, digest, incoming)
    return InstanceRecord(attributes, placement, received_at)
