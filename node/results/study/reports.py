"""Reads what an analysis came to in its own report.

Reads reports as they were written, with pydicom alone: whatever made them, what a summary says is
what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pydicom
from pydicom.dataset import Dataset

from node.results.modules.source import HierarchicalReference
from node.results.report import content_items, groups
from node.results.study.members import Answered, KeyImage, Member, Outcome
from node.results.words import phrases
from node.results.words.sentences import GERMAN
from storage.files.port import Readable
from storage.records import JobState

_GERMAN_PLACES = {"series": "Serie", "image": "Bild", "volume": "Volumen", "of": "von"}
_TRACKING_UID = ("112040", "DCM")
_FINDING = (groups.FINDING.value, groups.FINDING.scheme)
_CONCLUSION = (content_items.CONCLUSION.value, content_items.CONCLUSION.scheme)
_SERIES_UID = (groups.SERIES_UID.value, groups.SERIES_UID.scheme)
_GROUP = ("125007", "DCM")
"""Measurement Group. PS3.16 TID 1410, 1411, 1501."""


def outcome(member: Member, reasons: tuple[str, ...], language: str) -> Outcome:
    """What a member came to, by its report; ``reasons`` are said where that concludes nothing."""
    texts: tuple[str, ...] = ()
    places: tuple[KeyImage, ...] = ()
    answered: tuple[Answered, ...] = ()
    if member.report is not None:
        report = _read(member.report)
        texts = _conclusion(report)
        if member.state is JobState.DONE:
            places, answered = tuple(_key_images(report)), tuple(_answers(report, language))
    return Outcome(
        title=_title(member, language),
        analyzer=member.analyzer,
        version=member.version,
        state=member.state,
        texts=texts if member.state is JobState.DONE and texts else reasons,
        refers_to=member.refers_to,
        key_images=places,
        answered=answered,
    )


def _title(member: Member, language: str) -> str:
    title = phrases.shown(member.title, language)
    return f"{title} ({_place(member.place, language)})" if member.place else title


def _place(place: str, language: str) -> str:
    if language != GERMAN:
        return place
    return re.sub("[a-z]+", lambda word: _GERMAN_PLACES.get(word[0], word[0]), place)


def _read(report: Readable) -> Dataset:
    with report.open("rb") as file:
        return pydicom.dcmread(file)


def _conclusion(report: Dataset) -> tuple[str, ...]:
    """The first of its conclusions in words: the answer."""
    for item in _below(report):
        if item.get("ValueType") == "TEXT" and _name(item) == _CONCLUSION:
            return (str(item.TextValue),)
    return ()


def _key_images(report: Dataset) -> Iterator[KeyImage]:
    """One a finding: where it is looked at, or the middle one of its regions.

    A finding has several groups with one tracking UID; the first that has a region says where.
    """
    known = {one.sop_instance_uid: one for one in _evidence(report)}
    seen: set[str] = set()
    for group in _below(report):
        tracked = _tracked(group) if _name(group) == _GROUP else ""
        regions = [] if not tracked or tracked in seen else list(_regions(group, known))
        if regions and _has(group, _FINDING):
            seen.add(tracked)
            yield regions[len(regions) // 2]


def _regions(group: Dataset, known: dict[str, HierarchicalReference]) -> Iterator[KeyImage]:
    for item in _below(group):
        if item.get("ValueType") != "SCOORD":
            continue
        for selected in item.get("ContentSequence") or ():
            for reference in selected.get("ReferencedSOPSequence") or ():
                image = known.get(str(reference.ReferencedSOPInstanceUID))
                if image is not None:
                    frame = reference.get("ReferencedFrameNumber")
                    points = tuple(float(one) for one in item.GraphicData)
                    yield KeyImage(image, int(frame or 0), str(item.GraphicType), points)


def _evidence(report: Dataset) -> Iterator[HierarchicalReference]:
    for study in report.get("CurrentRequestedProcedureEvidenceSequence") or ():
        for series in study.ReferencedSeriesSequence:
            for one in series.ReferencedSOPSequence:
                yield HierarchicalReference(
                    str(study.StudyInstanceUID),
                    str(series.SeriesInstanceUID),
                    str(one.ReferencedSOPClassUID),
                    str(one.ReferencedSOPInstanceUID),
                )


def _answers(report: Dataset, language: str) -> Iterator[Answered]:
    """What is answered of whole series: in groups that name one and no finding."""
    for group in _below(report):
        series = "" if _name(group) != _GROUP or _has(group, _FINDING) else _series(group)
        given: dict[tuple[str, str], list[str]] = {}
        asked: dict[tuple[str, str], str] = {}
        for item in group.ContentSequence if series else ():
            if item.ValueType == "CODE" and item.RelationshipType == content_items.CONTAINS.value:
                question = _name(item)
                asked[question] = _meaning(item.ConceptNameCodeSequence[0], language)
                answer = _meaning(item.ConceptCodeSequence[0], language)
                given.setdefault(question, []).append(answer)
        for question, answers in given.items():
            yield Answered(series, question, asked[question], tuple(answers))


def _series(group: Dataset) -> str:
    """The series that a group is about; empty where it names none."""
    for item in group.get("ContentSequence") or ():
        if item.ValueType == "UIDREF" and _name(item) == _SERIES_UID:
            return str(item.UID)
    return ""


def _meaning(code: Dataset, language: str) -> str:
    return phrases.shown(str(code.get("CodeMeaning") or ""), language)


def _tracked(group: Dataset) -> str:
    for item in group.get("ContentSequence") or ():
        if _name(item) == _TRACKING_UID:
            return str(item.get("UID") or "")
    return ""


def _has(group: Dataset, name: tuple[str, str]) -> bool:
    return any(_name(item) == name for item in group.get("ContentSequence") or ())


def _name(item: Dataset) -> tuple[str, str]:
    named = item.get("ConceptNameCodeSequence")
    if not named:
        return ("", "")
    return str(named[0].get("CodeValue") or ""), str(named[0].get("CodingSchemeDesignator") or "")


def _below(item: Dataset) -> Iterator[Dataset]:
    """Every content item below one, in the order of reading."""
    for child in item.get("ContentSequence") or ():
        yield child
        yield from _below(child)
