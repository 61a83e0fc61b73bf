"""What is worth a retry. This module alone decides between transient and permanent.

A permanent error would come back with the same input (bad geometry, a fault in a plugin); a
transient one may go away by itself (disk full, file system away, device out of memory).
"""

from __future__ import annotations


class NodeError(Exception):
    """Base of the errors raised by ``node``."""


class SettingsError(NodeError):
    """The settings cannot be used; every line of the message names a key and what to do."""


class AlreadyRunning(NodeError):
    """Another node dispatches on the same database."""


_TRANSIENT_NAMES = frozenset({"OutOfMemoryError", "OutOfSpace", "StoreUnavailable"})


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing anything.

    ``OutOfMemoryError`` is torch's (a device shared with others), told by name: torch must not be
    imported here.
    """
    if type(error).__name__ in _TRANSIENT_NAMES:
        return True
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
