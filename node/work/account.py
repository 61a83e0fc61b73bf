"""What one run of a job told while it lasted: where it stands, and the lines of its own log."""

from __future__ import annotations

import threading
from datetime import datetime

from node.clock import Clock, system_clock
from node.work.executor import Progress
from node.work.inside import Said
from node.work.stages import Reached
from storage.records import JobLine

MOST = 200
"""Lines of one run; what comes after is counted."""


class Account:
    """Written to by the thread of a slot, read by any."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: list[JobLine] = []
        self._more = 0
        self.progress: Progress | None = None

    def reach(self, reached: Reached) -> None:
        """A worker has told how far it is."""
        now, before = self._clock(), self.progress
        if before is None or before.stage is not reached.stage:
            self.progress = Progress(reached.stage, now, reached.share)
            self._add(JobLine(now, "info", reached.stage))
        else:
            self.progress = Progress(before.stage, before.since, reached.share)

    def note(self, said: Said) -> None:
        """A line of the node's log that the job has caused. Its texts tell of no patient."""
        fields = (f"{key}={value}" for key, value in said.fields.items() if key not in _LEFT_OUT)
        text = " ".join((said.event, *fields))
        self._add(JobLine(self._clock(), said.level, text[:_LONGEST]))

    def lines(self) -> tuple[JobLine, ...]:
        """What was told, the oldest first."""
        with self._lock:
            more = [_more(self._clock(), self._more)] if self._more else []
            return (*self._lines, *more)

    def _add(self, line: JobLine) -> None:
        with self._lock:
            if len(self._lines) < MOST:
                self._lines.append(line)
            else:
                self._more += 1


_LEFT_OUT = frozenset({"job", "exception"})
"""Its number is known; a traceback may quote a header."""
_LONGEST = 500


def _more(at: datetime, number: int) -> JobLine:
    return JobLine(at, "info", f"and {number} lines more, which the node's log has")
