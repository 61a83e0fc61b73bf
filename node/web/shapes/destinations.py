"""Where results go, as programs get it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from node.web.shapes.base import Moment, Shape, Text


class Destination(Shape):
    """A destination of the settings, and whether it takes results at the moment."""

    name: str = Field(examples=["pacs"])
    kind: Literal["dimse", "stow", "folder"]
    """By C-STORE, by STOW-RS, or a folder."""
    next_due: Moment | None
    """When something is offered to it next; null where nothing is owed."""
    reason: Text
    """Why what is owed was put off; empty where it was not."""
    silent_since: Moment | None
    """Since when it does not answer, or cannot be written to; null where it does."""
    next_try: Moment | None
    """When it is asked again."""
