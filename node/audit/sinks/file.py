"""A file with a message a line, for its owner alone, rotated by size.

What is written is synced before it counts as handed over. If the node ends in between, the last
line says how far it came: nothing stands there twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.audit.sinks import syslog
from node.audit.sinks.port import RepositoryAway
from storage.audit import KeptMessage

_TAIL = 256 * 1024
"""More than the longest line."""


@dataclass(frozen=True, slots=True)
class FileSink:
    """``keep``: so many rotated files; 0: all."""

    path: Path
    max_bytes: int
    keep: int = 0
    name: str = "file"
    own_host: str = field(default_factory=syslog.host_name)

    def send(self, messages: Sequence[KeptMessage]) -> None:
        """See ``Sink``."""
        try:
            lines = self._not_there(messages)
            if lines:
                self._append(b"".join(line + b"\n" for line in lines))
            if self.path.exists() and self.path.stat().st_size >= self.max_bytes:
                self._rotate(messages[-1].id)
        except OSError as error:
            raise RepositoryAway(f"{self.path.name}: {error.strerror}") from error

    def probe(self) -> float:
        """See ``Sink``. Nothing is made: who asks may be another user than the node's."""
        began = time.monotonic()
        there = next(one for one in (self.path, *self.path.parents) if one.exists())
        if there != self.path and not there.is_dir():
            raise RepositoryAway(f"{self.path.name}: {there.name} is no folder")
        if not os.access(there, os.W_OK):
            raise RepositoryAway(f"{self.path.name}: may not be written to")
        return time.monotonic() - began

    def _not_there(self, messages: Sequence[KeptMessage]) -> list[bytes]:
        """Lines after the one that the file ends with."""
        lines = [syslog.line(one, self.own_host) for one in messages]
        last = self._last_line() or self._last_rotated_line()
        return lines[lines.index(last) + 1 :] if last in lines else lines

    def _last_line(self) -> bytes:
        """Of the file, once half a line, which a power cut left, is taken off."""
        if not self.path.exists():
            return b""
        with self.path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - _TAIL, 0))
            whole, newline, torn = file.read().rpartition(b"\n")
            if torn:
                file.truncate(end - len(torn))
            return whole.rpartition(b"\n")[2] if newline else b""

    def _last_rotated_line(self) -> bytes:
        rotated = self._rotated()
        if not rotated:
            return b""
        with rotated[-1].open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            return file.read().rstrip(b"\n").rpartition(b"\n")[2]

    def _append(self, text: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o600)
        with open(file, "wb", closefd=True) as opened:  # noqa: PTH123  with the mode above
            opened.write(text)
            opened.flush()
            os.fsync(file)

    def _rotate(self, last_id: int) -> None:
        self.path.rename(self.path.with_name(f"{self.path.name}.{last_id:012d}"))
        if self.keep:
            for old in self._rotated()[: -self.keep]:
                old.unlink()

    def _rotated(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.path.parent.glob(f"{self.path.name}.{'[0-9]' * 12}"))
