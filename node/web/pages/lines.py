"""Studies as lines of the list, with what a person sees when he unfolds one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.web import views
from node.web.views import Indexing, JobView, StudyView
from storage import index, reading_state, study_list
from storage.database import Transaction
from storage.reading_state import ReadingState
from storage.records import FindingRow, RowKind, StudyRow
from storage.study_list import Asked, Place

PART = 25
"""Studies of a page."""
PICTURES = 4
_UNDER_WAY = (ReadingState.RECEIVING, ReadingState.WAITING, ReadingState.RUNNING)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture of what was found."""

    job_id: int
    number: int


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study in the list."""

    view: StudyView
    state: ReadingState

    @property
    def study(self) -> StudyRow:
        return self.view.study

    @property
    def accession(self) -> str:
        return str(self.study.header.get("AccessionNumber") or "")

    @property
    def jobs(self) -> tuple[JobView, ...]:
        """Those that no newer one has taken the place of."""
        replaced = {one.job.predecessor_id for one in self.view.jobs}
        return tuple(one for one in self.view.jobs if one.job.id not in replaced)

    @property
    def is_pictured(self) -> bool:
        """Whether the list shows it in small: not while its images come or are analyzed."""
        return self.state not in _UNDER_WAY

    @property
    def picture_of(self) -> str:
        """What its picture is of, for its address: with more images or results it is another."""
        return f"{self.study.instances}.{self.study.results}"

    @property
    def thumbnails(self) -> tuple[Thumbnail, ...]:
        """The first pictures, one of each job before the second of any."""
        ranked = sorted(
            (number, -one.job.id)
            for one in self.jobs
            for number in range(len(one.results.previews))
        )
        return tuple(Thumbnail(-job, number) for number, job in ranked[:PICTURES])

    @property
    def findings(self) -> tuple[FindingRow, ...]:
        """The first things that were found."""
        shown = (RowKind.FINDING, RowKind.ABSENT)
        rows = [one for job in self.jobs for one in job.results.findings if one.kind in shown]
        return tuple(sorted(rows, key=lambda one: (not one.is_unusual, one.kind is RowKind.ABSENT)))

    @property
    def not_delivered(self) -> int:
        """Objects that a destination refused."""
        return sum(to.failed for one in self.jobs for to in one.deliveries)


@dataclass(frozen=True, slots=True)
class Lines:
    """A part of the list."""

    lines: tuple[StudyLine, ...]
    newer: Place | None
    older: Place | None


def read(tx: Transaction, asked: Asked, indexing: Indexing) -> Lines:
    """A part of the list with all that its lines show; asks no more for many than for one."""
    found = study_list.part(tx, asked, PART)
    rows = index.get_studies(tx, found.ids)
    return Lines(tuple(of_studies(tx, rows, indexing)), found.newer, found.older)


def of_studies(
    tx: Transaction, rows: Sequence[StudyRow], indexing: Indexing, objects: bool = False
) -> list[StudyLine]:
    """Studies as lines."""
    states = reading_state.read(tx, [one.id for one in rows])
    shown = views.study_views(tx, rows, indexing, objects)
    return [StudyLine(view, states[view.study.id]) for view in shown]
