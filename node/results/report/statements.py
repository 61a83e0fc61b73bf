"""The sentences of a report, for a radiologist to read.

Owns what is said in words: what was found, what was looked for and not found, why nothing was
done. No sentence holds a traceback, a path or a value that names the patient.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from pydicom.dataset import Dataset

from analyzers.contract import (
    Classification,
    Detection,
    Findings,
    Measurement,
    Segment,
    Segmentation,
    Statement,
    Volume,
)
from node.results.modules.source import Provenance
from node.results.presence import Presence
from node.results.report import numbers
from node.series.source import Source
from storage import values

MOST_DESCRIBED = 6
"""Findings; more are counted by name."""
MAX_REASON = 300
"""Characters of a reason; what is longer was not written for a reader."""


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
    found, missed = _structures(findings, present, where)
    sentences = []
    if found:
        sentences.append(f"Found: {', '.join(found)}.")
    if missed:
        sentences.append(f"Looked for, not found: {', '.join(missed)}.")
    answers = [i for i in findings.items if isinstance(i, Classification)]
    sentences += [f"{one.question.meaning}: {one.answer.meaning}." for one in answers]
    concluded = [i.conclusion.meaning for i in findings.items if isinstance(i, Statement)]
    if concluded:
        sentences.append(f"By rule: {'; '.join(dict.fromkeys(concluded))}.")
    if made.images:
        sentences.append(f"Derived images were made: {', '.join(made.images)}.")
    if made.states:
        sentences.append(f"Presentation states were made: {', '.join(made.states)}.")
    if not findings.items or (missed and not found and len(missed) > 1):
        sentences.insert(0, "Nothing found.")
    elif not sentences:
        sentences.append("The values above hold for the whole series.")
    return f"{' '.join(sentences)} {_by(provenance)}"


def with_uptake(source: Source, findings: Findings) -> Findings:
    """The findings, with why there is no SUV of a PET, or what makes it less exact."""
    sources = (source, *source.companions.values())
    volumes = [one.volume for one in sources if one.volume is not None]
    said = [_uptake(volume) for volume in volumes if volume.modality == "PT" and volume.suv_reason]
    remarks = tuple(one for one in dict.fromkeys(said) if one not in findings.remarks)
    return replace(findings, remarks=(*findings.remarks, *remarks))


def _uptake(volume: Volume) -> str:
    why = volume.suv_reason
    return f"No SUV: {why}." if volume.suv_factor is None else f"SUV is less exact: {why}."


def verdict(findings: Findings, present: Presence) -> str:
    """The result in a few words, for a list of series: "found, 5.2 L", "not found", "2 found"."""
    looked_for = [one for one in findings.items if isinstance(one, Segmentation | Detection)]
    if looked_for:
        return _found_in_words(findings, present)
    answers = [one for one in findings.items if isinstance(one, Classification)]
    if answers:
        return answers[0].answer.meaning
    concluded = [one for one in findings.items if isinstance(one, Statement)]
    if concluded:
        more = f" and {len(concluded) - 1} more" if len(concluded) > 1 else ""
        return f"{concluded[0].conclusion.meaning}{more}"
    measured = _measured(findings.items)
    if measured:
        return f"{measured[0].name.meaning} {numbers.in_words(measured[0])}"
    return "nothing found" if not findings.items else "new images, report"


def _found_in_words(findings: Findings, present: Presence) -> str:
    here: list[Segment | Detection] = [one for some in present.values() for one in some]
    here += [one for one in findings.items if isinstance(one, Detection)]
    if not here:
        return "not found"
    whole = _measured(findings.items)
    if not whole and len(here) > 1:
        return f"{len(here)} found"
    measured = whole or _measured([one for each in here for one in each.measurements])
    return ", ".join(["found", *(numbers.in_words(one) for one in measured[:1])])


def _measured(items: Iterable[object]) -> list[Measurement]:
    return [one for one in items if isinstance(one, Measurement) and math.isfinite(one.value)]


def notice(verdict: NoticeReason, provenance: Provenance) -> str:
    """That there is no result, in one sentence that cannot be taken for a normal finding."""
    title = provenance.analyzer_title
    if verdict is NoticeReason.NOT_APPLICABLE:
        return (
            f"Not applicable: {title} did not analyze these images. "
            "This is no statement about what they show."
        )
    return (
        f"Failed: {title} could not complete the analysis; there is no result. "
        "This is no statement about what the images show."
    )


def reason_texts(source: Source, reasons: Sequence[str]) -> list[str]:
    """The reasons fit for a report: one line each, without traceback, paths or patient."""
    texts = [_reason(source.headers[0], reason) for reason in reasons]
    return [text for text in texts if text] or ["No reason was given."]


def not_found(segment: Segment) -> str:
    return f"{segment.label}: looked for, not found."


def not_measured(measurement: Measurement) -> str:
    return f"{measurement.name.meaning}: could not be measured."


def _by(provenance: Provenance) -> str:
    version = provenance.analyzer_version
    return f"Made automatically by {provenance.analyzer_title} {version}; not verified by a person."


def _structures(
    findings: Findings, present: Presence, where: Mapping[str, str]
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
            found.append((detection_name(item), item))
    if len(found) > MOST_DESCRIBED:
        return _counted([name for name, _ in found]), missed
    return [_described(name, one, where) for name, one in found], missed


def _described(name: str, found: Segment | Detection, where: Mapping[str, str]) -> str:
    """ "Right lung (1230 mL, image 5)": its name, its first number, where it is looked at."""
    said = [numbers.in_words(one) for one in _measured(found.measurements)[:1]]
    if isinstance(found, Detection) and found.score is not None:
        said.append(f"certainty {numbers.certainty_percent(found.score):g}%")
    said += [place for place in (where.get(found.key, ""),) if place]
    return f"{name} ({', '.join(said)})" if said else name


def detection_name(detection: Detection) -> str:
    """What was detected, with its side."""
    side = f"{detection.laterality.meaning.lower()} " if detection.laterality else ""
    return f"{side}{detection.kind.meaning}"


def _counted(names: Sequence[str]) -> list[str]:
    """Each name once, with how often it occurs where that is more than once."""
    unique = list(dict.fromkeys(names))
    return [f"{name} ({n} times)" if (n := names.count(name)) > 1 else name for name in unique]


_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[\w.\-]+[\\/])+[\w.\-]*")
_WHERE = re.compile(r"\s*(?:Traceback \(most recent call last\)|File \"|\bat line \d).*", re.DOTALL)


def _reason(header: Dataset, reason: str) -> str:
    lines = _WHERE.sub("", reason).strip().splitlines()
    text = _PATH.sub("[path]", lines[0].strip()) if lines else ""
    for value in _identifying(header):
        text = re.sub(re.escape(value), "[removed]", text, flags=re.IGNORECASE)
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 1].rstrip()}…"


def _identifying(header: Dataset) -> list[str]:
    """Values of the header that name the patient or the visit, longest first."""
    found = {
        values.text(header, keyword)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber")
    }
    found |= {part for name in found for part in re.split(r"[\^=]", name)}
    return sorted((value for value in found if len(value) > 2), key=len, reverse=True)
