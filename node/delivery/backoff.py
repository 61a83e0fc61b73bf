"""How long to wait for a destination that refuses or is away. Time and chance are passed in."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.backoff import doubled

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 600.0
JITTER = 0.2
"""Share of a pause that is left to chance, so that many nodes do not come back at once."""
MAX_ATTEMPTS = 440
"""After these an object is given up: nine growing pauses, then one attempt in 10 min, 3 days."""

CIRCUIT_FAILURES = 3
"""After so many failed associations in a row only one probe a pause goes out."""
DOWN_ALARM_S = 300.0
"""A destination that has been away for longer is an alarm."""


def pause(attempt: int, chance: random.Random) -> timedelta:
    """The pause after the nth failed attempt (from 1): doubled each time, with jitter."""
    seconds = doubled(FIRST_PAUSE_S, attempt, LONGEST_PAUSE_S)
    return timedelta(seconds=seconds * (1 - JITTER * chance.random()))


@dataclass(slots=True)
class Circuit:
    """Whether a destination is worth an association now."""

    failures: int = 0
    """Failed associations in a row."""
    down_since: datetime | None = None
    probe_at: datetime | None = None
    alarmed: bool = False
    why: str = ""
    """What the last failure was."""
    alone_until: datetime | None = None
    """It has asked not to be called before (HTTP's Retry-After)."""

    @property
    def is_open(self) -> bool:
        """Open as an electrician says it: nothing goes through but probes."""
        return self.failures >= CIRCUIT_FAILURES

    def failed(
        self, at: datetime, chance: random.Random, why: str = "", retry_after_s: float = 0.0
    ) -> datetime:
        """Note a failed association; when the next one may be tried."""
        self.failures += 1
        self.why = why
        self.down_since = self.down_since or at
        self.probe_at = at + pause(self.failures, chance)
        self.alone_until = None
        if retry_after_s > 0:
            self.alone_until = at + timedelta(seconds=retry_after_s)
            self.probe_at = max(self.probe_at, self.alone_until)
        return self.probe_at

    def is_left_alone(self, at: datetime) -> bool:
        """Whether the destination has asked not to be called yet."""
        return self.alone_until is not None and at < self.alone_until

    def worked(self) -> bool:
        """Note an answer from the destination; true when an alarm had been raised."""
        had_alarm = self.alarmed
        self.failures, self.down_since, self.probe_at, self.alarmed = 0, None, None, False
        self.alone_until, self.why = None, ""
        return had_alarm

    def alarm_is_due(self, at: datetime) -> bool:
        """Whether it has been away for so long that someone must know, and nobody was told."""
        if self.alarmed or self.down_since is None:
            return False
        return at - self.down_since >= timedelta(seconds=DOWN_ALARM_S)
