"""Where studies are fetched from: what a source is asked, whatever protocol it speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from node.errors import NodeError
from node.fetch.arrivals import Arriving
from storage.fetches import Wanted


class SourceFault(NodeError):
    """The source did not do what it was asked; the message says why, without patient data."""


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series as the source tells of it: its instances with their SOP classes ("" unknown)."""

    series_instance_uid: str
    modality: str
    instances: dict[str, str]


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study that matches, with those of its series that do."""

    study_instance_uid: str
    patient_id: str
    series: tuple[FoundSeries, ...]

    @property
    def instances(self) -> dict[str, str]:
        """All of them, with their SOP classes."""
        return {uid: one for series in self.series for uid, one in series.instances.items()}

    def without(self, held: frozenset[str]) -> FoundStudy:
        """What is missing here of it."""
        return FoundStudy(
            self.study_instance_uid,
            self.patient_id,
            tuple(
                FoundSeries(one.series_instance_uid, one.modality, left)
                for one in self.series
                if (left := {uid: c for uid, c in one.instances.items() if uid not in held})
            ),
        )


Ends = Callable[[], bool]
"""Asked often, by the fetching thread: notes how far things are, and says whether to stop."""


class Source(Protocol):
    """An archive. Called from one thread."""

    @property
    def name(self) -> str:
        """As the settings have it."""

    def find(self, wanted: Wanted, ends: Ends) -> list[FoundStudy]:
        """All that matches; a study that has nothing of the kind is left out.

        Raises
        ------
        SourceFault
        """

    def bring(
        self, missing: FoundStudy, whole: frozenset[str], arriving: Arriving, ends: Ends
    ) -> str:
        """Have what is missing come. ``whole``: the series of which nothing is here.

        Gives what went wrong with single instances, in words; empty where nothing did.

        Raises
        ------
        SourceFault
            The source is gone, or refuses; what came until then stays.
        """
