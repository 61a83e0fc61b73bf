"""Which instances are being placed at this moment, so that of one UID only one file is sealed.

A power cut may take a final name and leave the sealed files: were there two of one UID, nobody
could say which of them was acknowledged.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path


class Reservations:
    """Keys that are taken, by the threads of a process and, over a file, by several processes."""

    def __init__(self, shared: Path | None) -> None:
        """``shared``: a file whose bytes stand for keys, where other processes place too."""
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._path = shared
        self._file = -1

    def take(self, key: str) -> bool:
        """Whether nobody else has it. Raises OSError."""
        with self._lock:
            if key in self._keys or not self._take_from_others(key):
                return False
            self._keys.add(key)
            return True

    def release(self, key: str) -> None:
        with self._lock:
            self._keys.discard(key)
            if self._file >= 0:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))

    def _take_from_others(self, key: str) -> bool:
        if self._path is None:
            return True
        if self._file < 0:
            self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except BlockingIOError:
            return False
        return True

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def _place(key: str) -> int:
    """The byte that stands for a key: two keys that share one only wait for each other."""
    return int(key.partition("/")[2][:15], 16)
