"""Whether asking the database again may give another answer than the last time.

What polls asks this first: while nothing was written, by whatever process, and nothing recorded
waits for its time, a step would find what the last one found, which was nothing. One thread looks
whether something was written, for all of them; they doze meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable

LOOK_S = 0.25
"""How often it is looked whether something was written."""
DOZE_S = 15.0
"""So long one that dozes shows no sign of life."""


def _wakes_nobody() -> None:
    """Who reads its own news has nobody to wake."""


class News:
    """What one loop knows of them. But for ``tell`` all is for the loop's thread.

    is_settled: asked after a step that found nothing: whether nothing waits, recorded or
        remembered, that becomes due by itself.
    are_told: whether somebody watches, and tells of them: else the loop has to look itself.
    """

    def __init__(
        self,
        database: Database,
        is_settled: Callable[[Transaction], bool] = lambda tx: True,
        are_told: Callable[[], bool] = lambda: False,
    ) -> None:
        self.wake: Callable[[], None] = _wakes_nobody
        """Ends the loop's wait."""
        self._are_told = are_told
        self._database = database
        self._is_settled = is_settled
        self._settled: object = None
        self._is_dozing = False
        self._were_told = False

    def have(self, step: Callable[[], object], woken: bool = False) -> bool:
        """Do a step that may find something, and give whether there is more; leave out one that
        would find nothing, unless somebody has said that there is something (``woken``).

        Raises
        ------
        DatabaseUnavailable
        Exception
            What the step raises: it is done again whatever is new.
        """
        self._were_told = False
        settled, self._settled = self._settled, None
        seen = self._database.mark()
        if seen == settled and not woken:
            self._settled = settled
            return False
        if step() is True:
            return True
        with self._database.read() as tx:
            self._settled = seen if self._is_settled(tx) else None
        return False

    def rest(self, wait: Callable[[float], bool], pause_s: float) -> bool:
        """Wait for the pause, and on until there are news; true when the wait was ended.

        ``wait``: for so many seconds, or until woken.
        """
        if wait(pause_s):
            return True
        if self._settled is None or not self._are_told():
            return False
        self._is_dozing = True  # first: who tells from now on wakes
        try:
            return not self._were_told and wait(DOZE_S)
        finally:
            self._is_dozing = False

    def tell(self) -> None:
        """Something was written. From any thread."""
        self._were_told = True
        if self._is_dozing:
            self.wake()


class NewsWatch:
    """Tells loops of news. ``step`` is for one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._told: list[News] = []
        self._seen: object = None
        self._began = False

    def goes_on(self) -> bool:
        """Whether there have been steps: until then nobody is told."""
        return self._began

    def news(self, is_settled: Callable[[Transaction], bool] = lambda tx: True) -> News:
        """Those of another loop, told of by the steps."""
        made = News(self._database, is_settled, self.goes_on)
        with self._lock:
            self._told.append(made)
        return made

    def step(self) -> None:
        """Look once.

        Raises
        ------
        DatabaseUnavailable
            Those who doze are woken: they are to see it too.
        """
        before, self._began = self._seen, True
        try:
            self._seen = self._database.mark()
        except DatabaseUnavailable:
            self._tell()
            raise
        if self._seen != before:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            told = tuple(self._told)
        for one in told:
            one.tell()
