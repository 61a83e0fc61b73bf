"""Enters stored instances into the index, many in a transaction, right behind the receiver.

An instance is durable before it comes here; until its row is committed a second link in the store
remembers it, so a crash in between loses nothing: ``recover`` finds it at the next start.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import structlog

from storage import index
from storage.database import Database
from storage.errors import DatabaseUnavailable, UnreadableInstance
from storage.instances import InstanceStore
from storage.records import InstanceRecord
from storage.reindex import record_of

log = structlog.get_logger(__name__)

BATCH = 500
BACKLOG = 20_000
RETRY_S = 0.5
STOP_S = 15.0


class Indexer:
    """One thread that writes the index. ``submit`` is the receiver's sink."""

    def __init__(
        self, database: Database, store: InstanceStore, on_fault: Callable[[str], None]
    ) -> None:
        self._database = database
        self._store = store
        self._on_fault = on_fault
        self._queue: queue.Queue[InstanceRecord | None] = queue.Queue(BACKLOG)
        self._waiting: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end. What cannot be written in time is found at the next start."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=STOP_S)
        self._thread.join(timeout=STOP_S)

    def submit(self, record: InstanceRecord) -> None:
        """Take a stored instance for the index.

        Raises
        ------
        DatabaseUnavailable
            The last batch could not be written, or too many wait: the sender must try again.
        """
        if self._broken:
            raise DatabaseUnavailable("the index cannot be written at the moment")
        with self._lock:
            self._waiting[record.attributes.study_instance_uid] += 1
        try:
            self._queue.put(record, timeout=10)
        except queue.Full as error:
            self._settle([record])
            raise DatabaseUnavailable("the index is too far behind") from error

    def open_studies(self) -> frozenset[str]:
        """Studies with instances that are stored and not yet in the index."""
        with self._lock:
            return frozenset(self._waiting)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            if batch:
                self._write(batch)

    def _next_batch(self) -> tuple[list[InstanceRecord], bool]:
        batch: list[InstanceRecord] = []
        record = self._queue.get()
        while record is not None:
            batch.append(record)
            if len(batch) == BATCH:
                return batch, False
            try:
                record = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write(self, batch: list[InstanceRecord]) -> None:
        try:
            self._add(batch)
        except Exception:
            log.exception("batch not indexed, going one by one")
            for record in batch:
                self._write_alone(record)
        self._settle(batch)

    def _write_alone(self, record: InstanceRecord) -> None:
        try:
            self._add([record])
        except Exception as error:
            self._on_fault(f"a stored instance cannot be indexed: {type(error).__name__}")
            log.exception("stored instance cannot be indexed", file=record.placement.key)

    def _add(self, batch: list[InstanceRecord]) -> None:
        """Commit rows, waiting for a database that is away; then drop the second links."""
        while True:
            try:
                with self._database.write() as tx:
                    index.add(tx, batch)
                break
            except DatabaseUnavailable as error:
                if not self._broken:
                    log.error("index not writable", reason=str(error), waiting=len(batch))
                self._broken = True
                self._on_fault(str(error))
                time.sleep(RETRY_S)
        self._broken = False
        for record in batch:
            self._store.forget_incoming(record.placement.incoming)

    def _settle(self, batch: list[InstanceRecord]) -> None:
        with self._lock:
            for record in batch:
                uid = record.attributes.study_instance_uid
                self._waiting[uid] -= 1
                if self._waiting[uid] <= 0:
                    del self._waiting[uid]


def recover(database: Database, store: InstanceStore) -> int:
    """Index what was acknowledged but not indexed when the node died; gives how many."""
    found = store.unindexed()
    for start in range(0, len(found), BATCH):
        records = []
        names = []
        for name, path in found[start : start + BATCH]:
            try:
                records.append(record_of(store, path))
                names.append(name)
            except UnreadableInstance as error:
                log.error("stored instance cannot be indexed", file=name, reason=str(error))
        with database.write() as tx:
            index.add(tx, records)
        for name in names:
            store.forget_incoming(name)
    if found:
        log.info("instances indexed after an abrupt end", instances=len(found))
    return len(found)
