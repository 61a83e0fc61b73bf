"""Notes on studies."""

from __future__ import annotations

from pydantic import Field

from node.web.shapes.base import Moment, Shape, Text


class Note(Shape):
    """What a person has written on a study."""

    id: int
    text: Text
    author: str
    written_at: Moment
    struck_by: str
    """Who has struck it out; empty while it stands."""
    struck_at: Moment | None


class NewNote(Shape):
    """What is to be written: plain text."""

    text: str = Field(min_length=1, max_length=4000, examples=["compared with the last one"])
    """2000 characters at most; a line end counts as one."""
