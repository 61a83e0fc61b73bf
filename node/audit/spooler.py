"""Empties the journals of all processes into the database: what is there is searched by the audit
page, and handed to the repositories. One transaction holds the messages of some hundred events and
how far the journal is read, so an event is entered once, whenever the node ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from node.audit import message, telling
from node.audit.completing import completed
from node.audit.events import Actor, AuditEvent, RecordingStarted, RecordingStopped, Subject
from node.audit.journal import SUFFIX, decoded
from node.audit.message import Source
from node.audit.telling import Line
from node.clock import Clock
from storage import audit
from storage.audit import AuditRow
from storage.database import Database, Transaction

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AT_ONCE_BYTES = 256 * 1024
"""Of a journal, in one transaction."""
PRUNE_EVERY = timedelta(hours=1)
PRUNED_AT_ONCE = 5_000
FULL = "the audit spool is full (audit.max_waiting): events are not recorded until a repository"


class SpoolFull(Exception):
    """A repository is away for so long that nothing more is kept for it."""


@dataclass(frozen=True, slots=True)
class Spool:
    """What is kept, and for how long."""

    folder: Path
    """Of the journals."""
    sinks: tuple[str, ...] = ()
    """The repositories that each message has to reach before it is deleted."""
    max_waiting: int = 1_000_000
    """So many messages may wait for the slowest of them."""
    keep: timedelta | None = None
    """None: for ever."""


@dataclass(slots=True)
class _Full:
    """Since when nothing is kept."""

    lost: int = 0


class Spooler:
    """``step`` is for one thread."""

    def __init__(
        self,
        database: Database,
        spool: Spool,
        node: Actor,
        source: Source,
        clock: Clock,
        on_kept: Callable[[], None] = lambda: None,
        seen: Callable[[AuditEvent], None] = lambda event: None,
    ) -> None:
        """``on_kept``: there is something to hand over. ``seen``: given each event once."""
        self._seen = seen
        self._database = database
        self._spool = spool
        self._node = node
        self._source = source
        self._clock = clock
        self._on_kept = on_kept
        self._full: _Full | None = None
        self._pruned_at: datetime | None = None
        self._read: dict[str, int] = {}
        """How far the journals are known to be read that have nothing new."""

    def step(self) -> bool:
        """Keep what the journals have; true while there may be more.

        Raises
        ------
        DatabaseUnavailable
        OSError
        SpoolFull
        """
        more = False
        for path in _journals(self._spool.folder):
            more = self._empty(path) or more
        self._prune()
        if self._full is not None:
            raise SpoolFull(f"{FULL} is back; {self._full.lost} are lost")
        return more

    def drain(self) -> None:
        """All there is: the node ends."""
        while self.step():
            pass

    # --- journals ---------------------------------------------------------------------------------

    def _empty(self, path: Path) -> bool:
        """Keep the next events of one journal; true when it may have more."""
        with path.open("rb") as file:
            is_finished = _is_finished(file.fileno())
            if not is_finished and os.fstat(file.fileno()).st_size == self._read.get(path.stem):
                return False
            with self._database.read() as tx:
                position = audit.journal_position(tx, path.stem)
            self._read[path.stem] = position
            file.seek(position)
            text = file.read(AT_ONCE_BYTES)
            if len(text) == AT_ONCE_BYTES:
                text += file.readline()
            whole, _, torn = text.rpartition(b"\n")
        if whole:
            self._keep(path.stem, position, whole)
            return True
        if is_finished:
            self._remove(path, torn)
        return False

    def _keep(self, journal: str, position: int, whole: bytes) -> None:
        found = [event for line in whole.split(b"\n") if (event := _event(line)) is not None]
        with self._database.read() as tx:
            kept = completed(tx, self._within_limit(tx, found))
        rows = [row for event, at in kept for row in self._rows(event, at)]
        with self._database.write() as tx:
            audit.keep(tx, rows)
            audit.note_journal(tx, journal, position + len(whole) + 1)
        for one, _ in found:
            self._seen(one)
        self._on_kept()

    def _remove(self, path: Path, torn: bytes) -> None:
        if torn:
            log.error("audit_event_torn", bytes=len(torn))
        path.unlink(missing_ok=True)
        self._read.pop(path.stem, None)
        with self._database.write() as tx:
            audit.forget_journal(tx, path.stem)

    # --- the limit --------------------------------------------------------------------------------

    def _within_limit(
        self, tx: Transaction, found: list[tuple[AuditEvent, datetime]]
    ) -> list[tuple[AuditEvent, datetime]]:
        """What may be kept of the events; that recording stops and starts is kept in any case."""
        is_full = self._waiting(tx) >= self._spool.max_waiting
        if not is_full and self._full is None:
            return found
        now = self._clock()
        if is_full:
            begins = self._full is None
            self._full = self._full or _Full()
            self._full.lost += len(found)
            return [(RecordingStopped(f"{FULL} is back"), now)] if begins else []
        lost, self._full = self._full.lost if self._full else 0, None
        return [(RecordingStarted(lost), now), *found]

    def _waiting(self, tx: Transaction) -> int:
        """For the slowest repository."""
        if not self._spool.sinks:
            return 0
        return audit.newest(tx) - _slowest(tx, self._spool.sinks)

    # --- rows -------------------------------------------------------------------------------------

    def _rows(self, event: AuditEvent, at: datetime) -> list[AuditRow]:
        return [self._row(line, at) for line in telling.lines(event, self._node)]

    def _row(self, line: Line, at: datetime) -> AuditRow:
        subject = line.subject or Subject("")
        return AuditRow(
            at,
            line.told.event.meaning,
            line.told.outcome.value,
            line.by.name,
            line.by.address,
            message.xml(line.told, at, self._source),
            subject.patient_id,
            subject.patient_name,
            subject.study_instance_uid[:64],
            line.what[:1000],
        )

    def _prune(self) -> None:
        """Messages that every repository has and that are old enough go."""
        keep, now = self._spool.keep, self._clock()
        if keep is None or (self._pruned_at and now - self._pruned_at < PRUNE_EVERY):
            return
        with self._database.write() as tx:
            up_to = _slowest(tx, self._spool.sinks) if self._spool.sinks else audit.newest(tx)
            gone = audit.prune(tx, now - keep, up_to, PRUNED_AT_ONCE)
        if gone < PRUNED_AT_ONCE:
            self._pruned_at = now


def _journals(folder: Path) -> list[Path]:
    """Oldest first."""
    try:
        with os.scandir(folder) as entries:
            found = [
                (one.stat().st_mtime_ns, one.name) for one in entries if one.name.endswith(SUFFIX)
            ]
    except FileNotFoundError:
        return []
    return [folder / name for _, name in sorted(found)]


def _is_finished(file: int) -> bool:
    """Whether nobody writes to it any more; asked before it is read to its end."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _event(line: bytes) -> tuple[AuditEvent, datetime] | None:
    """A line that cannot be read holds up nothing after it."""
    try:
        return decoded(line)
    except (ValueError, KeyError, TypeError) as error:
        log.error("audit_event_unreadable", error=type(error).__name__, bytes=len(line))
        return None


def _slowest(tx: Transaction, sinks: Sequence[str]) -> int:
    return min(audit.position(tx, name) or 0 for name in sinks)
