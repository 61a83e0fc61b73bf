"""Whether images come so fast that the cores are the receivers', and what can wait should."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAST = 16
"""Images a second."""
LOOK_S = 1.0
"""Between two looks at what has come."""
STALE_S = 5.0
"""A look that lies longer back says nothing of this moment."""


class Rush:
    """received: how many images have come since the start. ``is_on`` may be asked by any thread;
    who asks for the first time after a while finds it calm."""

    def __init__(
        self, received: Callable[[], int], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._received = received
        self._now = now
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._before = 0
        self._is_on = False

    def is_on(self) -> bool:
        """Whether it was so between the last two looks; looks once a second."""
        with self._lock:
            now = self._now()
            passed_s = now - self._looked_at
            if passed_s >= LOOK_S:
                count = self._received()
                came = count - self._before
                self._is_on = passed_s <= STALE_S and came > FAST * passed_s
                self._looked_at, self._before = now, count
            return self._is_on
