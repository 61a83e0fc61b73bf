"""What kinds of objects results are, and which is delivered before which."""

from __future__ import annotations

from enum import StrEnum


class ObjectKind(StrEnum):
    """In the order of delivery: what others refer to goes first, the report of all last."""

    IMAGE = "image"
    SEGMENTATION = "seg"
    MAP = "map"
    REGISTRATION = "reg"
    PRESENTATION = "pr"
    REPORT = "sr"

    @property
    def rank(self) -> int:
        """The place in the order of delivery; 0 goes first."""
        return tuple(ObjectKind).index(self)
