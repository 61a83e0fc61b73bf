"""How many connections there may be, for the machine and before anything is known of who asks.

Associations are counted where they are admitted; these are the limits before it (``entrance``).
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
"""Requests that may be negotiated at one time, beside the associations that there are."""
SPARE_PER_HOST = 16
"""The same for one host; its further requests wait for their turn."""
MOST_WAITING = 128
"""Connections to one port that have not asked yet, or wait for their turn."""
MOST_WAITING_PER_HOST = 64
"""The same for one host: beyond it the one that has been silent longest is closed."""
LOG_EVERY_S = 10.0
"""Refusals for one reason are logged at most so often: a flood must not fill the log."""
MENTION_EVERY_S = 600.0
"""The same for what is no fault: a load balancer that looks whether the port answers."""
MOST_KEYS = 1024
"""Reasons and AE titles that are counted apart."""

FILES_PER_CONNECTION = 4
"""Open at once for one: its socket, its bell, its instance's file, the folder that is synced."""
FILES_BESIDE = 256
"""Open for everything else: files made ready, database, logs, HTTP, senders, libraries."""

TOO_MANY = "too many connections that have not asked for an association"
TOO_MANY_FROM_HOST = "too many connections from one host that have not asked for an association"


def provide_files(max_associations: int) -> None:
    """Let this process open as many files as so many associations need.

    Most systems let a process have 1024 until it asks for more.

    Raises
    ------
    CannotListen
        The system's limit is lower: the last of so many associations could not be accepted.
    """
    needed = FILES_BESIDE + FILES_PER_CONNECTION * (max_associations + SPARE_CONNECTIONS)
    needed += 2 * MOST_WAITING  # plain and TLS
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


class RefusalLog:
    """Logs what may come by the thousand: once in a while, with the number of times."""

    def __init__(self, every_s: float = LOG_EVERY_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def warn(self, event: str, reason: str, host: str, **facts: str) -> None:
        """Log a refusal, or count it towards the next line for the same event and reason."""
        times = self._due(f"{event} {reason} {facts}", self._every_s)
        if times:
            log.warning(event, reason=reason, host=host, times=times, **facts)

    def mention(self, event: str, host: str) -> None:
        """The same for what is no fault of anybody's, more rarely, and for each host."""
        times = self._due(f"{event} {host}", MENTION_EVERY_S)
        if times:
            log.info(event, host=host, times=times)

    def _due(self, key: str, every_s: float) -> int:
        """How often it came since the last line; 0 while it is too early for the next."""
        now = time.monotonic()
        with self._lock:
            if len(self._next) >= MOST_KEYS and key not in self._next:
                self._next.clear()
                self._unsaid.clear()
            self._unsaid[key] += 1
            if now < self._next.get(key, 0.0):
                return 0
            self._next[key] = now + every_s
            return self._unsaid.pop(key)
