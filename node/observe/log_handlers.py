"""Log handlers that never stand in the way: on a full disk, and before a console nobody reads.

What they cannot write is counted, and the number told once they can write again. Python's own print
a traceback for each such line to stderr, and wait there for whoever reads it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import select
from contextlib import suppress
from typing import TextIO

AT_ONCE = 4096
"""So much a pipe takes without a wait when it says that it can be written to (PIPE_BUF)."""
PATIENCE_S = 1.0
"""How long a console may be slow before lines are left out."""


def _note(lost: int) -> logging.LogRecord:
    text = f"{lost} lines could not be written here"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)


class LogFile(logging.handlers.RotatingFileHandler):
    """Loses lines while the disk is full, and says how many."""

    _lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        before = self._lost
        super().emit(record)
        if before and self._lost == before:
            self._lost = 0
            super().emit(_note(before))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        self._lost += 1


class Console(logging.Handler):
    """Writes to a stream whose reader may be stuck: such lines are left out, and counted."""

    def __init__(self, stream: TextIO, patience_s: float = PATIENCE_S) -> None:
        super().__init__()
        self._patience_s = patience_s
        self._stream = stream
        self._lost = 0
        self._poll = select.poll()
        try:
            self._poll.register(stream.fileno(), select.POLLOUT)
            self._descriptor = stream.fileno()
        except (OSError, ValueError):  # no file behind it
            self._descriptor = -1

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._lost and self._write(self.format(_note(self._lost))):
                self._lost = 0
            if not self._write(self.format(record)):
                self._lost += 1
        except Exception:  # noqa: BLE001  border: a line that cannot be written stops nothing
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        self._lost += 1

    def _write(self, line: str) -> bool:
        """Whether the line was taken. It may be cut off where the reader gets stuck within."""
        if self._descriptor < 0:
            self._stream.write(f"{line}\n")
            return True
        with suppress(ValueError):
            self._stream.flush()  # what others print
        raw = f"{line}\n".encode(errors="backslashreplace")
        while raw:
            if not self._poll.poll(0 if self._lost else self._patience_s * 1000):
                return False
            raw = raw[os.write(self._descriptor, raw[:AT_ONCE]) :]
        return True
