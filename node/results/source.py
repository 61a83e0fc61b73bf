"""What results are made from: the volume, and the headers of the images it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import Dataset

from analyzers.contract import Code, ParameterValues, Volume


@dataclass(frozen=True, slots=True)
class Frame:
    """Which image a slice of the volume came from."""

    header: int
    """Index into ``Source.headers``."""
    number: int | None = None
    """Frame number from 1 in a multi-frame image; None in a single-frame one."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A series as read. ``frames[i]`` is the image of ``volume.stored[i]``.

    headers: data sets with file meta, without pixel data; one a slice, or one in all for a
    multi-frame image. ``volume`` is None where only a report is written (no series fits).
    """

    headers: tuple[Dataset, ...]
    frames: tuple[Frame, ...]
    volume: Volume | None
    decoder: str = ""
    """What decoded the pixels, for the provenance: "pydicom 3.0.2" …"""
    companions: Mapping[str, Source] = field(default_factory=dict)
    """The other series that the analyzer was given, by role."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a composite object."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


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
    """The job's key (sha256 hex of inputs, analyzer, version, parameters): UIDs derive from it."""
    started_at: datetime
    """Start of the first analysis (aware): Content Date and Time of every object."""
    family: Code | None = None
    """What kind of algorithm it is, where the analyzer says; else Artificial Intelligence."""
    predecessor: Reference | None = None
    """The report that this one supersedes."""
