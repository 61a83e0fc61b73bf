"""The sentences of a report, for a radiologist to read: the answer first, method and limits last.

Owns what is said in which order; the words stand in ``node.results.words``.
"""

from __future__ import annotations

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
    Volume,
)
from node.results import outcome
from node.results.modules.source import Provenance
from node.results.presence import Presence
from node.results.words import numbers, phrases, sentences
from node.series.source import Source

MOST_DESCRIBED = 6
"""Findings; more are counted by name."""


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
    """The answer: what was found, how large and on which image (``where``, by key), what was looked
    for in vain, what was answered; and that nobody has verified it."""
    language = provenance.maker.language
    found, missed = _structures(findings, present, where, language)
    said = []
    if found:
        said.append(sentences.FOUND(language, what=", ".join(found)))
    if missed:
        said.append(sentences.NOT_FOUND(language, what=", ".join(missed)))
    said += [_answered(one, language) for one in findings.items if isinstance(one, Classification)]
    concluded = [
        meaning(i.conclusion, language) for i in findings.items if isinstance(i, Statement)
    ]
    if concluded:
        said.append(sentences.BY_RULE(language, what="; ".join(dict.fromkeys(concluded))))
    if made.images:
        said.append(sentences.IMAGES_MADE(language, what=", ".join(made.images)))
    if made.states:
        said.append(sentences.STATES_MADE(language, what=", ".join(made.states)))
    if not findings.items or (missed and not found and len(missed) > 1):
        said.insert(0, sentences.NOTHING_FOUND(language))
    elif not said:
        said.append(sentences.VALUES_OF_SERIES(language))
    return f"{' '.join(said)} {_by(provenance)}"


def meaning(code: Code, language: str) -> str:
    """What a code means, in words beside it; the code itself stays English."""
    return phrases.shown(code.meaning, language)


def _answered(item: Classification, language: str) -> str:
    question, answer = meaning(item.question, language), meaning(item.answer, language)
    return sentences.ANSWERED(language, question=question, answer=answer)


def with_uptake(source: Source, findings: Findings, language: str) -> Findings:
    """The findings, with why there is no SUV of a PET, or what makes it less exact."""
    sources = (source, *source.companions.values())
    volumes = [one.volume for one in sources if one.volume is not None]
    said = [
        _uptake(volume, language)
        for volume in volumes
        if volume.modality == "PT" and volume.suv_reason
    ]
    remarks = tuple(one for one in dict.fromkeys(said) if one not in findings.remarks)
    return replace(findings, remarks=(*findings.remarks, *remarks))


def _uptake(volume: Volume, language: str) -> str:
    row = sentences.NO_SUV if volume.suv_factor is None else sentences.SUV_LESS_EXACT
    return row(language, why=phrases.shown(volume.suv_reason, language))


def notice(verdict: NoticeReason, provenance: Provenance) -> str:
    """That there is no result, in one sentence that cannot be taken for a normal finding."""
    not_applicable = verdict is NoticeReason.NOT_APPLICABLE
    row = sentences.NOT_APPLICABLE if not_applicable else sentences.FAILED
    return row(provenance.maker.language, analyzer=provenance.analyzer_title)


def notice_title(verdict: NoticeReason, language: str) -> str:
    """The same in two words."""
    not_applicable = verdict is NoticeReason.NOT_APPLICABLE
    row = sentences.TITLE_NOT_APPLICABLE if not_applicable else sentences.TITLE_FAILED
    return row(language)


def not_found(segment: Segment, language: str) -> str:
    return sentences.NOT_FOUND_LINE(language, what=segment.label)


def not_measured(measurement: Measurement, language: str) -> str:
    return sentences.NOT_MEASURED(language, name=meaning(measurement.name, language))


def _by(provenance: Provenance) -> str:
    return sentences.MADE_BY(
        provenance.maker.language,
        analyzer=provenance.analyzer_title,
        version=provenance.analyzer_version,
    )


def _structures(
    findings: Findings, present: Presence, where: Mapping[str, str], language: str
) -> tuple[list[str], list[str]]:
    """What was found, each with its size and image as long as they are few; and what was not."""
    found: list[tuple[str, Segment | Detection]] = []
    missed = []
    for index, item in enumerate(findings.items):
        if isinstance(item, Segmentation):
            here = present.get(index, ())
            found += [(segment.label, segment) for segment in here]
            missed += [segment.label for segment in item.segments if segment not in here]
        elif isinstance(item, Detection):
            found.append((detection_name(item, language), item))
    if len(found) > MOST_DESCRIBED:
        return _counted([name for name, _ in found], language), missed
    return [_described(name, one, where, language) for name, one in found], missed


def _described(
    name: str, found: Segment | Detection, where: Mapping[str, str], language: str
) -> str:
    """ "Right lung (1230 mL, image 5)": its name, its first number, where it is looked at."""
    said = [numbers.in_words(one, language) for one in (outcome.size(found.measurements),) if one]
    if isinstance(found, Detection) and found.score is not None:
        percent = numbers.percent_in_words(numbers.certainty_percent(found.score), language)
        said.append(sentences.CERTAINTY(language, percent=percent))
    said += [place for place in (where.get(found.key, ""),) if place]
    return f"{name} ({', '.join(said)})" if said else name


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
