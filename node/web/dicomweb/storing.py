"""The files of one STOW-RS request on their way into the store.

One thread at a time tells it of the body's parts. While it reads the next files, others wait for
the disk with those that have come whole.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future

from node.receive import statuses
from node.receive.body_parts import TooMuch
from node.receive.file_reception import FileReception, Outcome
from node.receive.reception import NO_END
from node.receive.uploads import Upload
from node.web.dicomweb.media_types import DICOM, media_type

MAX_FILES = 50_000
"""Of one request: each is named in the answer."""
SETTLING = 8
"""Files of one request that wait for the disk at a time."""


class Storing:
    """Takes the parts of a body; ``finish`` or ``abandon`` ends it."""

    def __init__(self, upload: Upload, study_instance_uid: str, settlers: Executor) -> None:
        """``study_instance_uid``: only its instances are taken; empty: any."""
        self._upload = upload
        self._study = study_instance_uid
        self._settlers = settlers
        self._settling = threading.BoundedSemaphore(SETTLING)
        self._outcomes: list[Future[Outcome]] = []
        self._coming: FileReception | None = None
        self._whole: FileReception | None = None

    # --- told of the body -------------------------------------------------------------------------

    def begin_part(self, headers: Mapping[str, str]) -> None:
        """Raises TooMuch."""
        self._settle_beside()
        if len(self._outcomes) >= MAX_FILES:
            raise TooMuch(f"more than {MAX_FILES} parts: send them in several requests")
        if media_type(headers.get("content-type", DICOM)).name in (DICOM, ""):
            self._coming = self._upload.begin(self._study)
            return
        reason = f"a part is no {DICOM}"
        self._outcomes.append(done(Outcome(statuses.CANNOT_UNDERSTAND, reason)))

    def part_data(self, data: memoryview) -> None:
        """Raises TooMuch."""
        coming = self._coming
        if coming is None:
            return
        coming.write(data)
        if self._upload.has_no_end(coming):
            raise TooMuch(NO_END)

    def end_part(self) -> None:
        self._whole, self._coming = self._coming, None

    # --- the end ----------------------------------------------------------------------------------

    def finish(self) -> list[Outcome]:
        """What became of the files, in their order; those named as stored survive a power cut."""
        if self._whole is not None:
            self._outcomes.append(done(self._upload.finish(self._whole)))
            self._whole = None
        return [one.result() for one in self._outcomes]

    def abandon(self) -> list[Outcome]:
        """No more comes: files that came whole are kept, the one that did not is dropped."""
        if self._coming is not None:
            self._coming.abandon()
            self._coming = None
        return self.finish()

    def _settle_beside(self) -> None:
        """The file that came last is not the last of all: others see to it."""
        whole, self._whole = self._whole, None
        if whole is None:
            return
        self._settling.acquire()
        outcome = self._settlers.submit(self._upload.finish, whole)
        outcome.add_done_callback(lambda _: self._settling.release())
        self._outcomes.append(outcome)


def done(outcome: Outcome) -> Future[Outcome]:
    """An outcome that is known already."""
    known: Future[Outcome] = Future()
    known.set_result(outcome)
    return known
