"""Notes on studies."""

from __future__ import annotations

from pydantic import Field

from node.web.access.roles import Who
from node.web.shapes.base import Moment, Shape, Text
from storage.people import notes


class Note(Shape):
    """What a person has written on a study."""

    id: int
    text: Text
    """Empty where it is hidden."""
    is_hidden: bool = False
    """Whoever asks is not shown names, and the note, which may have some, is not his own."""
    author: str
    written_at: Moment
    struck_by: str
    """Who has struck it out; empty while it stands."""
    struck_at: Moment | None

    @classmethod
    def to(cls, asking: Who, note: notes.Note) -> Note:
        """As somebody may read it."""
        told = cls.model_validate(note)
        if asking.sees_names or note.author == asking.name:
            return told
        return told.model_copy(update={"text": "", "is_hidden": True})


class NewNote(Shape):
    """What is to be written: plain text."""

    text: str = Field(min_length=1, max_length=4000, examples=["compared with the last one"])
    """2000 characters at most; a line end counts as one."""
