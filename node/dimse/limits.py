"""How many connections there may be, for the machine and before anything is known of who asks.

Associations are counted where they are admitted; this is the gate before it, so that thousands of
connections that never ask for one cost no more than a few threads.
"""

from __future__ import annotations

import resource
import threading
import time
from collections import Counter

import structlog

from node.dimse.errors import CannotListen

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SPARE_CONNECTIONS = 64
"""Connections beyond the association limit that may wait for their rejection."""
SPARE_PER_HOST = 8
"""The same for one host."""
LOG_EVERY_S = 10.0
"""Refusals for one reason are logged at most so often: a flood must not fill the log."""

FILES_PER_CONNECTION = 4
"""Open at once for one: its socket, its bell, its instance's file, the folder that is synced."""
FILES_BESIDE = 256
"""Open for everything else: files made ready, database, logs, HTTP, senders, libraries."""

TOO_MANY = "too many connections"
TOO_MANY_FROM_HOST = "too many connections from one host"


def provide_files(max_associations: int) -> None:
    """Let this process open as many files as so many associations need.

    Most systems let a process have 1024 until it asks for more.

    Raises
    ------
    CannotListen
        The system's limit is lower: the last of so many associations could not be accepted.
    """
    needed = FILES_BESIDE + FILES_PER_CONNECTION * (max_associations + SPARE_CONNECTIONS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    if hard != unlimited and hard < needed:
        raise CannotListen(
            f"dimse.max_associations = {max_associations} needs {needed} open files, and "
            f"the system grants {hard}; raise that (ulimit -Hn, LimitNOFILE=) or lower the setting"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class ConnectionGate:
    """Counts open connections, in all and for each host."""

    def __init__(self, most: int, most_per_host: int) -> None:
        self._most = most
        self._most_per_host = most_per_host or most
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    def enter(self, host: str) -> str:
        """Let a connection in, or say which limit it breaks (empty: let in)."""
        with self._lock:
            if self._open.total() >= self._most:
                return TOO_MANY
            if self._open[host] >= self._most_per_host:
                return TOO_MANY_FROM_HOST
            self._open[host] += 1
            return ""

    def leave(self, host: str) -> None:
        """A connection that was let in is over."""
        with self._lock:
            self._open[host] -= 1
            if self._open[host] <= 0:
                del self._open[host]

    def __len__(self) -> int:
        with self._lock:
            return self._open.total()


class RefusalLog:
    """Logs what may come by the thousand: once in a while, with the number of times."""

    def __init__(self, every_s: float = LOG_EVERY_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def warn(self, event: str, reason: str, host: str) -> None:
        """Log a refusal, or count it towards the next line for the same event and reason."""
        now = time.monotonic()
        key = f"{event} {reason}"
        with self._lock:
            self._unsaid[key] += 1
            if now < self._next.get(key, 0.0):
                return
            self._next[key] = now + self._every_s
            times = self._unsaid.pop(key)
        log.warning(event, reason=reason, host=host, times=times)
