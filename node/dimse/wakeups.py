"""What pynetdicom's threads wait for: they are woken when there is something to do.

Left alone both look round every millisecond, and a second thread that does so takes the interpreter
from the one that receives. Its two queues and its checkpoint are replaced here by ones that wake
the thread which serves them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

LOOK_ROUND_S = 0.05
"""Nobody wakes a thread for its time-outs, or to end: so often they look for these."""


class Checkpoint(threading.Event):
    """An association's reactor checkpoint: its thread waits here before every round."""

    def __init__(self) -> None:
        super().__init__()
        self.set()
        self._work = threading.Event()

    def wake(self) -> None:
        """There is something to do."""
        self._work.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Return when there is something to do, and the reactor is not to pause."""
        self._work.wait(LOOK_ROUND_S)
        self._work.clear()
        return super().wait(timeout)


class WakingQueue(queue.Queue[Any]):
    """A queue that tells somebody when something was put into it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._wake()
