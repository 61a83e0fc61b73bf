"""Notes outlive the database: they are files beside it, and go with their study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import events, index, reading_state, schema
from storage.database import Database, open_database
from storage.people import notes
from storage.people.kept_notes import NotesFolder, RestoredNotes
from storage.records import Topic
from tests.storage.samples import NOON, add_study

LATER = NOON + timedelta(minutes=5)
STUDY = "1.2.3"


@pytest.fixture
def folder(tmp_path: Path) -> NotesFolder:
    return NotesFolder(tmp_path / "notes")


@contextmanager
def another(tmp_path: Path) -> Iterator[Database]:
    """A database that has the study, and nothing that people said."""
    made = open_database(f"sqlite:///{tmp_path}/rebuilt.db")
    with made.write() as tx:
        add_study(tx)
    yield made
    made.close()


def written(database: Database) -> int:
    """A study with a note that stands, one that was struck out, and a reader."""
    with database.write() as tx:
        study = add_study(tx)
        notes.write(tx, study, "äöü <b>\nline", "ann", NOON)
        struck = notes.write(tx, study, "wrong", "bob", NOON)
        notes.strike(tx, study, struck.id, "bob", LATER)
        index.complete(tx, study, NOON, NOON)
        seen = reading_state.as_it_stands(tx, study)
        reading_state.mark_read(tx, study, LATER, "eve", seen)
    return study


def test_a_rebuilt_database_has_them_again_once(
    database: Database, folder: NotesFolder, tmp_path: Path
) -> None:
    study = written(database)
    folder.renew(database, STUDY)
    with database.read() as tx:
        before = notes.of_study(tx, study)
    with another(tmp_path) as rebuilt:
        assert folder.restore(rebuilt) == RestoredNotes(notes=2, read=1)
        assert folder.restore(rebuilt) == RestoredNotes()
        with rebuilt.read() as tx:
            assert notes.of_study(tx, 1) == before
            told = [one.reason for one in events.list_events(tx, Topic.STUDY, 1)]
            assert told.count("eve had read it before the database was rebuilt") == 1
            assert reading_state.reader_of(tx, 1) is None


def test_no_file_name_tells_the_study_and_a_broken_file_is_named(
    database: Database, folder: NotesFolder
) -> None:
    written(database)
    folder.renew(database, STUDY)
    (path,) = folder.root.iterdir()
    assert STUDY not in path.name
    path.write_text('{"study_instance_uid": "1.2.3"}')
    assert folder.restore(database).unreadable == (path.name,)


def test_what_was_cut_off_before_its_file_is_written_at_the_next_start(
    database: Database, folder: NotesFolder, tmp_path: Path
) -> None:
    study = written(database)
    assert folder.renew_some(database, 0, 10) == study
    assert folder.renew_some(database, study, 10) is None
    with another(tmp_path) as rebuilt:
        assert folder.restore(rebuilt).notes == 2


def test_with_the_study_its_file_goes(database: Database, folder: NotesFolder) -> None:
    study = written(database)
    folder.renew(database, STUDY)
    with database.write() as tx:
        for table in (schema.study_notes, schema.instances, schema.series):
            tx.execute(sa.delete(table))
        tx.execute(sa.delete(schema.studies).where(schema.studies.c.id == study))
    assert folder.restore(database).without_study == 1
    folder.renew(database, STUDY)
    assert list(folder.root.iterdir()) == []


def test_a_step_says_of_its_studies_what_each_is_told_alone_and_asks_no_more_for_many(
    database: Database, folder: NotesFolder, tmp_path: Path
) -> None:
    ids = []
    with database.write() as tx:
        for number in range(5):
            ids.append(add_study(tx, f"1.2.{number}"))
            if number != 3:
                notes.write(tx, ids[-1], f"note {number}", "ann", NOON)
    seen = reading_state_of(database, ids[0])
    with database.write() as tx:
        reading_state.mark_read(tx, ids[0], LATER, "eve", seen)
    with statements() as few:
        assert folder.renew_some(database, 0, 1) == ids[0]
    with statements() as many:
        assert folder.renew_some(database, ids[0], 10) == ids[4]
    assert len(many) == len(few)
    apart = NotesFolder(tmp_path / "apart")
    for number in range(5):
        apart.renew(database, f"1.2.{number}")
    said = {one.name: one.read_bytes() for one in folder.root.iterdir()}
    assert len(said) == 4
    assert said == {one.name: one.read_bytes() for one in apart.root.iterdir()}


def reading_state_of(database: Database, study: int) -> str:
    with database.read() as tx:
        return reading_state.as_it_stands(tx, study)


@contextmanager
def statements() -> Iterator[list[str]]:
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
