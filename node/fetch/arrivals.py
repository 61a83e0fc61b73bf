"""Who waits for instances hears of them here, whichever way they come in."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from storage.records import InstanceRecord


class Arriving:
    """Instances of one study that somebody waits for."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._came: set[str] = set()
        self._changed = threading.Condition()
        self.last_at = time.monotonic()
        """When the last one came, by the monotonic clock."""

    def came(self, sop_instance_uid: str) -> None:
        """From any thread."""
        if sop_instance_uid in self._wanted:
            with self._changed:
                self._came.add(sop_instance_uid)
                self.last_at = time.monotonic()
                self._changed.notify_all()

    def all_came(self) -> frozenset[str]:
        """Those that are durable here now."""
        with self._changed:
            return frozenset(self._came)

    def wait(self, among: Collection[str], number: int, quiet_s: float) -> bool:
        """Until so many of some came, or all; false when nothing came for a time."""
        wanted = min(number, len(among))
        with self._changed:
            while len(self._came.intersection(among)) < wanted:
                if not self._changed.wait(quiet_s):
                    return False
            return True


class Arrivals:
    """All studies that somebody waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waited_for: dict[str, list[Arriving]] = {}

    def note(self, record: InstanceRecord) -> None:
        """An instance is stored durably. Called for each that is received: it has to be quick."""
        waiting = self._waited_for.get(record.attributes.study_instance_uid)
        for one in waiting or ():
            one.came(record.attributes.sop_instance_uid)

    def studies(self) -> frozenset[str]:
        """Their UIDs."""
        with self._lock:
            return frozenset(self._waited_for)

    @contextmanager
    def of(self, study_instance_uid: str, wanted: frozenset[str]) -> Iterator[Arriving]:
        """Wait for instances of a study; it counts as arriving meanwhile."""
        made = Arriving(wanted)
        with self._lock:
            others = self._waited_for.get(study_instance_uid, [])
            self._waited_for[study_instance_uid] = [*others, made]
        try:
            yield made
        finally:
            with self._lock:
                left = [one for one in self._waited_for[study_instance_uid] if one is not made]
                if left:
                    self._waited_for[study_instance_uid] = left
                else:
                    del self._waited_for[study_instance_uid]
