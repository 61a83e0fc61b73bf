"""Enters stored instances into the index, many in a transaction, right behind the receiver.

An instance is durable before it comes here; until its row is committed a second link in the store
remembers it, so a crash in between loses nothing: ``recover`` finds it at the next start.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from datetime import datetime

import structlog

from node.clock import system_clock
from node.observe.health import Heartbeat
from node.observe.logs import study_digest
from node.observe.passages import Passage, Passed, Stage, unobserved
from storage import events, quarantine
from storage.database import Database
from storage.entering import enter
from storage.errors import DatabaseUnavailable, StoreUnavailable, UnreadableInstance
from storage.files.port import Blobs, Instances
from storage.quarantine import Refused
from storage.records import InstanceRecord, Level, Placement, Topic
from storage.reindex import record_of

log = structlog.get_logger(__name__)

BATCH = 500
BACKLOG = 20_000
RETRY_S = 0.5
GATHER_S = 0.25
"""While instances stream in, so long are they gathered: many share a transaction. Who asks for them
meanwhile does not wait (``catch_up``)."""
LULL_S = 0.02
"""None came for so long: they stream in no more."""
SETTLE_AT = 4096
"""So many second links may stay while instances stream in, before final names are synced."""
IDLE_S = 1.0
"""How long nothing came, before they are synced anyway."""
BEAT_S = 15.0
"""How often an indexer that has nothing to do says that it is there."""
ROOM_S = 10.0
"""How long a receiver may wait for room behind ``BACKLOG``."""
CATCH_UP_S = 2.0
"""How long who asks waits for what was stored before."""
STOP_S = 15.0


class Indexer:
    """One thread that writes the index. ``submit`` is the receiver's sink."""

    def __init__(
        self,
        database: Database,
        store: Instances,
        heartbeat: Heartbeat | None = None,
        results: Blobs | None = None,
        passed: Passed = unobserved,
    ) -> None:
        """``results``: where the node's own lie, which may come back; None where it has none."""
        self._database = database
        self._store = store
        self._results = results
        self._passed = passed
        self._heartbeat = heartbeat or Heartbeat("indexer", system_clock)
        self._queue: deque[tuple[float, InstanceRecord]] = deque()
        self._waiting: Counter[str] = Counter()
        self._last_lag_s = 0.0
        self._indexed = 0
        self._lock = threading.Lock()
        self._came = threading.Event()
        self._stopping = threading.Event()
        self._submitted = self._settled = 0
        self._is_awaited = threading.Event()
        """Somebody waits for the index, or the node ends: nothing more is gathered."""
        self._has_settled = threading.Condition(self._lock)
        self._broken = False
        self._alarmed: set[str] = set()
        self._unsettled: list[Placement] = []
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end. What cannot be written in time is found at the next start."""
        self._stopping.set()
        self._is_awaited.set()
        self._came.set()
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
        if len(self._queue) >= BACKLOG:
            self._wait_for_room()
        with self._lock:
            self._waiting[record.attributes.study_instance_uid] += 1
            self._queue.append((time.monotonic(), record))
            self._submitted += 1
        if not self._came.is_set():  # a thread that is awake already is left in peace
            self._came.set()

    def _wait_for_room(self) -> None:
        until = time.monotonic() + ROOM_S
        while len(self._queue) >= BACKLOG:
            if time.monotonic() > until:
                raise DatabaseUnavailable("the index is too far behind")
            time.sleep(LULL_S)

    def catch_up(self, study_instance_uid: str = "") -> None:
        """Wait until what was submitted of a study, or of any, is in the index: not for long.

        Whoever was told that an instance is stored finds it. It costs nothing while none waits.
        """
        with self._lock:
            if study_instance_uid not in self._waiting and (
                study_instance_uid or not self._waiting
            ):
                return
            wanted = self._submitted
            self._is_awaited.set()
            self._has_settled.wait_for(lambda: self._settled >= wanted, CATCH_UP_S)

    def open_studies(self) -> frozenset[str]:
        """Studies with instances that are stored and not yet in the index."""
        with self._lock:
            return frozenset(self._waiting)

    def waiting_of(self, study_instance_uid: str) -> int:
        """How many instances of a study are stored and not yet in the index."""
        with self._lock:
            return self._waiting.get(study_instance_uid, 0)

    def backlog(self) -> tuple[int, float]:
        """How many instances wait, and for how many seconds the oldest does, or the last did."""
        with self._lock:
            if not self._queue:
                return 0, self._last_lag_s
            return len(self._queue), time.monotonic() - self._queue[0][0]

    @property
    def indexed(self) -> int:
        """How many instances were entered since the start."""
        return self._indexed

    def _run(self) -> None:
        ends = False
        while not ends:
            came = self._came.wait(IDLE_S if self._unsettled else BEAT_S)
            if came:
                self._gather()
            ends = self._stopping.is_set()
            self._came.clear()
            if not ends:
                self._is_awaited.clear()
            try:
                self._write_what_waits()
                if ends or not came or len(self._unsettled) >= SETTLE_AT:
                    self._settle_names()
                self._heartbeat.beat()
            except StoreUnavailable as error:  # what is not synced is found at the next start
                self._heartbeat.fault(str(error))
                log.error("stored_names_not_synced", reason=str(error))
            except Exception as error:  # border: without this thread nothing is indexed
                log.exception("indexer_fault")
                self._heartbeat.fault(type(error).__name__)

    def _gather(self) -> None:
        until, seen = time.monotonic() + GATHER_S, 0
        while seen < len(self._queue) and time.monotonic() < until:
            seen = len(self._queue)
            if self._is_awaited.wait(LULL_S):
                return

    def _write_what_waits(self) -> None:
        """Batch after batch, down to the first that is not full: what comes now is gathered."""
        is_full = True
        while is_full:
            with self._lock:
                batch = [record for _, record in itertools.islice(self._queue, BATCH)]
            is_full = len(batch) == BATCH
            if batch:
                self._write(batch)

    def _settle_names(self) -> None:
        """Sync the names of what is indexed; what cannot be is found at the next start."""
        placements, self._unsettled = self._unsettled, []
        self._store.settle(placements)

    def _write(self, batch: list[InstanceRecord]) -> None:
        try:
            self._add(batch)
        except Exception:
            log.exception("batch_not_indexed")
            for record in batch:
                self._write_alone(record)
        self._settle(batch)

    def _write_alone(self, record: InstanceRecord) -> None:
        try:
            self._add([record])
        except Exception as error:
            log.exception("instance_not_indexed", file=record.placement.key)
            self._raise_alarm(record, error)

    def _raise_alarm(self, record: InstanceRecord, error: Exception) -> None:
        """It was acknowledged and stays in the store; once for a study and kind of fault."""
        study = study_digest(record.attributes.study_instance_uid)
        reason = (
            f"stored instances of study {study} cannot be indexed ({type(error).__name__}, see the"
            " log): they are in the store, not in the index, and are tried again at the next start"
        )
        if reason in self._alarmed:
            return
        with suppress(DatabaseUnavailable), self._database.write() as tx:
            now = system_clock()
            events.record(tx, now, Level.ALARM, Topic.NODE, 0, "", "not indexed", reason)
            self._alarmed.add(reason)

    def _add(self, batch: list[InstanceRecord]) -> None:
        """Commit rows, waiting for a database that is away; then drop the second links."""
        while True:
            try:
                enter(self._database, self._store, self._results, batch, system_clock())
                break
            except DatabaseUnavailable as error:
                if not self._broken:
                    log.error("index_not_writable", reason=str(error), waiting=len(batch))
                self._broken = True
                self._heartbeat.fault(str(error))
                time.sleep(RETRY_S)
        self._broken = False
        self._indexed += len(batch)
        self._tell(batch)
        self._unsettled += [record.placement for record in batch if record.placement.incoming]

    def _tell(self, batch: list[InstanceRecord]) -> None:
        """How long they took, by study; as long as the first of each."""
        now = system_clock()
        first: dict[str, datetime] = {}
        times: Counter[str] = Counter()
        for record in batch:
            uid = record.attributes.study_instance_uid
            first[uid] = min(first.get(uid, now), record.received_at)
            times[uid] += 1
        for uid, began in first.items():
            self._passed(Passage(Stage.INDEXED, began, now, uid, times=times[uid]))

    def _settle(self, batch: list[InstanceRecord]) -> None:
        with self._lock:
            for record in batch:
                uid = record.attributes.study_instance_uid
                self._waiting[uid] -= 1
                if self._waiting[uid] <= 0:
                    del self._waiting[uid]
                self._last_lag_s = time.monotonic() - self._queue.popleft()[0]
            self._settled += len(batch)
            self._has_settled.notify_all()


def recover(
    database: Database, store: Instances, receiver: str = "", results: Blobs | None = None
) -> int:
    """Index what was acknowledged but not indexed when the node, or one receiver, died.

    Gives how many. What turns out to be no instance, and so was never acknowledged, goes to
    quarantine; so does, with its alarm, what the index will never take.
    """
    found = store.unindexed(receiver)
    for start in range(0, len(found), BATCH):
        records: list[InstanceRecord] = []
        refused: list[Refused] = []
        for name, found_bytes in found[start : start + BATCH]:
            try:
                records.append(record_of(store, found_bytes, name))
            except UnreadableInstance as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue  # indexed meanwhile: what a dead receiver had passed on is on its way
                log.error("instance_not_indexed", file=name, reason=str(error))
                if not isinstance(error.__cause__, OSError):  # the disk may give it another time
                    refused.append(store.set_aside(name, str(error)))
        indexed = _Recovery(database, store, results).enter_or_set_aside(records, refused)
        store.settle(record.placement for record in indexed)
    if found:
        log.info("instances_recovered", instances=len(found))
    return len(found)


class _Recovery:
    """Enters what was found at a start."""

    def __init__(self, database: Database, store: Instances, results: Blobs | None) -> None:
        self._database, self._store, self._results = database, store, results

    def enter_or_set_aside(
        self, records: list[InstanceRecord], refused: list[Refused]
    ) -> list[InstanceRecord]:
        """Enter all, or else one by one; what the index will never take is kept aside, with an
        alarm.

        Gives what was entered. A database that is away is no reason to set anything aside.
        """
        try:
            self._enter(records, refused)
            return records
        except DatabaseUnavailable:
            raise
        except Exception:  # border: one instance must not keep the node from starting
            log.exception("batch_not_indexed")
        entered = []
        for record in records:
            try:
                self._enter([record], [])
                entered.append(record)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                name = record.placement.incoming
                log.exception("instance_not_indexed", file=name)
                why = f"it was stored and cannot be indexed ({type(error).__name__}, see the log)"
                refused.append(self._store.set_aside(name, why))
        self._enter([], refused)
        return entered

    def _enter(self, records: list[InstanceRecord], refused: list[Refused]) -> None:
        now = system_clock()
        enter(self._database, self._store, self._results, records, now)
        if refused:
            with self._database.write() as tx:
                for one in refused:
                    quarantine.enter(tx, now, one)
