"""Files to receive into that were made, opened, and their names synced, before they are needed."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path

from storage.files.disk import sync_folder

PART = ".part"
"""Suffix of what is received into."""
_AT_ONCE = 64


class ReadyFile:
    """An open, empty file that an instance may be received into."""

    __slots__ = ("descriptor", "name", "path")

    def __init__(self, folder: Path, receiver: str) -> None:
        """Raises OSError."""
        name = f"{secrets.token_hex(16)}{PART}"
        self.path = f"{folder}/{name}"  # making a Path costs more
        self.name = f"{receiver}/{name}" if receiver else name
        self.descriptor = -1  # for __del__, should open fail
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
        self.descriptor = os.open(self.path, flags, 0o644)

    def discard(self) -> None:
        """Nothing came into it, and nothing will."""
        self.close()
        with suppress(OSError):
            Path(self.path).unlink()

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    __del__ = close


class ReadyFiles:
    """A few dozen of them in one folder; when half are taken, a thread makes more."""

    def __init__(self, folder: Path, receiver: str, sync: bool) -> None:
        """``receiver``: what the names of files begin with; empty where the folder is shared."""
        self._folder = folder
        self._receiver = receiver
        self._sync = sync
        self._files: list[ReadyFile] = []
        self._at_once = _AT_ONCE
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def take(self) -> ReadyFile:
        """One that nobody else gets.

        Raises
        ------
        OSError
            None was left, and none can be made.
        """
        while True:
            with self._lock:
                left = len(self._files)
                taken = self._files.pop() if left else None
            if left == _AT_ONCE // 2 and not self._making.locked():
                with suppress(RuntimeError):  # no thread to be had: then they are made when needed
                    threading.Thread(target=self._make_early, name="ready", daemon=True).start()
            if taken is not None:
                return taken
            self._make()

    def give_back(self, file: ReadyFile) -> None:
        """Nothing came into it: somebody else may have it."""
        with self._lock:
            self._files.append(file)

    def forget(self) -> None:
        """Leave those that are there to whoever deletes what lies in the folder."""
        with self._lock:
            self._files.clear()

    def _make_early(self) -> None:
        with suppress(OSError):  # whoever finds none left makes them, and meets the fault
            self._make()

    def _make(self) -> None:
        with self._making:
            if len(self._files) > _AT_ONCE // 2:
                return
            made = self._as_many_as_can_be()
            with self._lock:
                self._files += made

    def _as_many_as_can_be(self) -> list[ReadyFile]:
        """Fewer than asked for where descriptors or places in the folder run out; at least one."""
        while True:
            try:
                made = self._made(self._at_once)
            except OSError:
                if self._at_once == 1:
                    raise
                self._at_once //= 2
            else:
                self._at_once = min(2 * self._at_once, _AT_ONCE)
                return made

    def _made(self, number: int) -> list[ReadyFile]:
        """So many, their names synced; or none at all, and nothing left behind."""
        made: list[ReadyFile] = []
        try:
            made.extend(ReadyFile(self._folder, self._receiver) for _ in range(number))
            if self._sync:
                sync_folder(self._folder)
        except BaseException:
            for one in made:
                one.discard()
            raise
        return made
