"""A folder that results are put into as files, each whole or not there.

A file is written under a hidden name that ends in ``.part``, synced, and renamed. What lies there
under its name already is left alone: the same bytes are the object itself, others are not
overwritten. No other program is expected to write files of these names.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydicom import dcmread
from pydicom.dataset import Dataset

from node import statuses
from node.delivery.targets.port import Abilities, Sink, Telling, Wanted, every
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.answers import SendOutcome, SendResult
from node.observe.redaction import study_digest
from storage.files.blobs import Blob, sha256_of
from storage.files.disk import sync_folder
from storage.header import values

_CHUNK = 1 << 20
_DIGITS = 16
"""Of a digest: enough for files of one folder."""
_HEADER = ("Modality", "InstanceCreationDate", "StudyInstanceUID")
_PROBE = ".wetread-probe"

STORED = SendResult(statuses.SUCCESS, SendOutcome.STORED, "stored")
THERE = SendResult(None, SendOutcome.STORED, "the file is there already")


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """``template``: how files are named below ``root``; checked with the settings."""

    name: str
    root: Path
    template: str

    def abilities(self, sop_classes: Iterable[str]) -> Abilities:
        return Abilities(Telling.ALL)

    def send(self, objects: Sequence[Blob], take: Sink, wanted: Wanted = every) -> None:
        self._check_root()
        for index, one in enumerate(objects):
            if not wanted(index):
                continue
            try:
                named = self._named(one)
            except OSError as error:
                reason = f"the file cannot be read ({type(error).__name__})"
                take(index, SendResult(None, SendOutcome.REFUSED, reason))
                continue
            with self._named_faults():
                place = self._place(named)
                if not place.exists():
                    self._make_folder(place.parent)
                    _copy(one, place)
                    take(index, STORED)
                else:
                    take(index, THERE)

    def held(self, objects: Sequence[Blob]) -> frozenset[int]:
        self._check_root()
        with self._named_faults():
            return frozenset(
                number
                for number, one in enumerate(objects)
                if self._place(self._named(one)).exists()
            )

    def probe(self) -> float:
        started = time.monotonic()
        self._check_root()
        with self._named_faults():
            probe = self.root / _PROBE
            probe.write_bytes(b"")
            probe.unlink()
        return time.monotonic() - started

    # --- names ------------------------------------------------------------------------------------

    def _named(self, one: Blob) -> _Named:
        """Raises OSError."""
        digest = sha256_of(one)
        job, _, file = one.key.rpartition("/")
        with one.open("rb") as source:
            header = dcmread(source, stop_before_pixels=True, specific_tags=list(_HEADER))
        found = self.template.format(
            job=_plain(job),
            object=_plain(PurePosixPath(file).stem),
            modality=_plain(values.text(header, "Modality")) or "none",
            date=_plain(_date(header)),
            digest=digest[:_DIGITS],
            study=study_digest(values.uid(header, "StudyInstanceUID")),
        )
        return _Named(found, digest)

    def _place(self, named: _Named) -> Path:
        """Where the bytes lie, or may be put."""
        for place in self._places(named.name):
            if not place.exists() or sha256_of(place) == named.sha256:
                return place
        raise AssertionError("there is always another name")

    def _places(self, name: str) -> Iterator[Path]:
        first = self.root / name
        yield first
        number = 2
        while True:
            yield first.with_name(f"{first.stem}-{number}{first.suffix}")
            number += 1

    # --- the file system --------------------------------------------------------------------------

    def _check_root(self) -> None:
        """What is not mounted must not be written beside its place."""
        if not self.root.is_dir():
            raise PeerUnavailable(
                self.name, PeerFault.UNREACHABLE, f"the folder {self.root} is not there"
            )

    def _make_folder(self, folder: Path) -> None:
        """Below the root, with names that survive a power cut. Raises OSError."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir()
        sync_folder(folder.parent)

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        """Whatever goes wrong with a folder passes, or somebody mends it: it is waited for."""
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise PeerUnavailable(
                self.name, PeerFault.UNREACHABLE, f"the folder {self.root} takes no files: {reason}"
            ) from error


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    sha256: str


def _copy(one: Blob, place: Path) -> None:
    """Raises OSError; then nothing lies at the place."""
    half = place.with_name(f".{place.name}.part")
    try:
        with one.open("rb") as source, half.open("wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        half.rename(place)
    except OSError:
        half.unlink(missing_ok=True)
        raise
    sync_folder(place.parent)


def _date(header: Dataset) -> str:
    found = values.known(values.day(header, "InstanceCreationDate"))
    return found.isoformat() if found else "undated"


def _plain(part: str) -> str:
    """What may stand in a name on any file system."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", part)
