"""Files that are brought over the web: who brings which studies at this moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from node.audit.tally import StudyTally
from node.receive.file_reception import FileReception, Outcome, Refusal
from node.receive.reception import Receiver
from storage.records import InstanceRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SENDER = "STOW-RS"
"""The title of who brings a file that names none."""
_LOOK_S = 0.02


class Closed(Exception):
    """The node stops: nothing more is taken."""


@dataclass(slots=True)
class _Counts:
    stored: int = 0
    refused: int = 0

    def add(self, outcome: Outcome) -> None:
        self.stored += outcome.is_stored
        self.refused += not outcome.is_stored


@dataclass(slots=True, eq=False)
class Upload:
    """What one request brings. Its files may be received by several threads."""

    _uploads: Uploads
    _studies: set[str] = field(default_factory=set)
    counts: _Counts = field(default_factory=_Counts)
    brought: StudyTally = field(default_factory=StudyTally)
    """What was stored of it, for the audit trail."""

    def begin(self, study_instance_uid: str = "") -> FileReception:
        """A file comes; with a study only if it belongs to that."""
        uploads = self._uploads
        receiver = replace(uploads.receiver, sink=self._pass_on)
        return FileReception(receiver, uploads.refusal, SENDER, study_instance_uid)

    def has_no_end(self, reception: FileReception) -> bool:
        """Whether so much came of a file that its sender is cut off."""
        return self._uploads.receiver.has_no_end(reception.size_bytes)

    def finish(self, reception: FileReception) -> Outcome:
        """End a file that has come whole."""
        outcome = reception.finish()
        self._uploads.count(self, outcome)
        return outcome

    def studies(self) -> frozenset[str]:
        return frozenset(self._studies)

    def _pass_on(self, record: InstanceRecord) -> None:
        """The study is open before the index hears of it."""
        self._uploads.touch(self, record.attributes.study_instance_uid)
        self._uploads.receiver.sink(record)
        found, header = record.attributes, record.attributes.study
        self.brought.add(
            found.study_instance_uid,
            found.sop_class_uid,
            str(header.get("PatientID", "") or ""),
            str(header.get("PatientName", "") or ""),
        )

    def note(self, study_instance_uid: str) -> None:
        """Under the lock of all."""
        self._studies.add(study_instance_uid)


class Uploads:
    """All of them. Any thread may call."""

    def __init__(self, receiver: Receiver, refusal: Refusal, silence_s: float) -> None:
        """``silence_s``: so long a sender may keep silent."""
        self.receiver = receiver
        self.refusal = refusal
        self.silence_s = silence_s
        self._lock = threading.Lock()
        self._live: list[Upload] = []
        self._counts = _Counts()
        self._is_closed = False

    @contextmanager
    def open(self, host: str) -> Iterator[Upload]:
        """What one request brings, until that is over.

        Raises
        ------
        Closed
        """
        upload = Upload(self)
        with self._lock:
            if self._is_closed:
                raise Closed("the node stops")
            self._live.append(upload)
        try:
            yield upload
        finally:
            with self._lock:
                self._live.remove(upload)
            counts = upload.counts
            line = log.debug if counts == _Counts(1, 0) else log.info  # some send one at a time
            line("upload_ended", host=host, instances=counts.stored, refused=counts.refused)

    def has_room(self) -> bool:
        """Whether the disk has as much room as the settings ask for.

        Raises
        ------
        StoreUnavailable
        """
        least = self.receiver.min_free_bytes
        return not least or self.receiver.store.has_room(least)

    def live(self) -> int:
        """How many bring something at this moment."""
        with self._lock:
            return len(self._live)

    def counts(self) -> tuple[int, int]:
        """How many files were stored and refused since the start."""
        with self._lock:
            return self._counts.stored, self._counts.refused

    def open_studies(self) -> frozenset[str]:
        """Studies of which something was brought by who still brings."""
        with self._lock:
            return frozenset(uid for one in self._live for uid in one.studies())

    def close(self, timeout_s: float) -> None:
        """Take nothing new, and let those that are here end."""
        with self._lock:
            self._is_closed = True
        until = time.monotonic() + timeout_s
        while self.live() and time.monotonic() < until:
            time.sleep(_LOOK_S)

    # --- called by an upload ----------------------------------------------------------------------

    def touch(self, upload: Upload, study_instance_uid: str) -> None:
        with self._lock:
            upload.note(study_instance_uid)

    def count(self, upload: Upload, outcome: Outcome) -> None:
        with self._lock:
            upload.counts.add(outcome)
            self._counts.add(outcome)
