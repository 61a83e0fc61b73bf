"""What the objects of one run are made from, and what has been made so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from pydicom.dataset import Dataset

from analyzers.contract import Findings, Segmentation
from node.results import outcome
from node.results.modules.source import HierarchicalReference, Provenance
from node.results.presence import Presence, present_segments
from node.results.series_numbers import SeriesNumbers, SeriesPlace
from node.series.source import Source

F = TypeVar("F")


@dataclass(slots=True)
class Bench:
    """One run: its source and findings are laid out here, and objects that others need."""

    source: Source
    findings: Findings
    provenance: Provenance
    present: Presence
    numbers: SeriesNumbers
    segmentations: dict[int, Dataset] = field(default_factory=dict)
    """Segmentation objects, by the index of their finding."""
    images: list[HierarchicalReference] = field(default_factory=list)
    """In the order in which they were made."""
    cited: dict[str, Source] = field(default_factory=dict)
    """By the UID of the series, companions that objects were made from."""
    further: list[HierarchicalReference] = field(default_factory=list)
    """What is no image: registrations, presentation states."""
    companions: dict[str, list[Dataset]] = field(default_factory=dict)
    """Headers of the derived images that were made from companions, by role."""
    report: Dataset | None = None
    """Once it is made: further forms say what it says."""

    @staticmethod
    def of(source: Source, findings: Findings, provenance: Provenance) -> Bench:
        present = {
            index: present_segments(item)
            for index, item in enumerate(findings.items)
            if isinstance(item, Segmentation)
        }
        said = outcome.of_findings(findings, present, provenance.maker.language)
        provenance = replace(provenance, outcome=said)
        return Bench(source, findings, provenance, present, SeriesNumbers(provenance.key))

    @staticmethod
    def of_notice(source: Source, provenance: Provenance, report: Dataset) -> Bench:
        """Of a run without a result; the report says why."""
        numbers = SeriesNumbers(provenance.key)
        return Bench(source, Findings(), provenance, {}, numbers, report=report)

    def known(self) -> frozenset[str]:
        """The UIDs of all that an object of the run may refer to."""
        sources = (self.source, *self.source.companions.values(), *self.cited.values())
        objects = (*self.segmentations.values(), *((self.report,) if self.report else ()))
        earlier = self.provenance.predecessor
        made = (*self.images, *self.further, *((earlier,) if earlier else ()))
        headers = (header for one in sources for header in one.headers)
        derived = (header for one in self.companions.values() for header in one)
        return frozenset(
            (
                *(str(one.SOPInstanceUID) for one in (*headers, *objects, *derived)),
                *(one.sop_instance_uid for one in made),
            )
        )

    def cite(self, companion: Source) -> None:
        """A companion was used: the report names it among its evidence."""
        self.cited[str(companion.headers[0].SeriesInstanceUID)] = companion


@dataclass(frozen=True, slots=True)
class Piece(Generic[F]):
    """One finding that becomes objects."""

    bench: Bench
    item: F
    index: int
    """Among the findings."""
    place: SeriesPlace
