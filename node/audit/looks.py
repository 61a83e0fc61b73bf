"""What is told once in a while, though it happens by the hundred: a viewer asks for each slice."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

AGAIN_S = 600.0
"""Who goes on looking at a study is told again so often."""
REFUSED_AGAIN_S = 60.0
"""Who goes on asking for what he does not get."""
MOST_KEYS = 20_000


class Once:
    """Whether something is new, or so long ago that it is told again. From any thread."""

    def __init__(self, again_s: float = AGAIN_S, now: Callable[[], float] = time.monotonic) -> None:
        self._again_s = again_s
        self._now = now
        self._lock = threading.Lock()
        self._told: OrderedDict[Hashable, float] = OrderedDict()

    def is_new(self, key: Hashable) -> bool:
        """True for the first of its kind; then false for a while."""
        now = self._now()
        with self._lock:
            if now < self._told.get(key, float("-inf")) + self._again_s:
                return False
            self._told.pop(key, None)
            self._told[key] = now
            if len(self._told) > MOST_KEYS:
                self._told.popitem(last=False)
            return True
