"""How much may go to a destination in a minute, where the settings say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

_MINUTE_S = 60.0


@dataclass(slots=True)
class _Measure:
    """What may be spent: filled evenly up to a minute's worth.

    An object larger than what is left goes; then nothing does until that is made up for.
    """

    per_minute: float
    left: float
    at: datetime | None = None

    def filled(self, now: datetime) -> float:
        passed_s = (now - self.at).total_seconds() if self.at else 0.0
        self.at = now
        gained = self.per_minute * max(passed_s, 0.0) / _MINUTE_S
        self.left = min(self.left + gained, self.per_minute)
        return self.left


@dataclass(slots=True)
class Pace:
    """``most``: objects in a minute. ``most_bytes``: the same of bytes. None: any number."""

    most: int | None = None
    most_bytes: float | None = None
    _objects: _Measure | None = field(init=False, default=None)
    _bytes: _Measure | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.most is not None:
            self._objects = _Measure(self.most, self.most)
        if self.most_bytes is not None:
            self._bytes = _Measure(self.most_bytes, self.most_bytes)

    def allows(self, now: datetime, limit: int) -> int:
        """How many objects may go now, at most ``limit``."""
        if self._bytes is not None and self._bytes.filled(now) <= 0:
            return 0
        if self._objects is not None:
            return min(limit, int(self._objects.filled(now)))
        return limit

    def spend(self, objects: int, size_bytes: int) -> None:
        """So much was offered."""
        if self._objects is not None:
            self._objects.left -= objects
        if self._bytes is not None:
            self._bytes.left -= size_bytes
