"""Hands the trail over to one repository, in its order, and remembers how far it has it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from node.audit.sinks.port import RepositoryAway, Sink
from node.backoff import doubled
from node.clock import Clock
from node.observe.health import Heartbeat
from storage import audit, events
from storage.audit import KeptMessage
from storage.database import Database, Transaction
from storage.records import Level, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AT_ONCE = 500
RETRY_S = 1.0
RETRY_MAX_S = 30.0
ALARM_AFTER = timedelta(seconds=60)


def begin(tx: Transaction, sinks: tuple[str, ...]) -> None:
    """A repository that was not there before gets what is told from now on."""
    audit.forget_others(tx, sinks)
    for name in sinks:
        if audit.position(tx, name) is None:
            audit.note_position(tx, name, audit.newest(tx))


class HandingOver:
    """``step`` is for one thread. ``number``: the repository's among all, from 1."""

    def __init__(
        self, database: Database, sink: Sink, number: int, clock: Clock, heartbeat: Heartbeat
    ) -> None:
        self._database = database
        self._sink = sink
        self._number = number
        self._clock = clock
        self._heartbeat = heartbeat
        self._away_since: datetime | None = None
        self._again_at: datetime | None = None
        self._tries = 0
        self._has_alarmed = False
        self._may_stand = True  # an alarm of the process before this one
        self._log = log.bind(repository=sink.name)

    @property
    def is_away(self) -> bool:
        """Whether the last try failed."""
        return self._away_since is not None

    def step(self) -> bool:
        """Hand over what is next; true while there may be more.

        Raises
        ------
        DatabaseUnavailable
        """
        if self._again_at is not None and self._clock() < self._again_at:
            return False
        with self._database.read() as tx:
            position = audit.position(tx, self._sink.name) or 0
            batch = audit.after(tx, position, AT_ONCE)
        if not batch:
            return False
        return self._hand_over(batch)

    def _hand_over(self, batch: list[KeptMessage]) -> bool:
        try:
            self._sink.send(batch)
        except RepositoryAway as error:
            self._is_away(str(error))
            return False
        with self._database.write() as tx:
            audit.note_position(tx, self._sink.name, batch[-1].id)
        self._is_there()
        return len(batch) == AT_ONCE

    def _is_away(self, reason: str) -> None:
        now = self._clock()
        self._tries += 1
        self._again_at = now + timedelta(seconds=doubled(RETRY_S, self._tries, RETRY_MAX_S))
        if self._away_since is None:
            self._away_since = now
            self._log.error("audit_repository_away", reason=reason)
        said = f"does not take the audit trail since {self._away_since:%Y-%m-%d %H:%M} UTC"
        self._heartbeat.note(f"{said}: {reason}; what is told meanwhile is kept")
        if not self._has_alarmed and now - self._away_since >= ALARM_AFTER:
            with self._database.write() as tx:
                text = f"audit repository {self._sink.name!r} {said}: {reason}"
                events.settle(tx, Topic.AUDIT, self._number)
                self._tell(tx, now, Level.ALARM, "away", text)
            self._has_alarmed = self._may_stand = True

    def _is_there(self) -> None:
        if self._may_stand:
            with self._database.write() as tx:
                events.settle(tx, Topic.AUDIT, self._number)
            self._may_stand = False
        if self._away_since is None:
            return
        now = self._clock()
        with self._database.write() as tx:
            text = f"audit repository {self._sink.name!r} takes the audit trail again"
            self._tell(tx, now, Level.INFO, "there", text)
        self._log.info("audit_repository_back")
        self._heartbeat.note("")
        self._away_since = self._again_at = None
        self._tries, self._has_alarmed = 0, False

    def _tell(self, tx: Transaction, at: datetime, level: Level, state: str, text: str) -> None:
        events.record(tx, at, level, Topic.AUDIT, self._number, "", state, text)
