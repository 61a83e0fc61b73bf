"""The sentences of a report, for a radiologist to read: the answer first, method and limits last.

Owns what is said in which order; the words stand in ``node.results.words``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    Segment,
    Segmentation,
    Statement,
)
from node.results import certainty, outcome
from node.results.modules.equipment import MANUFACTURER
from node.results.modules.source import Provenance
from node.results.presence import Presence
from node.results.report import ranges
from node.results.words import numbers, phrases, sentences
from node.results.words.sentences import ENGLISH, Said
from node.series.source import Source

MOST_DESCRIBED = 6
"""Findings; more are counted by name."""


MOST_OF_SERIES = 3
"""Numbers of the whole series; all of them stand below."""


class Titled(Protocol):
    """A finding that is an object of its own."""

    @property
    def title(self) -> str: ...


@dataclass(frozen=True, slots=True)
class MadeTitles:
    """What a person calls the images, and the ways of showing them, that were made."""

    images: Sequence[str] = ()
    states: Sequence[str] = ()


class NoticeReason(StrEnum):
    """Why a report has no findings."""

    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"


def conclusion(
    findings: Findings,
    present: Presence,
    provenance: Provenance,
    made: MadeTitles,
    where: Mapping[str, str],
) -> str:
    """Why not to rely on it, where there is a reason; then the answer: what was found, on which
    side, how large and on which image (``where``, by key), what is possible, what was looked for in
    vain, and what was answered."""
    language = provenance.maker.language
    found, missed = _structures(findings, present)
    said = [
        *_listed(sentences.FOUND, [one for one in found if not one.is_possible], where, language),
        *_listed(sentences.POSSIBLE, [one for one in found if one.is_possible], where, language),
    ]
    if missed:
        said.append(sentences.NOT_FOUND(language, what=", ".join(missed)))
    said += [answered(one, language) for one in findings.items if isinstance(one, Classification)]
    concluded = [
        meaning(i.conclusion, language) for i in findings.items if isinstance(i, Statement)
    ]
    if concluded:
        said.append(sentences.BY_RULE(language, what="; ".join(dict.fromkeys(concluded))))
    if made.images:
        said.append(sentences.IMAGES_MADE(language, what=", ".join(made.images)))
    if made.states:
        said.append(sentences.STATES_MADE(language, what=", ".join(made.states)))
    if not findings.items:
        said.append(sentences.NOTHING_FOUND(language))
    return " ".join([*findings.cautions, *said, *_whole(findings, language)])


def _listed(
    row: Said, found: Sequence[_Found], where: Mapping[str, str], language: str
) -> list[str]:
    if not found:
        return []
    if len(found) > MOST_DESCRIBED:
        said = _counted([one.name(language) for one in found], language)
    else:
        said = [_described(one, where, language) for one in found]
    return [row(language, what=", ".join(said))]


def _whole(findings: Findings, language: str) -> list[str]:
    """The first numbers of the whole series: its volume, its score."""
    measured = [one for one in findings.items if isinstance(one, Measurement)]
    return [measured_in_words(one, language) for one in measured[:MOST_OF_SERIES]]


def measured_in_words(item: Measurement, language: str) -> str:
    """A number with its name: "Volume: 5.2 L."."""
    if not math.isfinite(item.value):
        return not_measured(item, language)
    said = ranges.in_words(item, language)
    value = ", ".join(part for part in (numbers.in_words(item, language), said) if part)
    return sentences.MEASURED(language, name=measured_name(item, language), value=value)


def measured_name(item: Measurement, language: str) -> str:
    """What was measured, with how it was made from many values."""
    name = meaning(item.name, language)
    return f"{name} ({meaning(item.derivation, language).lower()})" if item.derivation else name


def meaning(code: Code, language: str) -> str:
    """What a code means, in words beside it; the code itself stays English."""
    return phrases.shown(code.meaning, language)


def answered(item: Classification, language: str) -> str:
    """An answer to its question, with how sure it is: "Lung opacity: absent (certainty 88%)."."""
    question = meaning(item.question, language)
    return sentences.ANSWERED(language, question=question, answer=answer_in_words(item, language))


def answer_in_words(item: Classification, language: str) -> str:
    """The answer, called possible where it lies below the operating point, and how sure it is."""
    answer = meaning(item.answer, language)
    if certainty.is_possible(item) and item.answer != certainty.POSSIBLE:
        answer = sentences.POSSIBLY(language, what=_within_a_sentence(item.answer, language))
    percent = certainty.percent_of(item)
    return answer if percent is None else f"{answer} ({_certain(percent, language)})"


_NO_NOUNS = frozenset({"Present", "Absent", "Yes", "No"})
"""What is small in German, too, where no sentence begins with it."""


def _within_a_sentence(answer: Code, language: str) -> str:
    """What it means, with a small letter where it stands behind another word: "present"."""
    said = meaning(answer, language)
    is_name = said[1:2].isupper()  # an abbreviation
    if is_name or (language != ENGLISH and answer.meaning not in _NO_NOUNS):
        return said
    return f"{said[:1].lower()}{said[1:]}"


def _certain(percent: float, language: str) -> str:
    return sentences.CERTAINTY(language, percent=numbers.percent_in_words(percent, language))


def with_uptake(source: Source, findings: Findings, language: str) -> Findings:
    """The findings, with why there is no SUV of a PET; what makes it less exact stands before the
    answer."""
    sources = (source, *source.companions.values())
    found = dict.fromkeys(one.volume for one in sources if one.volume is not None)
    doubted = [one for one in found if one.modality == "PT" and one.suv_reason]
    missing = [
        sentences.NO_SUV(language, why=phrases.shown(one.suv_reason, language))
        for one in doubted
        if one.suv_factor is None
    ]
    less = [
        sentences.SUV_LESS_EXACT(language, why=phrases.shown(one.suv_reason, language))
        for one in doubted
        if one.suv_factor is not None
    ]
    remarks = tuple(one for one in dict.fromkeys(missing) if one not in findings.remarks)
    cautions = tuple(one for one in dict.fromkeys(less) if one not in findings.cautions)
    return replace(
        findings,
        remarks=(*findings.remarks, *remarks),
        cautions=(*cautions, *findings.cautions),
    )


def notice(verdict: NoticeReason, why: Sequence[str], provenance: Provenance) -> str:
    """That there is no result, and why, in words that cannot be taken for a normal finding."""
    not_applicable = verdict is NoticeReason.NOT_APPLICABLE
    row = sentences.NOT_APPLICABLE if not_applicable else sentences.FAILED
    reason = " ".join(_as_sentence(one) for one in why)
    return row(provenance.maker.language, analyzer=provenance.analyzer_title, why=reason)


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', '…')) else '.'}"


def notice_title(verdict: NoticeReason, language: str) -> str:
    """The same in two words."""
    not_applicable = verdict is NoticeReason.NOT_APPLICABLE
    row = sentences.TITLE_NOT_APPLICABLE if not_applicable else sentences.TITLE_FAILED
    return row(language)


def not_found(segment: Segment, language: str) -> str:
    return sentences.NOT_FOUND_LINE(language, what=segment.label)


def not_measured(measurement: Measurement, language: str) -> str:
    return sentences.NOT_MEASURED(language, name=meaning(measurement.name, language))


def method(provenance: Provenance) -> str:
    """How the report came about, and that nobody has verified it."""
    return sentences.MADE_BY(
        provenance.maker.language,
        maker=provenance.analyzer_title,
        version=provenance.analyzer_version,
    )


def noticed(provenance: Provenance) -> str:
    """The same of a report that there is no result: the node writes it."""
    language, version = provenance.maker.language, provenance.node_version
    return sentences.MADE_BY(language, maker=MANUFACTURER, version=version)


@dataclass(frozen=True, slots=True)
class _Found:
    """A structure that has a voxel, or a box; a structure may have a box of its own round it."""

    finding: Segment | Detection
    box: Detection | None = None

    @property
    def is_possible(self) -> bool:
        return any(certainty.is_possible(one) for one in (self.finding, self.box) if one)

    def name(self, language: str) -> str:
        if isinstance(self.finding, Segment):
            return self.finding.label
        return meaning(self.finding.kind, language)


def _structures(findings: Findings, present: Presence) -> tuple[list[_Found], list[str]]:
    """What was found, and the names of what was not."""
    found: list[_Found] = []
    missed = []
    for index, item in enumerate(findings.items):
        if isinstance(item, Segmentation):
            here = present.get(index, ())
            found += [_Found(segment) for segment in here]
            missed += [segment.label for segment in item.segments if segment not in here]
        elif isinstance(item, Detection):
            found.append(_Found(item))
    return _boxes_beside(found), missed


def _boxes_beside(found: Sequence[_Found]) -> list[_Found]:
    """A box round the only structure of its kind is not said twice."""
    structures = [one for one in found if isinstance(one.finding, Segment)]
    boxes = {_kind(one): one.finding for one in found if isinstance(one.finding, Detection)}
    kinds = Counter(_kind(one) for one in found)
    pairs = {_kind(one) for one in structures if kinds[_kind(one)] == 2 and _kind(one) in boxes}
    return [
        replace(one, box=boxes[_kind(one)]) if _kind(one) in pairs else one
        for one in found
        if one in structures or _kind(one) not in pairs
    ]


def _kind(one: _Found) -> tuple[str, str, str]:
    side = one.finding.laterality.value if one.finding.laterality else ""
    return (one.finding.kind.scheme, one.finding.kind.value, side)


def _described(one: _Found, where: Mapping[str, str], language: str) -> str:
    """Name, side, size, certainty, place: "Nodule (right, 6 mm, certainty 62%, image 5)"."""
    name = one.name(language)
    said = [
        _side_beside(name, one.finding, language),
        _size(one.finding, language),
        _sureness(one, language),
        where.get(one.finding.key, ""),
    ]
    kept = [part for part in said if part]
    return f"{name} ({', '.join(kept)})" if kept else name


def _side_beside(name: str, found: Segment | Detection, language: str) -> str:
    """The side, where the name does not say it: "Right lung" does."""
    if found.laterality is None:
        return ""
    side = meaning(found.laterality, language).lower()
    return "" if side[:4] in name.casefold() else side


def _size(found: Segment | Detection, language: str) -> str:
    first = outcome.size_of(found)
    return "" if first is None else _sized(first, language)


def _sized(item: Measurement, language: str) -> str:
    """A number, and that it lies outside of its reference range where it does."""
    said = (numbers.in_words(item, language), ranges.beside(item, language))
    return ", ".join(part for part in said if part)


def _sureness(one: _Found, language: str) -> str:
    box = one.finding if isinstance(one.finding, Detection) else one.box
    given = [certainty.percent_of_box(box)] if box else []
    given += [certainty.percent_of(answer) for answer in one.finding.classifications]
    percent = next((sure for sure in given if sure is not None), None)
    return "" if percent is None else _certain(percent, language)


def detection_name(detection: Detection, language: str) -> str:
    """What was detected, with its side."""
    named = meaning(detection.kind, language)
    if detection.laterality is None:
        return named
    return f"{named}, {meaning(detection.laterality, language).lower()}"


def _counted(names: Sequence[str], language: str) -> list[str]:
    """Each name once, with how often it occurs where that is more than once."""
    unique = list(dict.fromkeys(names))
    return [
        sentences.TIMES(language, name=name, count=n) if (n := names.count(name)) > 1 else name
        for name in unique
    ]
