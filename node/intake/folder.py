"""Reads a folder of DICOM files as the index would hold it, without a database.

For ``wetread check --study`` and ``wetread analyze``; nothing is copied or changed.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.errors import UnreadableInstance
from storage.header.attributes import extract
from storage.header.reading import read_header
from storage.header.told import readability
from storage.identity import disagreements
from storage.records import InstanceAttributes, StoredInstance, StoredSeries


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no usable instance, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FolderContents:
    """The series below a folder. The ``key`` of an instance is its path."""

    series: tuple[StoredSeries, ...]
    skipped: tuple[Skipped, ...]


def read_folder(folder: Path) -> FolderContents:
    """The series in a folder and its sub-folders; DICOMDIR and other files are skipped, named."""
    found: dict[str, list[tuple[Path, InstanceAttributes]]] = defaultdict(list)
    skipped: list[Skipped] = []
    for path in _files(folder):
        try:
            attributes = _attributes(path)
        except UnreadableInstance as error:
            skipped.append(Skipped(path, str(error)))
        else:
            found[attributes.series_instance_uid].append((path, attributes))
    series = (_series(number, members) for number, members in enumerate(found.values(), 1))
    return FolderContents(tuple(series), tuple(skipped))


def _attributes(path: Path) -> InstanceAttributes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break their VR: common, and not our matter
        return extract(read_header(path).dataset)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.upper() != "DICOMDIR" and not path.name.startswith("."):
            yield path


def _series(number: int, members: list[tuple[Path, InstanceAttributes]]) -> StoredSeries:
    _, shown = max(members, key=lambda one: readability(one[1].instance))
    return StoredSeries(
        id=number,
        study_id=0,
        series_instance_uid=shown.series_instance_uid,
        header={**shown.instance, **shown.series, **shown.study},
        disagreements=disagreements(attributes.study for _, attributes in members),
        instances=tuple(
            StoredInstance(
                id=position,
                sop_instance_uid=attributes.sop_instance_uid,
                sop_class_uid=attributes.sop_class_uid,
                transfer_syntax_uid=attributes.transfer_syntax_uid,
                key=str(path),
                size_bytes=path.stat().st_size,
                sha256="",
                header=attributes.instance,
            )
            for position, (path, attributes) in enumerate(members)
        ),
    )
