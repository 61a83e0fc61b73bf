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
        self._trying: dict[str, datetime] = {}

    def attempt(self, name: str) -> None:
        """A part begins to prove itself. If it never comes back, the report says so."""
        with self._lock:
            self._trying[name] = self._clock()

    def beat(self, name: str) -> None:
        """A part did something that worked."""
        with self._lock:
            self._succeeded[name] = self._clock()
            self._faults.pop(name, None)
            self._trying.pop(name, None)

    def fault(self, name: str, reason: str) -> None:
        """A part failed; it stays well until its last success is too old."""
        with self._lock:
            self._faults[name] = reason
            self._trying.pop(name, None)

    def report(self) -> HealthReport:
        """What holds at this moment."""
        with self._lock:
            checks = tuple(self._check(name) for name in PARTS)
        return HealthReport(all(check.ok for check in checks), checks)

    def _check(self, name: str) -> Check:
        at = self._succeeded.get(name)
        age_s = (self._clock() - at).total_seconds() if at else None
        ok = age_s is not None and age_s <= FRESH_S
        return Check(name, ok, at, age_s, self._hanging(name) or self._reason(name, ok, age_s))

    def _hanging(self, name: str) -> str:
        began = self._trying.get(name)
        hangs_s = (self._clock() - began).total_seconds() if began else 0.0
        return f"its check has not come back for {hangs_s:.0f} s" if hangs_s > FRESH_S else ""

    def _reason(self, name: str, ok: bool, age_s: float | None) -> str:
        fault = self._faults.get(name, "")
        if ok or fault:
            return fault
        return "has not proved itself yet" if age_s is None else f"nothing done for {age_s:.0f} s"


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
        """Prove every part now, and again and again until stopped."""
        for name, probe in self._probes.items():
            thread = threading.Thread(
                target=self._run, args=(name, probe), name=f"probe-{name}", daemon=True
            )
            thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self, name: str, probe: Callable[[], None]) -> None:
        while not self._stopping.is_set():
            self._health.attempt(name)
            try:
                probe()
            except Exception as error:  # noqa: BLE001 - whatever it raises is what is to be shown
                self._health.fault(name, f"{type(error).__name__}: {error}".removesuffix(": "))
            else:
                self._health.beat(name)
            self._stopping.wait(self._every_s)
