"""What people write on a study: plain text, by whom and when.

A note is never changed. It is struck out by its author, or by an administrator, and stays there
with who did it; it goes when the study is deleted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import events, schema
from storage.database import Transaction
from storage.errors import NotFound, StorageError
from storage.records import Level, Topic
from storage.restriction import only_seen

MOST_CHARACTERS = 2000
MOST_NOTES = 200
"""Of one study."""


class NoNote(StorageError):
    """The text cannot be a note; the message says why, and quotes nothing."""


class NotTheAuthor(StorageError):
    """Somebody wants to strike out what another has written."""


@dataclass(frozen=True, slots=True)
class Note:
    """``struck_by`` is empty, and ``struck_at`` None, while it stands."""

    id: int
    text: str
    author: str
    written_at: datetime
    struck_by: str = ""
    struck_at: datetime | None = None


def of_study(tx: Transaction, study_id: int) -> list[Note]:
    """All notes on a study, the oldest first; none of a study that whoever asks may not see."""
    table = schema.study_notes
    query = sa.select(*_columns()).where(table.c.study_id == study_id)
    query = query.where(*only_seen(tx, table.c.study_id)).order_by(table.c.id)
    return [Note(*row) for row in tx.execute(query)]


def of_studies(tx: Transaction, study_ids: Collection[int]) -> dict[int, list[Note]]:
    """The same of some studies, by their rows."""
    table = schema.study_notes
    query = sa.select(table.c.study_id, *_columns()).where(table.c.study_id.in_(study_ids))
    found: dict[int, list[Note]] = {one: [] for one in study_ids}
    query = query.where(*only_seen(tx, table.c.study_id)).order_by(table.c.id)
    for study_id, *row in tx.execute(query):
        found[study_id].append(Note(*row))
    return found


def noted_studies(tx: Transaction, after: int, limit: int) -> list[int]:
    """The rows of the next studies with notes, behind one."""
    study = schema.study_notes.c.study_id
    query = sa.select(study).distinct().where(study > after, *only_seen(tx, study))
    return list(tx.scalars(query.order_by(study).limit(limit)))


def write(tx: Transaction, study_id: int, text: str, author: str, at: datetime) -> Note:
    """Adds a note. Line ends become line feeds; spaces around the text go.

    Raises
    ------
    NotFound
    NoNote
        It is empty, too long or holds control characters, or the study has too many.
    """
    said = _checked(text)
    _require_study(tx, study_id)
    table = schema.study_notes
    number = tx.scalar(sa.select(sa.func.count()).where(table.c.study_id == study_id)) or 0
    if number >= MOST_NOTES:
        raise NoNote(f"the study has {MOST_NOTES} notes: no more are taken")
    values = {"study_id": study_id, "text": said, "author": author, "written_at": at}
    row = tx.execute(sa.insert(table).values(values).returning(*_columns())).one()
    _tell(tx, study_id, at, f"a note was written by {author}")
    return Note(*row)


def strike(
    tx: Transaction, study_id: int, note_id: int, by: str, at: datetime, is_any: bool = False
) -> Note:
    """A note does not hold any more. is_any: also what another has written. Twice is once.

    Raises
    ------
    NotFound
    NotTheAuthor
    """
    table = schema.study_notes
    is_it = (table.c.id == note_id, table.c.study_id == study_id)
    query = sa.select(*_columns()).where(*is_it, *only_seen(tx, table.c.study_id))
    row = tx.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"study {study_id} has no note {note_id}")
    found = Note(*row)
    if found.author != by and not is_any:
        raise NotTheAuthor("a note is struck out by its author or by an administrator")
    if found.struck_at is not None:
        return found
    _tell(tx, study_id, at, f"a note of {found.author} was struck out by {by}")
    struck = sa.update(table).where(*is_it).values(struck_by=by, struck_at=at)
    return Note(*tx.execute(struck.returning(*_columns())).one())


def _tell(tx: Transaction, study_id: int, at: datetime, words: str) -> None:
    """Stays in the history when the note is gone, and has open pages look again."""
    events.record(tx, at, Level.INFO, Topic.STUDY, study_id, "", "noted", words)


def _require_study(tx: Transaction, study_id: int) -> None:
    table = schema.studies
    query = sa.select(table.c.id).where(table.c.id == study_id, *only_seen(tx, table.c.id))
    if tx.scalar(query) is None:
        raise NotFound(f"there is no study {study_id}")


def _checked(text: str) -> str:
    said = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not said:
        raise NoNote("a note has some text")
    if len(said) > MOST_CHARACTERS:
        raise NoNote(f"a note has {MOST_CHARACTERS} characters at most; this has {len(said)}")
    if any(unicodedata.category(one) in ("Cc", "Cs") and one not in "\n\t" for one in said):
        raise NoNote("a note is plain text: it has control characters")
    return said


def _columns() -> tuple[sa.Column[Any], ...]:
    table = schema.study_notes.c
    return (
        table.id, table.text, table.author, table.written_at, table.struck_by, table.struck_at,
    )  # fmt: skip
