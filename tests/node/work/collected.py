"""A task for a worker, in a module that imports nothing more."""

from __future__ import annotations

import gc
from collections.abc import Callable


def collections(began: Callable[[], None]) -> int:
    """How often this process, and what it is a copy of, looked for young garbage."""
    return int(gc.get_stats()[0]["collections"])
