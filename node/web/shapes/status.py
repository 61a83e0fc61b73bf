"""What ``wetread status --json`` prints."""

from __future__ import annotations

from collections.abc import Iterable

from node.web.shapes.base import Shape
from node.web.shapes.history import Event
from node.web.shapes.studies import Study
from node.web.views import StudyView
from storage import records


class Status(Shape):
    """The newest studies and the open alarms, in the shapes of ``/api``."""

    studies: list[Study]
    alarms: list[Event]

    @classmethod
    def of(cls, studies: Iterable[StudyView], alarms: Iterable[records.Event]) -> Status:
        """Views and rows as they are printed."""
        return cls(
            studies=[Study.of(one) for one in studies],
            alarms=[Event.model_validate(one) for one in alarms],
        )
