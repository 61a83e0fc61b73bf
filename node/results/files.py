"""The files of one run: written, and accounted for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset

from node.results import prepared
from node.results.errors import GateRefused
from storage.attributes import extract
from storage.kinds import ObjectKind
from storage.records import ResultObject


class ResultFiles:
    """Everything lies in one folder, and is named relative to its parent."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.objects: list[ResultObject] = []
        self.previews: list[str] = []
        self.refused: list[GateRefused] = []
        self._folder = folder

    @contextmanager
    def judged(self) -> Iterator[None]:
        """What the gate refuses herein is remembered: the run goes on, so that it is whole for a
        person who looks at what was refused, and nothing of it goes out."""
        try:
            yield
        except GateRefused as error:
            self.refused.append(error)

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
