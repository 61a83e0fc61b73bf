"""Where a process writes its events at once: a file of its own, which the spooler empties.

A line is with the operating system when ``record`` returns, so the end of the process, even by
``kill -9``, loses none; and it costs some microseconds, no transaction. The file belongs to its
owner alone, for it may name patients. Who writes holds a lock on it: a file without is finished.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import threading
import uuid
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter

from node.audit import events
from node.audit.events import AuditEvent
from node.clock import Clock, system_clock

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SUFFIX = ".jsonl"
LONGEST_BYTES = 4 * 2**20
"""Then another file is begun."""


def encoded(event: AuditEvent, at: datetime) -> bytes:
    """A line of the journal."""
    said = {"event": type(event).__name__, "at": at.isoformat(), "says": asdict(event)}
    return json.dumps(said, default=_plain, separators=(",", ":")).encode() + b"\n"


def decoded(line: bytes) -> tuple[AuditEvent, datetime]:
    """What ``encoded`` wrote.

    Raises
    ------
    ValueError
        It is no such line.
    """
    said = json.loads(line)
    kind = getattr(events, str(said["event"]), None)
    if kind is None:
        raise ValueError("an event of another version")
    says = said["says"]
    if "asked" in says:
        says["asked"] = base64.b64decode(says["asked"])
    event: AuditEvent = _adapter(kind).validate_python(says)
    return event, datetime.fromisoformat(said["at"])


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return getattr(value, "value", str(value))


class Journal:
    """The trail of one process. ``record`` may be called from any thread."""

    def __init__(self, folder: Path, clock: Clock = system_clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0
        self.lost = 0
        """Events that could not be written since the start."""

    def record(self, event: AuditEvent) -> None:
        """See ``Trail.record``."""
        line = encoded(event, self._clock())
        with self._lock:
            try:
                self._write(line)
            except OSError as error:
                self.lost += 1
                log.error("audit_event_lost", reason=error.strerror, lost=self.lost)

    def close(self) -> None:
        """Nothing more is recorded: the file is finished."""
        with self._lock:
            self._close()

    def _write(self, line: bytes) -> None:
        if self._file < 0:
            self._open()
        written = os.write(self._file, line)
        self._size += written
        if written != len(line):  # the disk is full: half a line is none
            os.ftruncate(self._file, self._size - written)
            self._size -= written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._size >= LONGEST_BYTES:
            self._close()

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{uuid.uuid4().hex}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        hidden = path.with_suffix(".new")  # not seen before it is locked
        self._file = os.open(hidden, flags, 0o600)
        if os.geteuid() == 0:  # a command of root's: the node empties it, and may be another user
            owner = self._folder.stat()
            os.fchown(self._file, owner.st_uid, owner.st_gid)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        hidden.rename(path)
        self._size = 0

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
