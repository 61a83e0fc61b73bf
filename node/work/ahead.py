"""Decodes compressed images while their study still comes, so that its jobs find the pixels done.

One process of the lowest priority does it: the kernel gives it only what nobody else wants of the
cores, and takes that back at once. It is there only while there is something to decode.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from pydicom import uid

from node.series.decoded import keep
from node.work.worker import Allowance, Stop, Worker
from storage import holdings
from storage.database import Database, Transaction
from storage.files.blobs import Blob
from storage.files.decoded_shelf import DecodedShelf
from storage.files.port import Blobs

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Images that the process is given together; between them it is asked whether a job reads."""
WITHIN = Allowance(time_s=300.0, memory_mb=2048)
"""What decoding so many may take."""
FAST = 16
"""Images that come between two steps: with more the disk and the cores are the receivers'."""
UNUSED_STEPS = 15
"""Steps without work after which the process ends."""
COMPRESSED = tuple(sorted(one for one in uid.AllTransferSyntaxes if one.is_encapsulated))


@dataclass(slots=True)
class Counts:
    """Since the start. hits, misses: images that jobs found decoded, and did not."""

    kept: int = 0
    hits: int = 0
    misses: int = 0
    shelf_bytes: int = 0
    """What lies on the shelf now."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def taken(self, hits: int, misses: int) -> None:
        with self.lock:
            self.hits += hits
            self.misses += misses

    def numbers(self) -> Mapping[str, int]:
        with self.lock:
            return {
                "kept": self.kept,
                "hits": self.hits,
                "misses": self.misses,
                "bytes": self.shelf_bytes,
            }


@dataclass(frozen=True, slots=True)
class Kept:
    """What the process did with the images that it was given. fault: of the disk, by type."""

    images: int = 0
    size_bytes: int = 0
    fault: str = ""


class Ahead:
    """``step`` and ``close`` are for one thread, ``stop`` is for any.

    shelf: None where nothing is to be decoded ahead.
    is_reading: whether a job reads images just now: it decodes what is missing itself.
    fast: with more images than this between two steps nothing is decoded.
    """

    def __init__(
        self,
        database: Database,
        instances: Blobs,
        shelf: DecodedShelf | None,
        is_reading: Callable[[], bool],
        start: Callable[[], Worker] = Worker,
        fast: int = FAST,
    ) -> None:
        self._database = database
        self._instances = instances
        self.shelf = shelf
        self.counts = Counts()
        self._is_reading = is_reading
        self._start = start
        self._worker: Worker | None = None
        self._seen: int | None = None
        self._newest = 0
        self._fast = fast
        self._unused = 0
        self._said = ""
        self._is_stopped = False
        self._is_put_off = False

    def step(self) -> bool:
        """Have some of what is new decoded; true where there may be more.

        Raises
        ------
        DatabaseUnavailable
        """
        self._is_put_off = True
        if self.shelf is None or self._is_stopped or self._is_reading():
            return False
        if self._seen is None:
            self._begin(self.shelf)
        with self._database.read() as tx:
            before, self._newest = self._newest, holdings.newest(tx)
            if self._newest - before > self._fast:
                return False
            after, last = self._seen or 0, self._newest
            self._seen, keys = holdings.newer_of(tx, after, last, COMPRESSED, AT_ONCE)
        if keys and not self._is_out_of_room(self.shelf):
            self._unused = 0
            self._decode(tuple(Blob(self._instances, key) for key in keys), self.shelf)
            return True
        self._is_put_off = False
        self._unused += 1
        if self._unused >= UNUSED_STEPS:
            self.close()
        return bool(keys)

    def is_settled(self, tx: Transaction) -> bool:
        """Whether all that came was looked at, and no process waits to be ended."""
        return not self._is_put_off and self._worker is None

    def stop(self) -> None:
        """Whatever is done now ends."""
        self._is_stopped = True
        worker = self._worker
        if worker is not None:
            worker.kill()

    def close(self) -> None:
        """End the process; nothing where none is."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _begin(self, shelf: DecodedShelf) -> None:
        """What lies in the index already had its jobs, or will decode itself."""
        with self._database.read() as tx:
            self._seen = self._newest = holdings.newest(tx)
        with suppress(OSError):
            self.counts.shelf_bytes = shelf.make_room()

    def _is_out_of_room(self, shelf: DecodedShelf) -> bool:
        try:
            if shelf.is_full():
                self._tell("the disk is full")
                return True
        except OSError as error:
            self._tell(type(error).__name__)
            return True
        return False

    def _decode(self, images: tuple[Blob, ...], shelf: DecodedShelf) -> None:
        try:
            if self._worker is None:
                self._worker = self._start()
            kept = self._worker.ask(decode, (images, shelf), WITHIN).answer.value
        except (Stop, OSError) as error:  # a decoder that crashes does so here, and not in a job
            self.close()
            self._tell("" if self._is_stopped else type(error).__name__)
            return
        kept = kept or Kept(fault="the decoder's process")
        self._tell(kept.fault)
        with self.counts.lock:
            self.counts.kept += kept.images
            self.counts.shelf_bytes += kept.size_bytes
        if self.counts.shelf_bytes > shelf.most_bytes:
            with suppress(OSError):
                self.counts.shelf_bytes = shelf.make_room()

    def _tell(self, reason: str) -> None:
        """Say once why images are not decoded ahead; nothing is lost but time."""
        if reason and reason != self._said:
            log.warning("not_decoded_ahead", reason=reason)
        self._said = reason


# --- in the process -------------------------------------------------------------------------------


def decode(
    images: tuple[Blob, ...], shelf: DecodedShelf, began: Callable[[], None] = lambda: None
) -> Kept:
    """Decode these, one after the other, with what nobody else wants of the cores."""
    _give_way()
    began()
    done = size_bytes = 0
    for image in images:
        try:
            size = keep(image, shelf)
        except FileNotFoundError:
            continue  # deleted meanwhile
        except OSError as error:
            return Kept(done, size_bytes, type(error).__name__)
        done, size_bytes = done + (size > 0), size_bytes + size
    return Kept(done, size_bytes)


def _give_way() -> None:
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
