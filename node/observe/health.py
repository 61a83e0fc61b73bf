"""Whether the node works: each part must have done something in the last minute.

A part that only says it is there proves nothing; ``HealthProbe`` lets each do a small real thing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from node.clock import Clock

PARTS = ("database", "store", "listener", "dispatcher", "workers")
FRESH_S = 60.0
PROBE_EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """One part: whether it succeeded in the last minute, and the last thing that went wrong."""

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


class Health:
    """Keeps when each part last succeeded. All methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._succeeded: dict[str, datetime] = {}
        self._faults: dict[str, str] = {}

    def beat(self, name: str) -> None:
        """A part did something that worked."""
        with self._lock:
            self._succeeded[name] = self._clock()
            self._faults.pop(name, None)

    def fault(self, name: str, reason: str) -> None:
        """A part failed; it stays well until its last success is too old."""
        with self._lock:
            self._faults[name] = reason

    def report(self) -> HealthReport:
        with self._lock:
            checks = tuple(self._check(name) for name in PARTS)
        return HealthReport(all(check.ok for check in checks), checks)

    def _check(self, name: str) -> Check:
        reason = self._faults.get(name, "")
        at = self._succeeded.get(name)
        if at is None:
            return Check(name, False, None, None, reason or "has not proved itself yet")
        age_s = (self._clock() - at).total_seconds()
        ok = age_s <= FRESH_S
        if not ok and not reason:
            reason = f"nothing done for {age_s:.0f} s"
        return Check(name, ok, at, age_s, reason)


class HealthProbe:
    """Lets each part prove itself, each in a thread of its own: one that hangs hides no other."""

    def __init__(
        self,
        health: Health,
        probes: Mapping[str, Callable[[], None]],
        every_s: float = PROBE_EVERY_S,
    ) -> None:
        self._health = health
        self._probes = probes
        self._every_s = every_s
        self._stopping = threading.Event()

    def start(self) -> None:
        for name, probe in self._probes.items():
            thread = threading.Thread(
                target=self._run, args=(name, probe), name=f"probe-{name}", daemon=True
            )
            thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self, name: str, probe: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            try:
                probe()
            except Exception as error:  # noqa: BLE001 - whatever it raises is what is to be shown
                self._health.fault(name, f"{type(error).__name__}: {error}")
            else:
                self._health.beat(name)
            self._stopping.wait(self._every_s)
