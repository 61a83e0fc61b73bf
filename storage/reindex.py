"""Rebuilds the index from the stored files: they are the truth, the database only a view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom.uid import UID

from storage import index
from storage.attributes import extract
from storage.database import Database
from storage.errors import UnreadableInstance
from storage.instances import InstanceStore
from storage.records import InstanceRecord, Outcome, Placement
from storage.seal import dataset_digest

BATCH = 500

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL")
_DEFER_BYTES = 64


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
                records.append(_whole_record(store, key))
            except UnreadableInstance:
                unreadable.append(key)
        with database.write() as tx:
            added += index.add(tx, records)
        if progress is not None:
            progress(min(start + BATCH, len(keys)), len(keys))
    return ReindexReport(len(keys), added, tuple(unreadable))


def _whole_record(store: InstanceStore, key: str) -> InstanceRecord:
    record = record_of(store, store.path(key))
    try:
        cut_off = _is_cut_off(store.path(key))
    except Exception as error:  # border: pydicom raises nearly anything on damaged bytes
        raise UnreadableInstance(f"the file cannot be read: {type(error).__name__}") from error
    if cut_off:
        raise UnreadableInstance("the file ends before its data set does")
    return record


def _is_cut_off(path: Path) -> bool:
    """Whether elements announce more bytes than there are. pydicom skips over that in silence."""
    with path.open("rb") as file:
        wanted = ["SOPClassUID", "Rows", *_PIXELS]
        dataset = pydicom.dcmread(file, specific_tags=wanted, defer_size=_DEFER_BYTES)
        ended_at = file.tell()
    if ended_at > path.stat().st_size or "SOPClassUID" not in dataset:
        return True  # pydicom drops all elements when one of undefined length has no end
    is_image = "Rows" in dataset or "Image" in UID(dataset.SOPClassUID).name
    return is_image and not any(keyword in dataset for keyword in _PIXELS)


def record_of(store: InstanceStore, path: Path, incoming: str = "") -> InstanceRecord:
    """The index record of a stored file, dated by the file.

    Raises
    ------
    UnreadableInstance
        Also when the file is not the one that the store holds under the instance's name.
    """
    try:
        attributes = extract(pydicom.dcmread(path, stop_before_pixels=True))
        key = store.key_of(attributes.sop_instance_uid)
        status, digest = path.stat(), dataset_digest(path)
        is_placed = store.path(key).samefile(path)
    except UnreadableInstance:
        raise
    except Exception as error:  # border: pydicom raises nearly anything on damaged bytes
        raise UnreadableInstance(f"the file cannot be read: {type(error).__name__}") from error
    if not is_placed:
        raise UnreadableInstance("the file lies under the name of another instance")
    placement = Placement(Outcome.NEW, key, status.st_size, digest, incoming)
    received_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return InstanceRecord(attributes, placement, received_at)
