"""Studies as lines of the list, with what a person sees when he unfolds one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.web import wording
from node.web.views import JOBS_EACH
from storage import gaps, index, jobs_in_short, overview, reading_state, study_list
from storage.database import Transaction
from storage.jobs_in_short import JobInShort
from storage.reading_state import ReadingState
from storage.records import FindingRow, RowKind, StudyRow
from storage.study_list import Asked, Place

PART = 25
"""Studies of a page."""
PICTURES = 4
FINDINGS = 5
_UNDER_WAY = (ReadingState.RECEIVING, ReadingState.WAITING, ReadingState.RUNNING)
_SHOWN = (RowKind.FINDING, RowKind.ABSENT)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture of what was found."""

    job_id: int
    number: int


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study in the list: all that is told of it there.

    jobs: those that no newer one has taken the place of. findings: the first things that were
    found, of so many more. pictures: one of each job before the second of any.
    """

    study: StudyRow
    state: ReadingState
    modalities: str
    title: str
    date: str
    accession: str
    jobs: tuple[JobInShort, ...]
    findings: tuple[FindingRow, ...]
    more: int
    pictures: tuple[Thumbnail, ...]
    not_delivered: int
    """Objects that a destination refused."""
    stands_still: bool

    @property
    def is_pictured(self) -> bool:
        """Whether the list shows it in small: not while its images come or are analyzed."""
        return self.state not in _UNDER_WAY

    @property
    def picture_of(self) -> str:
        """What its picture is of, for its address: with more images or results it is another."""
        return f"{self.study.instances}.{self.study.results}"


@dataclass(frozen=True, slots=True)
class Lines:
    """A part of the list."""

    lines: tuple[StudyLine, ...]
    newer: Place | None
    older: Place | None


def read(tx: Transaction, asked: Asked) -> Lines:
    """A part of the list with all that its lines show; asks no more for many than for one."""
    found = study_list.part(tx, asked, PART)
    rows = index.get_studies(tx, found.ids)
    return Lines(tuple(of_studies(tx, rows)), found.newer, found.older)


def of_studies(tx: Transaction, rows: Sequence[StudyRow]) -> list[StudyLine]:
    """Studies as lines."""
    ids = [one.id for one in rows]
    states = reading_state.read(tx, ids)
    modalities = overview.modalities(tx, ids)
    jobs = jobs_in_short.of_studies(tx, ids, JOBS_EACH)
    standing = {gap.study_id for gap in gaps.open_gaps_of(tx, ids)}
    return [
        _line(
            one,
            states[one.id],
            modalities.get(one.id, ()),
            _in_force(jobs.get(one.id, ())),
            one.id in standing,
        )
        for one in rows
    ]


def _line(
    study: StudyRow,
    state: ReadingState,
    modalities: Sequence[str],
    jobs: tuple[JobInShort, ...],
    stands_still: bool,
) -> StudyLine:
    findings = _findings(jobs)
    return StudyLine(
        study=study,
        state=state,
        modalities="/".join(one or "?" for one in modalities),
        title=wording.study_title(study.header),
        date=wording.study_date(study.header),
        accession=str(study.header.get("AccessionNumber") or ""),
        jobs=jobs,
        findings=findings[:FINDINGS],
        more=len(findings[FINDINGS:]),
        pictures=_pictures(jobs),
        not_delivered=sum(one.refused for one in jobs),
        stands_still=stands_still,
    )


def _in_force(jobs: Sequence[JobInShort]) -> tuple[JobInShort, ...]:
    replaced = {one.predecessor_id for one in jobs}
    return tuple(one for one in jobs if one.id not in replaced)


def _findings(jobs: Sequence[JobInShort]) -> tuple[FindingRow, ...]:
    """What is unusual first, what was not found last."""
    rows = [one for job in jobs for one in job.findings if one.kind in _SHOWN]
    return tuple(sorted(rows, key=lambda one: (not one.is_unusual, one.kind is RowKind.ABSENT)))


def _pictures(jobs: Sequence[JobInShort]) -> tuple[Thumbnail, ...]:
    ranked = sorted((number, -one.id) for one in jobs for number in range(one.previews))
    return tuple(Thumbnail(-job, number) for number, job in ranked[:PICTURES])
