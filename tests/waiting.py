"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60.0
LOOKS_EVERY_S = 0.02

Found = TypeVar("Found")


def until(
    condition: Callable[[], Found | None],
    patience_s: float = PATIENCE_S,
    every_s: float = LOOKS_EVERY_S,
    told: Callable[[], object] = lambda: "",
) -> Found:
    """What a condition gives once it holds; ``told`` says where things stood if it never does.

    The patience is that of a machine with nothing else to do, and is longer on one with more.
    """
    started = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - started > patience_s * busyness():
            raise AssertionError(f"it did not come about in {patience_s:g} s {told()}".rstrip())
        time.sleep(every_s)
    return found


def busyness() -> float:
    """How many want each processor, and never less than one."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
