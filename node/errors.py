"""What is worth a retry. This module alone decides between transient and permanent.

A permanent error would come back with the same input (bad geometry, a fault in a plugin); a
transient one may go away by itself (disk full, file system away, device out of memory).
"""

from __future__ import annotations

import errno
import re


class NodeError(Exception):
    """Base of the errors raised by ``node``."""


class SettingsError(NodeError):
    """The settings cannot be used; every line of the message names a key and what to do."""


class AlreadyRunning(NodeError):
    """Another node dispatches on the same database."""


class NotPossible(NodeError):
    """What a person wants cannot be done: a condition is not met, and nothing was changed."""


_TRANSIENT_NAMES = frozenset({"OutOfMemoryError", "OutOfSpace", "StoreUnavailable"})


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing anything.

    ``OutOfMemoryError`` is torch's (a device shared with others), told by name: torch must not be
    imported here.
    """
    if type(error).__name__ in _TRANSIENT_NAMES:
        return True
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


DISK = "room on the disk"
DEVICE_MEMORY = "memory on the device"
STORE = "the file system"
DATABASE = "the database"

_AWAITED_NAMES = {
    "OutOfSpace": DISK,
    "StoreUnavailable": STORE,
    "OutOfMemoryError": DEVICE_MEMORY,
    "DatabaseUnavailable": DATABASE,
}
_AWAITED_NUMBERS = {
    errno.ENOSPC: DISK, errno.EDQUOT: DISK,
    errno.ESTALE: STORE, errno.ENODEV: STORE, errno.ENOTCONN: STORE, errno.ETIMEDOUT: STORE,
    errno.EHOSTDOWN: STORE, errno.EHOSTUNREACH: STORE, errno.EROFS: STORE,
}  # fmt: skip
_NO_DEVICE_MEMORY = re.compile(r"CUDA.*out of memory|CUBLAS_STATUS_ALLOC_FAILED")


def awaited(error: BaseException) -> str:
    """What has to come back before any work like this can go on; empty where that is nothing.

    Waiting for it is no attempt: the work itself did nothing wrong. An error that was raised from
    another, by a plugin that says it in its own words, is looked through.
    """
    seen: BaseException | None = error
    while seen is not None:
        found = _awaited(seen)
        if found:
            return found
        seen = seen.__cause__
    return ""


def _awaited(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in _AWAITED_NUMBERS:
        return _AWAITED_NUMBERS[error.errno]
    if isinstance(error, RuntimeError) and _NO_DEVICE_MEMORY.search(str(error)):
        return DEVICE_MEMORY
    return _AWAITED_NAMES.get(type(error).__name__, "")
