"""Which instances lie over images, of which series, and what each is read as."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from pydicom.dataset import Dataset

from node.look.over.annotations import Annotations
from node.look.over.blends import Blend
from node.look.over.maps import Map
from node.look.over.outlines import structures
from node.look.over.port import Frames, Overlay
from node.look.over.reports import regions
from node.look.over.segments import Segments
from storage.header import values
from storage.holdings import Held
from storage.kinds import ObjectKind

_STORAGE = "1.2.840.10008.5.1.4.1.1."


class Form(IntEnum):
    """What an object is; the first of those that there are is shown first."""

    SEGMENTATION = 0
    REPORT = 1
    MAP = 2
    STRUCTURES = 3
    ANNOTATIONS = 4
    FUSION = 5


WORDS = {
    Form.SEGMENTATION: "Segmentation",
    Form.REPORT: "Report",
    Form.MAP: "Map",
    Form.STRUCTURES: "Structure set",
    Form.ANNOTATIONS: "Annotations",
    Form.FUSION: "Fusion",
}
_FORMS = {
    f"{_STORAGE}66.4": Form.SEGMENTATION,
    f"{_STORAGE}66.7": Form.SEGMENTATION,
    f"{_STORAGE}30": Form.MAP,
    f"{_STORAGE}481.3": Form.STRUCTURES,
    f"{_STORAGE}11.1": Form.ANNOTATIONS,
    f"{_STORAGE}11.2": Form.ANNOTATIONS,
    f"{_STORAGE}11.4": Form.FUSION,
    **dict.fromkeys(
        (f"{_STORAGE}88.{n}" for n in (11, 22, 33, 34, 35, 50, 65, 69, 70)), Form.REPORT
    ),
}
_MADE_AS: dict[Form, Callable[[Held, Frames, Dataset], Overlay]] = {
    Form.SEGMENTATION: Segments,
    Form.REPORT: regions,
    Form.MAP: Map,
    Form.STRUCTURES: structures,
    Form.ANNOTATIONS: Annotations,
    Form.FUSION: Blend,
}
_SHOWS_NOTHING = frozenset({ObjectKind.WINDOW, ObjectKind.RECORD, ObjectKind.SUMMARY})
"""Of the node's own: they have nothing that lies in a place."""
_SAME_AGAIN = frozenset({ObjectKind.REGIONS, ObjectKind.OUTLINES, ObjectKind.STRUCTURE_SET})
"""The node's own finding in another form: shown only where it is asked for."""


def form_of(sop_class_uid: str) -> Form | None:
    """What an instance of a SOP class lies over images as; None where it does not."""
    return _FORMS.get(sop_class_uid)


def read(form: Form, held: Held, frames: Frames, header: Dataset) -> Overlay:
    """An object, ready to be drawn."""
    return _MADE_AS[form](held, frames, header)


@dataclass(frozen=True, slots=True)
class OverObject:
    """An object that lies over a series. job: 0 where it came from outside.

    of_series: whether it was made of it; else it only lies in the same space.
    """

    held: Held
    form: Form
    title: str
    job: int
    of_series: bool
    kind: ObjectKind | None

    @property
    def rank(self) -> tuple[bool, bool, int, int, int]:
        """The lowest is shown first: of this series, the newest job's, segmentations before all."""
        again = self.kind in _SAME_AGAIN
        return not self.of_series, again, -self.job, int(self.form), -self.held.id


def has_a_place(kind: ObjectKind | None) -> bool:
    return kind not in _SHOWS_NOTHING


def series_referred_to(header: Dataset) -> frozenset[str]:
    """The UIDs of the series that an object says it is about."""
    return frozenset(uid for uid in _series_uids(header) if uid)


def _series_uids(header: Dataset) -> Iterator[str]:
    for series in values.items(header, "ReferencedSeriesSequence"):
        yield values.uid(series, "SeriesInstanceUID")
    for keyword in (
        "CurrentRequestedProcedureEvidenceSequence",
        "PertinentOtherEvidenceSequence",
        "BlendingSequence",
    ):
        for study in values.items(header, keyword):
            for series in values.items(study, "ReferencedSeriesSequence"):
                yield values.uid(series, "SeriesInstanceUID")
    for frame in values.items(header, "ReferencedFrameOfReferenceSequence"):
        for study in values.items(frame, "RTReferencedStudySequence"):
            for series in values.items(study, "RTReferencedSeriesSequence"):
                yield values.uid(series, "SeriesInstanceUID")
