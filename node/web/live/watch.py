"""One watcher for all open pages: it looks at a few cheap values and says which have changed.

It looks only while somebody listens, and knows then what has changed since it looked last, also
before it rested. A page listens a moment after it was drawn: what changed in that moment is told to
it as well. What a listener has not taken yet is one set of topics, however long he takes.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable

import structlog

from storage.database import Database
from storage.errors import StorageError
from storage.revisions import Values, Watched, read

log: structlog.stdlib.BoundLogger = structlog.get_logger()

EVERY_S = 1.0
MOST = 500
"""Listeners at once."""
EACH_S = 0.3
LONGEST_S = 15.0
"""After it was drawn, or told of something, a page rests for so long for each that listens, on
average at most for this: a page that is told is read again, and many that look must not slow what
is received."""
REGULARLY_S = 10.0
"""So often pages of those are read again who see some studies only."""
RUSHED = 2
"""So many times as long they rest while images come fast."""
RECENT_S = 5.0
"""A page is at most so old when it begins to listen, or what it shows came by a slow line."""


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

    async def changes(self, at_most_s: float, rests_until: float = 0.0) -> frozenset[Watched]:
        """What has changed since it was asked last; nothing where that takes longer.

        rests_until: on the clock of the loop; what changes before is said then, all together.
        """
        try:
            await asyncio.wait_for(self._is_new.wait(), at_most_s)
        except TimeoutError:
            return frozenset()
        await asyncio.sleep(max(0.0, rests_until - self._loop.time()))
        found = frozenset(self._pending)
        self._pending.clear()
        self._is_new.clear()
        return found

    def _take(self, topics: frozenset[Watched]) -> None:
        self._pending |= topics
        self._is_new.set()


class Regular(Listener):
    """A page of whoever sees some studies only. When something changes would tell him of the
    others': he is told of everything, so often, whether anything has changed or not."""

    def told(self, topics: frozenset[Watched]) -> None:
        """It is kept from him."""

    async def changes(self, at_most_s: float, rests_until: float = 0.0) -> frozenset[Watched]:
        """Everything, after a while."""
        rest_s = rests_until - self._loop.time()
        await asyncio.sleep(max(rest_s, min(REGULARLY_S, at_most_s)))
        return frozenset(Watched)


class Watch:
    """``listen`` and ``leave`` may be called from any thread."""

    def __init__(
        self,
        database: Database,
        health: Callable[[], Values] = tuple,
        every_s: float = EVERY_S,
        on_changed: Callable[[], None] = lambda: None,
        is_rushed: Callable[[], bool] = lambda: False,
    ) -> None:
        """``on_changed``: called before listeners are told, so that nobody shows them what was.
        ``is_rushed``: whether images come fast."""
        self._database = database
        self._health = health
        self._every_s = every_s
        self._on_changed = on_changed
        self._is_rushed = is_rushed
        self._before: dict[Watched, Values] = {}
        self._changed_at: dict[Watched, float] = {}
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._thread: threading.Thread | None = None
        self._nobody = threading.Event()

    def listen(self, listener: Listener) -> None:
        """Tell it of what has changed just now, and of what changes from now on.

        Raises
        ------
        TooMany
        """
        with self._lock:
            if len(self._listeners) >= MOST:
                raise TooMany
            self._listeners.add(listener)
            self._nobody.clear()
            since = time.monotonic() - RECENT_S
            recent = frozenset(one for one, at in self._changed_at.items() if at >= since)
            if recent:
                listener.told(recent)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def rest_s(self) -> float:
        """How long a listener rests after it was told, and after it came: its page was just drawn.
        Half as long up to half as long again, else all read at once."""
        with self._lock:
            together = min(EACH_S * len(self._listeners), LONGEST_S)
        return together * (RUSHED if self._is_rushed() else 1) * random.uniform(0.5, 1.5)

    def leave(self, listener: Listener) -> None:
        """Tell it no more; with the last one the watcher ends."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners:
                self._nobody.set()

    def _run(self) -> None:
        while self._goes_on():
            self._look()
            self._nobody.wait(self._every_s)

    def _goes_on(self) -> bool:
        with self._lock:
            if not self._listeners:
                self._thread = None
            return bool(self._listeners)

    def _look(self) -> None:
        try:
            with self._database.look() as tx:
                now = {**read(tx), Watched.HEALTH: self._health()}
        except StorageError:
            return  # what changes meanwhile is told when the database is back
        except Exception:
            log.exception("watching_failed")
            return
        changed = frozenset(one for one in now if now[one] != self._before.get(one))
        self._before = now
        if changed:
            self._tell(changed)

    def _tell(self, changed: frozenset[Watched]) -> None:
        self._on_changed()
        with self._lock:
            self._changed_at |= dict.fromkeys(changed, time.monotonic())
            listeners = tuple(self._listeners)
        for one in listeners:
            one.told(changed)
