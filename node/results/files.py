"""The files of one run: written, and accounted for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from pydicom.dataset import Dataset

from node.errors import awaited
from node.results import prepared
from node.results.errors import GateRefused, ResultError
from storage.header.attributes import extract
from storage.kinds import ObjectKind
from storage.records import ResultObject

log = structlog.get_logger(__name__)

APART = ".refused"
"""What the names of files of further forms end with that must not leave."""


class ResultFiles:
    """Everything lies in one folder, and is named relative to its parent."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.objects: list[ResultObject] = []
        self.previews: list[str] = []
        self.refused: list[GateRefused] = []
        self.unmade: dict[ObjectKind, str] = {}
        """Further forms that could not be made, and why."""
        self._folder = folder

    @contextmanager
    def judged(self) -> Iterator[None]:
        """What the gate refuses herein is remembered: the run goes on, so that it is whole for a
        person who looks at what was refused, and nothing of it goes out."""
        try:
            yield
        except GateRefused as error:
            self.refused.append(error)

    @contextmanager
    def alone(self, kind: ObjectKind) -> Iterator[None]:
        """A further form stands or falls alone: of one that cannot be made, or that the gate
        refuses, nothing stays among the objects, and the others go out without it. What the node
        itself lacks, as room on the disk, is no fault of a form: the whole run waits for it."""
        before = len(self.objects)
        try:
            yield
        except Exception as error:  # the border of a form
            if awaited(error):
                raise
            log.exception("form_not_made", kind=kind.value)
            made, self.objects = self.objects[before:], self.objects[:before]
            self._put_apart([*made, *self._halves()])
            self.unmade[kind] = _why(error)

    def _halves(self) -> Iterator[Path]:
        """What was being written when it failed."""
        return self._folder.glob("*.half")

    def _put_apart(self, files: Iterable[ResultObject | Path]) -> None:
        """Under names that no object has."""
        for one in files:
            name = one.name if isinstance(one, Path) else one.key.rpartition("/")[2]
            path = self._folder / name
            path.replace(path.with_name(f"{name}{APART}"))

    def refusal(self) -> GateRefused:
        """The first that was refused, which speaks of the others."""
        first, *further = self.refused
        first.further = tuple(further)
        return first

    def write(self, dataset: Dataset, name: str, kind: ObjectKind) -> Path:
        """Write an object; whoever keeps the folder syncs it.

        It takes the place of what an earlier run wrote at once: whoever reads that meanwhile, to
        send it, has one whole file or the other.
        """
        path = self._folder / name
        half = path.with_name(f"{name}.half")
        with half.open("wb") as file:
            prepared.write(file, dataset)
        half.replace(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.objects.append(
            ResultObject(
                sop_instance_uid=str(dataset.SOPInstanceUID),
                sop_class_uid=str(dataset.SOPClassUID),
                series_instance_uid=str(dataset.SeriesInstanceUID),
                transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
                kind=kind,
                key=self._key(path),
                size_bytes=path.stat().st_size,
                sha256=digest,
                attributes=extract(dataset),
            )
        )
        return path

    def picture(self, name: str) -> Path:
        """Where a picture of that name is to be drawn."""
        path = self._folder / name
        self.previews.append(self._key(path))
        return path

    def _key(self, path: Path) -> str:
        return f"{self._folder.name}/{path.name}"


def _why(error: Exception) -> str:
    """In words without values: an error of a library may quote the images."""
    if isinstance(error, ResultError):
        return str(error)
    return f"failed: {type(error).__name__}"
