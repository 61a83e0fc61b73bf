"""What every result says of where it comes from: who made it, and the objects it refers to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from analyzers.contract import Code, ParameterValues, Reported


@dataclass(frozen=True, slots=True)
class HierarchicalReference:
    """A composite object, with its study and series (PS3.3 C.17.2.1)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str

    @staticmethod
    def to(dataset: Dataset) -> HierarchicalReference:
        """The reference to an object, from its header."""
        return HierarchicalReference(
            str(dataset.StudyInstanceUID),
            str(dataset.SeriesInstanceUID),
            str(dataset.SOPClassUID),
            str(dataset.SOPInstanceUID),
        )


@dataclass(frozen=True, slots=True)
class Maker:
    """The node that makes results, as its settings name it; what is empty is not said.

    language: of the reports and titles, "en" or "de".
    """

    institution: str = ""
    department: str = ""
    station: str = ""
    serial: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made a result, from what, and when. Nothing here may come from the clock of a repeat."""

    analyzer: str
    analyzer_version: str
    analyzer_title: str
    parameters: ParameterValues
    device: str
    node_version: str
    key: str
    """The job's key (sha256 hex of inputs, analyzer, version, parameters). Where objects are made
    it is that of the run, from which their UIDs derive: see ``node.results.identity``."""
    started_at: datetime
    """Start of the first analysis (aware): Content Date and Time of every object."""
    family: Code | None = None
    """What kind of algorithm it is, where the analyzer says; else Artificial Intelligence."""
    predecessor: HierarchicalReference | None = None
    """The report that this one supersedes."""
    earlier: tuple[Reported, ...] = ()
    """What that one reported, as far as it is still kept."""
    maker: Maker = Maker()
    weights: str = ""
    """Digest of the trained models that the analyzer answered from."""
    inputs: str = ""
    """Digest of the bytes of all images as they are stored now: a correction may have come since
    the job got its key."""
    outcome: str = ""
    """What the run came to, in the few words that descriptions of its series begin with."""
