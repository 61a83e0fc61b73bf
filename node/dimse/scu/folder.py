"""Sending a folder of DICOM files, with patience: what ``wetread send`` does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.dimse.errors import PeerUnavailable
from node.dimse.scu.answers import SendOutcome, SendResult
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts, send

RECONNECTS = 6
"""How often in a row an association is tried again without anything getting through."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was not stored, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """How far a folder is; also the result when all is done."""

    found: int
    """DICOM files to send."""
    skipped: int
    """Other files: no DICOM, or a DICOMDIR."""
    stored: int = 0
    warnings: int = 0
    """Of the stored ones: with a remark by the peer."""
    failures: tuple[Failure, ...] = ()
    reconnects: int = 0

    @property
    def is_complete(self) -> bool:
        return self.stored == self.found

    @property
    def is_settled(self) -> bool:
        return self.stored + len(self.failures) == self.found


def send_folder(
    folder: Path,
    peer: Peer,
    on_progress: Callable[[FolderSummary], None] = lambda summary: None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    reconnects: int = RECONNECTS,
    sleep: Callable[[float], None] = time.sleep,
) -> FolderSummary:
    """Send every DICOM file below a folder; after a lost association go on where it ended.

    A file counts as stored only by the peer's status. What stays unsent after the last attempt
    stands among the failures, with the reason.
    """
    paths, skipped = find_instances(folder)
    run = _Run(paths, skipped, on_progress)
    tries = 0
    while run.pending():
        settled_before = run.settled
        reason = run.attempt(peer, timeouts)
        if not run.pending():
            break
        tries = 0 if run.settled > settled_before else tries + 1
        if tries >= reconnects:
            run.give_up(reason)
            break
        run.reconnects += 1
        sleep(min(FIRST_PAUSE_S * 2**tries, LONGEST_PAUSE_S))
    return run.summary()


def find_instances(folder: Path) -> tuple[list[Path], int]:
    """The DICOM files below a folder in order, whatever they are called; the others' number."""
    found: list[Path] = []
    skipped = 0
    for path in _files(folder):
        if path.name.upper() != "DICOMDIR" and _is_dicom(path):
            found.append(path)
        else:
            skipped += 1
    return found, skipped


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(place, name)


def _is_dicom(path: Path) -> bool:
    if not path.is_file():
        return False  # a socket or a pipe would block
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE_BYTES + len(_PREFIX))[_PREAMBLE_BYTES:] == _PREFIX
    except OSError:
        return False


class _Run:
    """The state of one folder: which files have no final result yet."""

    def __init__(
        self, paths: list[Path], skipped: int, on_progress: Callable[[FolderSummary], None]
    ) -> None:
        self.reconnects = 0
        self._paths = paths
        self._skipped = skipped
        self._on_progress = on_progress
        self._results: dict[int, SendResult] = {}

    @property
    def settled(self) -> int:
        return len(self._results)

    def pending(self) -> list[int]:
        return [index for index in range(len(self._paths)) if index not in self._results]

    def attempt(self, peer: Peer, timeouts: Timeouts) -> str:
        """Send what is pending over one association; why some of it stays pending."""
        indices = self.pending()
        reason = ""

        def take(place: int, result: SendResult) -> None:
            nonlocal reason
            if result.outcome is SendOutcome.TRANSIENT:
                reason = result.reason
                return
            self._results[indices[place]] = result
            self._on_progress(self.summary())

        try:
            send([self._paths[index] for index in indices], peer, take, timeouts)
        except PeerUnavailable as error:
            reason = str(error)
        return reason

    def give_up(self, reason: str) -> None:
        for index in self.pending():
            self._results[index] = SendResult(None, SendOutcome.TRANSIENT, reason)
        self._on_progress(self.summary())

    def summary(self) -> FolderSummary:
        results = self._results
        stored = [result for result in results.values() if result.is_stored]
        return FolderSummary(
            found=len(self._paths),
            skipped=self._skipped,
            stored=len(stored),
            warnings=sum(result.outcome is SendOutcome.WARNING for result in stored),
            failures=tuple(
                Failure(self._paths[index], result.reason)
                for index, result in sorted(results.items())
                if not result.is_stored
            ),
            reconnects=self.reconnects,
        )
