"""One watcher for all open pages: it looks at a few cheap values and says which have changed.

It looks only while somebody listens. What a listener has not taken yet is one set of topics,
however long he takes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import structlog

from storage.database import Database
from storage.errors import StorageError
from storage.revisions import Values, Watched, read

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVERY_S = 1.0
MOST = 500
"""Listeners at once."""


class TooMany(Exception):
    """No more can listen."""


class Listener:
    """An open page. Used on the loop that made it; ``told`` comes from the watcher's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: set[Watched] = set()
        self._is_new = asyncio.Event()

    def told(self, topics: frozenset[Watched]) -> None:
        """Something has changed; may be called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, topics)
        except RuntimeError:
            return  # the loop has ended, and the listener with it

    async def changes(self, at_most_s: float) -> frozenset[Watched]:
        """What has changed since it was asked last; nothing where that takes longer."""
        try:
            await asyncio.wait_for(self._is_new.wait(), at_most_s)
        except TimeoutError:
            return frozenset()
        found = frozenset(self._pending)
        self._pending.clear()
        self._is_new.clear()
        return found

    def _take(self, topics: frozenset[Watched]) -> None:
        self._pending |= topics
        self._is_new.set()


class Watch:
    """``listen`` and ``leave`` may be called from any thread."""

    def __init__(
        self, database: Database, health: Callable[[], Values] = tuple, every_s: float = EVERY_S
    ) -> None:
        self._database = database
        self._health = health
        self._every_s = every_s
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._thread: threading.Thread | None = None
        self._nobody = threading.Event()

    def listen(self, listener: Listener) -> None:
        """Tell it of what changes from now on.

        Raises
        ------
        TooMany
        """
        with self._lock:
            if len(self._listeners) >= MOST:
                raise TooMany
            self._listeners.add(listener)
            self._nobody.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def leave(self, listener: Listener) -> None:
        """Tell it no more; with the last one the watcher ends."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners:
                self._nobody.set()

    def _run(self) -> None:
        before: dict[Watched, Values] | None = None
        while self._goes_on():
            before = self._look(before)
            self._nobody.wait(self._every_s)

    def _goes_on(self) -> bool:
        with self._lock:
            if not self._listeners:
                self._thread = None
            return bool(self._listeners)

    def _look(self, before: dict[Watched, Values] | None) -> dict[Watched, Values] | None:
        try:
            with self._database.look() as tx:
                now = {**read(tx), Watched.HEALTH: self._health()}
        except StorageError:
            return before  # what changes meanwhile is told when the database is back
        except Exception:
            log.exception("watching_failed")
            return before
        changed = frozenset(one for one in now if before is not None and now[one] != before[one])
        if changed:
            with self._lock:
                listeners = tuple(self._listeners)
            for one in listeners:
                one.told(changed)
        return now
