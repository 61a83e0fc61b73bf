"""What a summary is told of each analysis, and what that came to; what a retraction names.

Loads nothing that writes objects: the process that sets jobs knows these too.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.results.modules.source import HierarchicalReference
from storage.files.port import Readable
from storage.records import JobState


@dataclass(frozen=True, slots=True)
class Member:
    """An analysis that a summary speaks of, as the ledger has it.

    report: its own report, to be read; None where it has none.
    refers_to: what of it the summary refers to.
    regions: the same for destinations whose report speaks of images alone.
    """

    title: str
    analyzer: str
    version: str
    state: JobState
    reason: str
    report: Readable | None
    refers_to: tuple[HierarchicalReference, ...]
    regions: tuple[HierarchicalReference, ...] = ()
    place: str = ""
    """Which images it looked at ("series 3, image 2"), where it looked at others too."""


@dataclass(frozen=True, slots=True)
class KeyImage:
    """Where a finding is looked at: an image, and what is drawn on it.

    frame: 0 for an image of one frame. points: column and row, one after the other.
    """

    image: HierarchicalReference
    frame: int
    graphic: str
    points: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What an analysis answered to a question about a series; several where it gave several."""

    series_instance_uid: str
    question: tuple[str, str]
    """Value and scheme of its code."""
    asked: str
    answers: tuple[str, ...]
    """In words, as the question is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an analysis came to."""

    title: str
    analyzer: str
    version: str
    state: JobState
    texts: tuple[str, ...]
    """The conclusion of its report; else why there is none."""
    refers_to: tuple[HierarchicalReference, ...]
    key_images: tuple[KeyImage, ...]
    answered: tuple[Answered, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """An object that is pointed at, or taken back."""

    object: HierarchicalReference
    is_image: bool
    """Whether it is of an image SOP class, which segmentations and maps are too."""
