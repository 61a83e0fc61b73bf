"""A node's index with very many studies, made by SQL from the rows of one that was received."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.archives import wetread
from benchmarks.many import Study, Template
from benchmarks.transfers import send
from storage.header.told import patient_key

_TABLES = {
    "patients": (),
    "studies": ("patient_id",),
    "study_names": ("study_id",),
    "series": ("study_id",),
    "instances": ("series_id",),
}
"""From above; with the columns that hold the number of a row above, one to one with studies."""
_PATIENCE_S = 60
_FIRST = Study(0)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a table as the node wrote it."""

    table: str
    values: dict[str, Any]
    counted: tuple[str, ...]
    """Its id and those of rows above."""

    @property
    def insert(self) -> str:
        marks = ", ".join("?" * len(self.values))
        return f"INSERT INTO {self.table} ({', '.join(self.values)}) VALUES ({marks})"

    def of(self, study: Study, instances: int) -> Iterator[tuple[Any, ...]]:
        """The same of another study; of so many instances, where it is one's."""
        values = self._moved(study)
        if self.table != "instances":
            yield tuple(values.values())
            return
        first, header = f"{study.uid}.1.1", values["header"]
        for instance in range(instances):
            uid = f"{study.uid}.1.{instance + 1}"
            values["id"] = self.values["id"] + study.number * instances + instance
            values["sop_instance_uid"] = uid
            values["header"] = header.replace(first, uid)
            yield tuple(values.values())

    def _moved(self, study: Study) -> dict[str, Any]:
        places = list(zip(_keys(_FIRST), _keys(study), strict=True))
        values = dict(self.values)
        for column, value in self.values.items():
            if column in self.counted:
                values[column] = value + study.number
            elif isinstance(value, str):
                for old, new in places:
                    value = value.replace(old, new)
                values[column] = value
        if self.table == "patients":
            values["key"] = patient_key({"PatientID": study.patient_id}, study.uid)
        return values


def _keys(study: Study) -> tuple[str, ...]:
    return (
        study.uid,
        study.patient_id,
        study.patient_id.casefold(),
        study.accession,
        study.family,
        study.family.casefold(),
        study.day,
    )


def fill(folder: Path, studies: int, instances: int = 1) -> None:
    """A node's folder with so many studies of :mod:`benchmarks.many` in its index, and one file."""
    _receive_first(folder)
    from pysqlite3 import dbapi2

    connection = dbapi2.connect(str(folder / "node" / "wetread.db"))
    connection.row_factory = dbapi2.Row
    connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
    rows = [row for table in _TABLES for row in _rows(connection, table)]
    for row in rows:
        connection.executemany(row.insert, _others(row, studies, instances))
    connection.commit()
    connection.execute("ANALYZE")
    connection.close()


def _others(row: _Row, studies: int, instances: int) -> Iterator[tuple[Any, ...]]:
    """All but the one that is there."""
    made = (one for number in range(studies) for one in row.of(Study(number), instances))
    return islice(made, 1, None)


def _rows(connection: Any, table: str) -> list[_Row]:
    columns = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    counted = tuple(column for column in ("id", *_TABLES[table]) if column in columns)
    found = connection.execute(f"SELECT * FROM {table}").fetchall()
    return [_Row(table, dict(row), counted) for row in found]


def _receive_first(folder: Path) -> None:
    """Receive the first study, and wait until it is complete."""
    with TemporaryDirectory() as files, wetread(folder) as side:
        (Path(files) / "0.dcm").write_bytes(Template().file(_FIRST))
        send(side, Path(files), 1)
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"{side.page}/api/studies", timeout=30) as answer:
                if '"complete"' in json.dumps(json.load(answer)):
                    return
            time.sleep(0.1)
        raise SystemExit("the first study did not become complete")
