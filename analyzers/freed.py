"""What an analysis frees goes back to the system: it is no part of the memory of what follows.

The C library keeps freed arrays of up to 32 MB for itself, and finds that much more of them the
more came and went: a method on a working grid held twice what it used.
"""

from __future__ import annotations

import ctypes

WHOLE_ARRAY_BYTES = 8 * 2**20
"""Smaller ones, such as slices, are kept to be used again: new pages take time."""
KEPT_BYTES = 2 * WHOLE_ARRAY_BYTES
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""malloc.h of glibc."""


def give_back() -> None:
    """For this process and those forked from it. Nothing where the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, WHOLE_ARRAY_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
