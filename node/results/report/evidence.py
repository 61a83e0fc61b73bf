"""What a document refers to: its evidence by study and series, and the request that it answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag, Tag
from pydicom.uid import CTImageStorage

from node.results import prepared
from node.results.modules.source import HierarchicalReference
from node.results.modules.subject import REQUIRED_OF_SUBJECT

_EVIDENCE = Tag("CurrentRequestedProcedureEvidenceSequence")
_STUDY, _SERIES = Tag("StudyInstanceUID"), Tag("SeriesInstanceUID")
_OF_SERIES, _REFERENCES = Tag("ReferencedSeriesSequence"), Tag("ReferencedSOPSequence")
_CLASS, _INSTANCE = Tag("ReferencedSOPClassUID"), Tag("ReferencedSOPInstanceUID")


def asked_for(
    listed: Sequence[HierarchicalReference], content: Iterable[Dataset]
) -> list[HierarchicalReference]:
    """Those that highdicom looks for or at: of the rest, ``hierarchy`` says all that it would."""
    first, cited = listed[0], frozenset(_cited(content))
    return [
        one
        for number, one in enumerate(listed)
        if not number
        or one.sop_instance_uid in cited
        or one.study_instance_uid != first.study_instance_uid
    ]


def _cited(items: Iterable[Dataset]) -> Iterator[str]:
    """What content items refer to, and those below them."""
    for item in items:
        for reference in item.get("ReferencedSOPSequence", ()):
            yield str(reference.ReferencedSOPInstanceUID)
        yield from _cited(item.get("ContentSequence", ()))


def stand_ins(evidence: Iterable[HierarchicalReference]) -> list[Dataset]:
    """What highdicom takes as evidence: identity alone, whatever the SOP class."""
    stand_ins = []
    for listed in evidence:
        stand_in = Dataset()
        stand_in.SOPClassUID = CTImageStorage
        stand_in.SOPInstanceUID = listed.sop_instance_uid
        stand_in.StudyInstanceUID = listed.study_instance_uid
        stand_in.SeriesInstanceUID = listed.series_instance_uid
        for keyword in REQUIRED_OF_SUBJECT:
            if keyword != "StudyInstanceUID":
                setattr(stand_in, keyword, "")
        stand_ins.append(stand_in)
    return stand_ins


def hierarchy(references: Iterable[HierarchicalReference]) -> Items:
    """References by study and series (PS3.3 Table C.17-3, Hierarchical SOP Instance Macro)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for listed in references:
        item = Dataset()
        item.ReferencedSOPClassUID = listed.sop_class_uid
        item.ReferencedSOPInstanceUID = listed.sop_instance_uid
        series = studies.setdefault(listed.study_instance_uid, {})
        series.setdefault(listed.series_instance_uid, []).append(item)
    return Items([_study_item(study, series) for study, series in studies.items()])


def ready(references: Iterable[HierarchicalReference]) -> prepared.ReadyElement:
    """The evidence of a document: its ``hierarchy`` as bytes, as a series has thousands."""
    studies: dict[str, dict[str, list[bytes]]] = {}
    for listed in references:
        named = _uid(_CLASS, listed.sop_class_uid) + _uid(_INSTANCE, listed.sop_instance_uid)
        series = studies.setdefault(listed.study_instance_uid, {})
        series.setdefault(listed.series_instance_uid, []).append(prepared.item(named))
    return prepared.raw_sequence(
        _EVIDENCE, [_study_bytes(study, series) for study, series in studies.items()]
    )


def _study_bytes(study: str, series: Mapping[str, list[bytes]]) -> bytes:
    inner = [
        prepared.item(prepared.sequence(_REFERENCES, instances) + _uid(_SERIES, uid))
        for uid, instances in series.items()
    ]
    return prepared.item(prepared.sequence(_OF_SERIES, inner) + _uid(_STUDY, study))


def _uid(tag: BaseTag, uid: str) -> bytes:
    return prepared.element(tag, "UI", uid.encode("ascii"))


def _study_item(study: str, series: Mapping[str, list[Dataset]]) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = study
    item.ReferencedSeriesSequence = Items()
    for series_uid, instances in series.items():
        inner = Dataset()
        inner.SeriesInstanceUID = series_uid
        inner.ReferencedSOPSequence = Items(instances)
        item.ReferencedSeriesSequence.append(inner)
    return item
