"""What people write on studies: by whom, never changed, struck out with a trace."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storage import events, schema
from storage.database import Database
from storage.errors import NotFound
from storage.people import notes
from storage.people.notes import NoNote, NotTheAuthor
from storage.records import Topic
from storage.restriction import NOTHING
from tests.storage.samples import NOON, add_study

LATER = NOON + timedelta(minutes=5)


def test_a_note_stays_as_it_was_written_with_its_author(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        notes.write(tx, study, "  first\r\nsecond ", "ann", NOON)
        notes.write(tx, study, "äöü <b>", "bob", LATER)
    with database.look() as tx:
        found = notes.of_study(tx, study)
        told = [one.reason for one in events.list_events(tx, Topic.STUDY, study)]
    assert [(one.text, one.author, one.written_at) for one in found] == [
        ("first\nsecond", "ann", NOON),
        ("äöü <b>", "bob", LATER),
    ]
    assert "a note was written by ann" in told


def test_it_is_struck_out_by_its_author_or_who_may_strike_any(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        own, other = (notes.write(tx, study, "x", "ann", NOON) for _ in range(2))
        with pytest.raises(NotTheAuthor):
            notes.strike(tx, study, own.id, "bob", LATER)
        struck = notes.strike(tx, study, own.id, "ann", LATER)
        again = notes.strike(tx, study, own.id, "root", NOON, is_any=True)
        notes.strike(tx, study, other.id, "root", LATER, is_any=True)
        with pytest.raises(NotFound):
            notes.strike(tx, study + 1, own.id, "ann", LATER)
    assert (struck.text, struck.struck_by, struck.struck_at) == ("x", "ann", LATER)
    assert again == struck, "twice is once"
    with database.look() as tx:
        assert [one.struck_by for one in notes.of_study(tx, study)] == ["ann", "root"]


@pytest.mark.parametrize(
    ("text", "why"),
    [(" \n", "some text"), ("x" * 2001, "2000 characters at most; this has 2001"),
     ("a\0b", "control"), ("a\x1bb", "control")],
)  # fmt: skip
def test_what_is_no_note_is_refused_by_name(database: Database, text: str, why: str) -> None:
    with database.write() as tx:
        study = add_study(tx)
        with pytest.raises(NoNote, match=why):
            notes.write(tx, study, text, "ann", NOON)
        assert notes.of_study(tx, study) == []


def test_a_line_end_of_a_form_counts_as_one(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        assert len(notes.write(tx, study, "x\r\n" * 999 + "xx", "ann", NOON).text) == 2000


def test_it_goes_with_its_study(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        notes.write(tx, study, "x", "ann", NOON)
        tx.execute(sa.delete(schema.studies).where(schema.studies.c.id == study))
        assert tx.scalar(sa.select(sa.func.count()).select_from(schema.study_notes)) == 0


def test_who_may_not_see_the_study_neither_reads_nor_writes(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        note = notes.write(tx, study, "x", "ann", NOON)
    with database.seen_by(lambda: NOTHING).write() as tx:
        assert notes.of_study(tx, study) == []
        with pytest.raises(NotFound):
            notes.write(tx, study, "y", "ann", NOON)
        with pytest.raises(NotFound):
            notes.strike(tx, study, note.id, "ann", NOON)
