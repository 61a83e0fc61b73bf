"""Fetches from other archives: what is asked, and what is told of them."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from node.explained import Explained
from node.web.shapes.base import Moment, Shape, Text
from storage.fetches import Fetch, FetchedStudy, FetchState, Wanted


class FetchWish(Explained):
    """What to fetch, and from where. Empty values restrict nothing; one has to be given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(examples=["pacs"])
    """Its name in `[[archives]]`, `[[web_archives]]` or `[[destinations]]`."""
    accession_number: str = ""
    patient_id: str = ""
    study_uids: tuple[str, ...] = Field(default=(), max_length=100)
    series_uids: tuple[str, ...] = Field(default=(), max_length=100)
    study_date: str = Field(default="", examples=["20260301-20260307"])
    """A day, or a range of days."""
    modality: str = Field(default="", examples=["CT"])
    """Only series of it."""
    analyzer: str = Field(default="", examples=["lung_segmentation"])
    """Runs on each study that came, whatever the rules say."""

    @property
    def wanted(self) -> Wanted:
        return Wanted(
            self.accession_number,
            self.patient_id,
            self.study_uids,
            self.series_uids,
            self.study_date,
            self.modality,
        )


class FetchedStudyShape(Shape):
    """A study that was found."""

    study_id: int | None
    """Its number here; null while nothing of it is here."""
    expected: int
    missing: int
    analysis: Text
    """What became of the wish to analyze it; "owed" while the study is not complete."""


class FetchShape(Shape):
    """A fetch, and how far it is."""

    id: int
    source: str
    analyzer: str
    asked_by: str
    asked_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    state: FetchState
    reason: Text
    """How it ended, in words."""
    studies: int
    expected: int
    """Instances that were found at the source."""
    held: int
    """Of those were here already."""
    received: int
    """So many have come."""
    missing: int

    @classmethod
    def of(cls, row: Fetch) -> FetchShape:
        """A row as it is sent."""
        return cls.model_validate(cls._of(row))

    @classmethod
    def _of(cls, row: Fetch) -> dict[str, object]:
        counts = row.counts
        names = ("id", "source", "analyzer", "asked_by", "asked_at", "started_at", "ended_at")
        return {
            **{name: getattr(row, name) for name in (*names, "state", "reason")},
            **{name: getattr(counts, name) for name in ("studies", "expected", "held")},
            "received": counts.received,
            "missing": counts.missing,
        }


class FetchHistory(FetchShape):
    """A fetch with the studies that were found."""

    found: list[FetchedStudyShape]

    @classmethod
    def with_studies(cls, row: Fetch, found: list[FetchedStudy]) -> FetchHistory:
        studies = [FetchedStudyShape.model_validate(one) for one in found]
        return cls.model_validate({**cls._of(row), "found": studies})
