"""Rebuilds the index from the stored files: they are the truth, the database only a view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from storage import index
from storage.attributes import extract
from storage.database import Database
from storage.errors import UnreadableInstance
from storage.instances import InstanceStore, dataset_digest
from storage.records import InstanceRecord, Outcome, Placement

BATCH = 500


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What was found: files in all, rows added, keys of files that could not be read."""

    found: int
    added: int
    unreadable: tuple[str, ...]


def reindex(
    database: Database, store: InstanceStore, progress: Callable[[int, int], None] | None = None
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
                records.append(record_of(store, store.path(key)))
            except UnreadableInstance:
                unreadable.append(key)
        with database.write() as tx:
            added += index.add(tx, records)
        if progress is not None:
            progress(min(start + BATCH, len(keys)), len(keys))
    return ReindexReport(len(keys), added, tuple(unreadable))


def record_of(store: InstanceStore, path: Path, incoming: str = "") -> InstanceRecord:
    """The index record of a stored file, dated by the file.

    Raises
    ------
    UnreadableInstance
    """
    try:
        attributes = extract(pydicom.dcmread(path, stop_before_pixels=True))
    except (InvalidDicomError, OSError, EOFError) as error:
        raise UnreadableInstance(f"the file cannot be read: {type(error).__name__}") from error
    status = path.stat()
    placement = Placement(
        outcome=Outcome.NEW,
        key=store.key_of(attributes.sop_instance_uid),
        size_bytes=status.st_size,
        sha256=dataset_digest(path),
        incoming=incoming,
    )
    received_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return InstanceRecord(attributes, placement, received_at)
