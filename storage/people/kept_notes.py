"""What people have said of a study, as a file beside the database: a rebuilt one has it again.

A file says what the database said when something was last written; it goes with its study. No
file name tells a study.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storage import events, index, reading_state, schema
from storage.database import Database, Transaction
from storage.files.disk import named_errors, sync_folder, write_whole
from storage.people.notes import Note, noted_studies, of_studies, of_study
from storage.reading_state import Reader
from storage.records import Level, Topic

_STORE = "the folder of notes"
_READ = "read"


@dataclass(frozen=True, slots=True)
class KeptNotes:
    """Of one study. reader: who had read it as it stood then; None where nobody had."""

    study_instance_uid: str
    notes: tuple[Note, ...]
    reader: Reader | None


@dataclass(frozen=True, slots=True)
class RestoredNotes:
    """What came back: notes that the database lacked, studies of which is told who had read them,
    files of studies that are not there, names of files that cannot be read."""

    notes: int = 0
    read: int = 0
    without_study: int = 0
    unreadable: tuple[str, ...] = ()


class NotesFolder:
    """One file a study. All methods may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._turn = threading.Lock()

    def renew(self, database: Database, study_instance_uid: str) -> None:
        """The file of a study says what the database says now; there is none where that is nothing.

        Raises
        ------
        DatabaseUnavailable, StoreUnavailable, OutOfSpace
        """
        with self._turn:  # what was read last is written last
            with database.read() as tx:
                said = _said(tx, study_instance_uid)
            with named_errors(_STORE):
                self._put(study_instance_uid, said)

    def renew_some(self, database: Database, after: int, at_once: int) -> int | None:
        """The same of the next studies with notes, by their rows: what was cut off between database
        and file. Gives the last of them; None where there are no more.

        Raises
        ------
        DatabaseUnavailable, StoreUnavailable, OutOfSpace
        """
        with self._turn:
            with database.read() as tx:
                noted = noted_studies(tx, after, at_once)
                said = _said_of(tx, noted)
            with named_errors(_STORE):
                for one in said:
                    self._put(one.study_instance_uid, one)
        return noted[-1] if noted else None

    def restore(self, database: Database) -> RestoredNotes:
        """Enter what the files have and the database lacks; after the studies. Twice is once.

        Raises
        ------
        DatabaseUnavailable
        """
        written = read = without_study = 0
        unreadable = []
        for path in sorted(self.root.glob("*.json")):
            try:
                kept = _kept(json.loads(path.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError):
                unreadable.append(path.name)
                continue
            with database.write() as tx:
                study = index.find_study(tx, kept.study_instance_uid)
                if study is None:
                    without_study += 1
                    continue
                written += _enter_notes(tx, study.id, kept.notes)
                read += _tell_reader(tx, study.id, kept.reader)
        return RestoredNotes(written, read, without_study, tuple(unreadable))

    def _put(self, study_instance_uid: str, said: KeptNotes | None) -> None:
        digest = hashlib.sha256(study_instance_uid.encode()).hexdigest()
        path = self.root / f"{digest[:32]}.json"
        if said is None:
            path.unlink(missing_ok=True)
            return
        text = json.dumps(asdict(said), default=datetime.isoformat, ensure_ascii=False, indent=1)
        if path.exists() and path.read_bytes() == text.encode():
            return
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text.encode())
        sync_folder(self.root)


def _said(tx: Transaction, study_instance_uid: str) -> KeptNotes | None:
    study = index.find_study(tx, study_instance_uid)
    if study is None:
        return None
    notes, reader = tuple(of_study(tx, study.id)), reading_state.reader_of(tx, study.id)
    return KeptNotes(study_instance_uid, notes, reader) if notes or reader else None


def _said_of(tx: Transaction, study_ids: Sequence[int]) -> list[KeptNotes]:
    """Of studies with notes; asks no more for many than for one."""
    table = schema.studies
    columns = (table.c.id, table.c.study_instance_uid, table.c.read_at, table.c.read_by)
    notes = of_studies(tx, study_ids)
    return [
        KeptNotes(
            row.study_instance_uid,
            tuple(notes[row.id]),
            None if row.read_at is None else Reader(row.read_at, row.read_by),
        )
        for row in tx.execute(sa.select(*columns).where(table.c.id.in_(study_ids)))
    ]


def _kept(content: dict[str, Any]) -> KeptNotes:
    reader = content["reader"]
    return KeptNotes(
        content["study_instance_uid"],
        tuple(_note(one) for one in content["notes"]),
        Reader(datetime.fromisoformat(reader["at"]), str(reader["name"])) if reader else None,
    )


def _note(content: dict[str, Any]) -> Note:
    struck_at = content["struck_at"]
    return Note(
        int(content["id"]),
        str(content["text"]),
        str(content["author"]),
        datetime.fromisoformat(content["written_at"]),
        str(content["struck_by"]),
        datetime.fromisoformat(struck_at) if struck_at else None,
    )


def _enter_notes(tx: Transaction, study_id: int, kept: Sequence[Note]) -> int:
    """Gives how many are new; one that was struck out meanwhile stays so."""
    there = {(one.text, one.author, one.written_at) for one in of_study(tx, study_id)}
    missing = [one for one in kept if (one.text, one.author, one.written_at) not in there]
    for one in missing:
        values = {name: value for name, value in asdict(one).items() if name != "id"}
        tx.execute(sa.insert(schema.study_notes).values(study_id=study_id, **values))
    return len(missing)


def _tell_reader(tx: Transaction, study_id: int, reader: Reader | None) -> int:
    """In the history: whether what he saw is what will be found again is not known."""
    if reader is None or reading_state.reader_of(tx, study_id) == reader:
        return 0
    known = events.list_events(tx, Topic.STUDY, study_id)
    if any(one.to_state == _READ and one.at == reader.at for one in known):
        return 0
    reason = f"{reader.name} had read it before the database was rebuilt"
    events.record(tx, reader.at, Level.INFO, Topic.STUDY, study_id, "", _READ, reason)
    return 1
