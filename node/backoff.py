"""How long to wait before the next try of what failed: longer each time, up to a limit."""

from __future__ import annotations

_MOST_DOUBLINGS = 32


def doubled(first_s: float, failures: int, longest_s: float) -> float:
    """The pause after the nth failure in a row (from 1), in seconds: twice the one before."""
    return float(min(first_s * 2 ** min(max(failures, 1) - 1, _MOST_DOUBLINGS), longest_s))
