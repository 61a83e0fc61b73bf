"""Rebuilds the index from what is stored: that is the truth, the database only a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from storage import index
from storage.database import Database
from storage.errors import UnreadableInstance
from storage.files.blobs import Blob, local_file, sha256_of
from storage.files.port import Instances, JobPlace, Readable, Results
from storage.files.seal import contradicts_seal, dataset_digest
from storage.header.reading import read_attributes
from storage.records import FoundResults, InstanceRecord, Placement, PutOutcome, ResultObject

BATCH = 500


Progress = Callable[[int, int], None]
"""Is called with how many were read, and of how many."""


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What was found: files in all, rows added, keys of files that could not be read."""

    found: int
    added: int
    unreadable: tuple[str, ...]
    without_study: int = 0
    """Results of studies that are not there: left out."""


def reindex(
    database: Database, store: Instances, progress: Progress | None = None
) -> ReindexReport:
    """Enter every stored instance that the index lacks; nothing is deleted or moved."""
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


def reindex_results(
    database: Database,
    results: Results,
    found_in: Callable[[JobPlace], FoundResults | None],
    progress: Progress | None = None,
) -> ReindexReport:
    """Enter what jobs have left, as the node's own; after the instances: their study has to be
    there.

    found_in: reads the record of a job beside its results; what has none was never let out.
    """
    jobs = list(results.jobs())
    found = added = without_study = 0
    unreadable: list[str] = []
    for number, key in enumerate(jobs, start=1):
        of_job = found_in(results.job(key))
        objects = _read_all(results, of_job.objects if of_job else (), unreadable)
        if of_job and objects:
            found += len(objects)
            new = _add_own(database, objects, of_job.at)
            added += new or 0
            without_study += len(objects) if new is None else 0
        if progress is not None:
            progress(number, len(jobs))
    return ReindexReport(found, added, tuple(unreadable), without_study)


def _read_all(
    results: Results, objects: Sequence[ResultObject], unreadable: list[str]
) -> list[ResultObject]:
    """With what the index keeps of them; what is not as it was written is named."""
    read = []
    for one in objects:
        blob = Blob(results.blobs, one.key)
        try:
            if sha256_of(blob) != one.sha256:
                raise UnreadableInstance("the file does not hold the bytes that were written")
            read.append(replace(one, attributes=one.attributes or read_attributes(blob)))
        except (UnreadableInstance, OSError):
            unreadable.append(one.key)
    return read


def _add_own(database: Database, objects: Sequence[ResultObject], at: datetime) -> int | None:
    """Gives how many are new; None where their study is not there."""
    attributes = objects[0].attributes
    with database.write() as tx:
        study = index.find_study(tx, attributes.study_instance_uid) if attributes else None
        return index.add_own(tx, study.id, objects, at) if study else None


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
