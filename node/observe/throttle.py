"""A log of what peers may bring about by the thousand: a flood must not fill it."""

from __future__ import annotations

import threading
import time
from collections import Counter

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LOG_EVERY_S = 10.0
"""Refusals for one reason are logged at most so often: a flood must not fill the log."""
MENTION_EVERY_S = 600.0
"""The same for what is no fault: a load balancer that looks whether the port answers."""
MOST_KEYS = 1024
"""Reasons and AE titles that are counted apart."""


class ThrottledLog:
    """Logs what may come by the thousand: once in a while, with the number of times."""

    def __init__(self, every_s: float = LOG_EVERY_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def warn(self, event: str, reason: str, host: str, **facts: str) -> None:
        """Log it, or count it towards the next line for the same event and reason."""
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
