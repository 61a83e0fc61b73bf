"""Who may write into a folder: one node, found out before it touches anything there."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import IO

from storage.errors import FolderTaken
from storage.files.disk import named_errors

LOCK = ".lock"
_LOOK_AGAIN_S = 0.05


def lock(folder: Path, what: str, name: str = LOCK, wait_s: float = 0.0) -> IO[bytes]:
    """Have a folder for oneself, until the file that this gives is closed or the process ends.

    Raises
    ------
    FolderTaken
        Another has it, also after ``wait_s``.
    StoreUnavailable
        The folder cannot be locked: it is not there, or its file system knows no locks.
    """
    until = time.monotonic() + wait_s
    while (held := _try(folder, what, name, fcntl.LOCK_EX)) is None:
        if time.monotonic() >= until:
            raise FolderTaken(f"{what} {folder} is in use by another node")
        time.sleep(_LOOK_AGAIN_S)
    return held


def share(folder: Path, what: str, name: str) -> IO[bytes]:
    """Keep others from locking the folder; any number may share it.

    Raises
    ------
    FolderTaken, StoreUnavailable
    """
    held = _try(folder, what, name, fcntl.LOCK_SH)
    if held is None:
        raise FolderTaken(f"{what} {folder} is in use by another node")
    return held


def _try(folder: Path, what: str, name: str, how: int) -> IO[bytes] | None:
    with named_errors(what):
        file = (folder / name).open("ab")
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            file.close()
            raise
    return file
