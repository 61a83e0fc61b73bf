"""What a worker process writes where nobody reads: its beginning kept, all of it counted."""

from __future__ import annotations

import os
import re
import select
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

KEPT_BYTES = 16_384
_READ = 65_536
_FULL_PIPE = 17
"""Reads that empty a pipe of 1 MB, the largest there is."""


_FAULT = re.compile(r"(?:Fatal Python error: .*|\s*File \".*\", line \d+.*)")


@dataclass(frozen=True, slots=True)
class Printed:
    """The beginning of what was written, and how many bytes it was."""

    text: str = ""
    count: int = 0

    def fault(self) -> str:
        """Where the program was when it crashed, as Python itself wrote it; empty otherwise."""
        _, found, rest = self.text.partition("Fatal Python error: ")
        lines = (found + rest).splitlines()
        return "\n".join(line for line in lines if _FAULT.fullmatch(line))


class Output:
    """What a process writes to standard output and error: its beginning kept, all of it counted."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader
        os.set_blocking(reader.fileno(), False)
        self._lock = threading.Lock()
        self._kept = b""
        self._count = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="worker-output", daemon=True)

    def follow(self) -> None:
        """Read along from now on, so that a flood blocks nobody."""
        self._thread.start()

    def take(self) -> Printed:
        """What was written since the last call."""
        with self._lock:
            for _ in range(_FULL_PIPE):
                if not self._read():
                    break
            kept, self._kept = self._kept, b""
            count, self._count = self._count, 0
        return Printed(kept.decode("utf-8", "replace"), count)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._thread.join(1.0)  # it ends with the last process that could write
        if not self._thread.is_alive():
            self._reader.close()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._reader.fileno(), select.POLLIN)
        while not self._closed:
            for _, event in poll.poll():
                with self._lock:
                    if not self._read() and event & select.POLLHUP:
                        return

    def _read(self) -> bool:
        if self._closed:
            return False
        with suppress(BlockingIOError):
            part = os.read(self._reader.fileno(), _READ)
            self._kept += part[: KEPT_BYTES - len(self._kept)]
            self._count += len(part)
            return bool(part)
        return False
