"""What a node holds, made for tests: data sets in an index and in files, and a way to ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from node.query.answer import Answer
from node.query.asked import Level, Options, Query, Root, from_identifier
from node.query.matching import PLAIN
from node.query.search import LIMITS, Limits, search
from storage import index
from storage.database import Database, open_database
from storage.files.archive import Archive
from storage.files.blobs import Files
from storage.header.reading import read_attributes
from storage.records import InstanceAttributes, InstanceRecord, Placement, PutOutcome
from tests.instances import make_dataset, write_instance

NOON = datetime(2030, 5, 4, 12, 0, tzinfo=UTC)


def uid(*words: object) -> str:
    """The UID of something that tests name."""
    return str(generate_uid(entropy_srcs=["wetread query tests", *map(str, words)]))


@dataclass
class Holding:
    """An index and the files that it tells of."""

    folder: Path
    database: Database
    count: int = 0

    @property
    def archive(self) -> Archive:
        return Archive(Files(self.folder), Files(self.folder))

    def add(self, study: object = 1, series: object = 1, number: int = 1, **values: Any) -> Dataset:
        """Hold an image: the UIDs follow from what names study, series and image."""
        made = self.write(study, series, number, **values)
        key = f"{made.SOPInstanceUID}.dcm"
        placed = Placement(PutOutcome.NEW, key, (self.folder / key).stat().st_size, "0" * 64, "")
        with self.database.write() as tx:
            index.add(tx, [InstanceRecord(self.attributes(made), placed, NOON)])
        return made

    def write(
        self, study: object = 1, series: object = 1, number: int = 1, **values: Any
    ) -> Dataset:
        """The file alone, of which the index does not know."""
        self.count += 1
        given = {
            "StudyInstanceUID": uid("study", study),
            "SeriesInstanceUID": uid("series", study, series),
            "SOPInstanceUID": uid("image", study, series, number),
            "InstanceNumber": number,
            "PatientID": f"P{study}",
            "PatientName": f"Name^{study}",
        }
        made = make_dataset(self.count, rows=2, **{**given, **values})
        write_instance(self.folder / f"{made.SOPInstanceUID}.dcm", made)
        return made

    def attributes(self, made: Dataset) -> InstanceAttributes:
        """What the index keeps of a data set."""
        return read_attributes(self.folder / f"{made.SOPInstanceUID}.dcm")

    def ask(
        self, level: Level = Level.STUDY, options: Options = PLAIN, **keys: Any
    ) -> list[Answer]:
        """What is answered to keys by keyword."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level.value
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        root = Root.PATIENT if level is Level.PATIENT else Root.STUDY
        return self.search(from_identifier(identifier, root, options))

    def search(self, query: Query, limits: Limits = LIMITS) -> list[Answer]:
        """What is answered to a query."""
        return list(search(self.database, self.archive, query, "WETREAD", limits=limits))


def holding(folder: Path) -> Holding:
    """An empty one; its database is to be closed."""
    folder.mkdir(parents=True, exist_ok=True)
    return Holding(folder, open_database(f"sqlite:///{folder}/wetread.db"))
