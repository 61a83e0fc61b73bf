"""Whether the node works: each part keeps a heartbeat of its own, and ``/health`` reads them.

A part that only says it is there proves nothing: it beats when it has done something that worked.
Nobody but the part itself touches its heartbeat, so nobody else can clear its fault.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from node.clock import Clock

FRESH_S = 60.0
"""How long a part may be silent, or at fault, before the node counts as ill."""


@dataclass(frozen=True, slots=True)
class Check:
    """One part: whether it is well, when it last succeeded, and what went wrong since."""

    name: str
    ok: bool
    last_success_at: datetime | None
    age_s: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The node is well when every part is."""

    ok: bool
    checks: tuple[Check, ...]


class Heartbeat:
    """When one part last succeeded. All methods may be called from any thread.

    fresh_s: how long after a success the part is well without another.
    works_s: how long one piece of its work may take; so long it need not beat.
    """

    def __init__(
        self, name: str, clock: Clock, fresh_s: float = FRESH_S, works_s: float = FRESH_S
    ) -> None:
        self.name = name
        self._clock = clock
        self._fresh_s = fresh_s
        self._works_s = works_s
        self._lock = threading.Lock()
        self._succeeded_at: datetime | None = None
        self._began_at: datetime | None = None
        self._began_fresh = False
        self._failing_since: datetime | None = None
        self._reason = ""
        self._note = ""

    def begin(self) -> None:
        """A piece of work begins. If it never ends, the check says so."""
        with self._lock:
            self._began_fresh = self._age_s(self._succeeded_at) <= self._fresh_s
            self._began_at = self._clock()

    def beat(self) -> None:
        """The part did something that worked: it is well, whatever was before."""
        with self._lock:
            self._succeeded_at = self._clock()
            self._began_at = self._failing_since = None
            self._reason = ""

    def fault(self, reason: str) -> None:
        """The part failed; it stays well until that has lasted for ``FRESH_S``."""
        with self._lock:
            self._began_at = None
            self._failing_since = self._failing_since or self._clock()
            self._reason = reason

    def note(self, text: str) -> None:
        """What is to be known of the part though it is well; empty: nothing any more."""
        with self._lock:
            self._note = text

    def check(self) -> Check:
        """What holds at this moment."""
        with self._lock:
            at = self._succeeded_at
            ok = self._is_well()
            return Check(self.name, ok, at, self._age_s(at) if at else None, self._in_words(ok))

    def _is_well(self) -> bool:
        if self._failing_since is not None and self._age_s(self._failing_since) > FRESH_S:
            return False
        if self._age_s(self._succeeded_at) <= self._fresh_s:
            return True
        return self._began_fresh and self._age_s(self._began_at) <= self._works_s

    def _in_words(self, ok: bool) -> str:
        works_s = self._age_s(self._began_at)
        if self._began_at is not None and works_s > self._works_s:
            return f"its work has not come back for {works_s:.0f} s"
        if ok or self._reason:
            return self._reason or self._note
        if self._succeeded_at is None:
            return "has not proved itself yet"
        return f"nothing done for {self._age_s(self._succeeded_at):.0f} s"

    def _age_s(self, at: datetime | None) -> float:
        return float("inf") if at is None else (self._clock() - at).total_seconds()


class Health:
    """The heartbeats of a node's parts, in the order in which they were made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._parts: dict[str, Heartbeat] = {}

    def part(self, name: str, fresh_s: float = FRESH_S, works_s: float = FRESH_S) -> Heartbeat:
        """The heartbeat of a new part; it is the part's alone.

        Raises
        ------
        ValueError
            There is a part of this name.
        """
        made = Heartbeat(name, self._clock, fresh_s, works_s)
        with self._lock:
            if name in self._parts:
                raise ValueError(f"there is a part named {name!r} already")
            self._parts[name] = made
        return made

    def report(self) -> HealthReport:
        """What holds at this moment."""
        with self._lock:
            parts = tuple(self._parts.values())
        checks = tuple(part.check() for part in parts)
        return HealthReport(bool(checks) and all(check.ok for check in checks), checks)
