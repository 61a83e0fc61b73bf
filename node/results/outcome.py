"""What a run came to, in the few words that descriptions of its series begin with.

Lists of series show some twenty characters: "FOUND 5.2 L", "NOT FOUND", "POSSIBLE", "FAILED".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from analyzers.codes import NO_UNIT
from analyzers.contract import (
    Classification,
    Detection,
    Findings,
    Measurement,
    Segment,
    Segmentation,
    Statement,
)
from node.results import certainty
from node.results.presence import Presence
from node.results.words import numbers, phrases, sentences
from node.results.words.sentences import Said

SHORT = 20
"""Characters that every list of series shows."""


def of_findings(findings: Findings, present: Presence, language: str) -> str:
    """The outcome; empty where there are images alone, which speak for themselves.

    Where a caution stands before the answer, it is called doubtful here.
    """
    said = _of_items(findings, present, language)
    return f"{sentences.TITLE_DOUBTFUL(language)} {said}" if said and findings.cautions else said


def _of_items(findings: Findings, present: Presence, language: str) -> str:
    items = findings.items
    if any(isinstance(one, Segmentation | Detection) for one in items):
        return _found(findings, present, language)
    answers = [_answer(one) for one in items if isinstance(one, Classification)]
    concluded = [one.conclusion.meaning for one in items if isinstance(one, Statement)]
    if answers or concluded:
        return _first_of(answers or list(dict.fromkeys(concluded)), language)
    numbers_ = [one for one in items if isinstance(one, Measurement)]
    if len(numbers_) == len(items):
        return _measured(numbers_, language) if items else sentences.TITLE_NOTHING(language)
    return ""


def size(measurements: Iterable[object]) -> Measurement | None:
    """The first number: how large a thing is."""
    taken = (one for one in measurements if isinstance(one, Measurement))
    return next((one for one in taken if math.isfinite(one.value)), None)


def size_of(found: Segment | Detection) -> Measurement | None:
    """How large it is. A number without a unit is none of a box: it tells of the box's score."""
    if isinstance(found, Segment):
        return size(found.measurements)
    return size(one for one in found.measurements if one.unit != NO_UNIT)


def _found(findings: Findings, present: Presence, language: str) -> str:
    here: list[Segment | Detection] = [one for some in present.values() for one in some]
    here += [one for one in findings.items if isinstance(one, Detection)]
    if not here:
        return sentences.TITLE_NOT_FOUND(language)
    possible = [one for one in here if certainty.is_possible(one)]
    sure = [one for one in here if not certainty.is_possible(one)]
    whole = size(findings.items)
    said = [_counted(sentences.TITLE_FOUND, sure, whole, language)] if sure else []
    if possible:
        said.append(_counted(sentences.TITLE_POSSIBLE, possible, None, language))
    return " ".join(said)


def _counted(
    row: Said, found: Sequence[Segment | Detection], whole: Measurement | None, language: str
) -> str:
    """With the size of the whole or of the only one, or else how many there are."""
    word = row(language)
    if whole is None and len(found) > 1:
        return sentences.TITLE_COUNTED(language, word=word, count=len(found))
    measured = whole or size_of(found[0])
    return f"{word} {numbers.in_words(measured, language)}" if measured else word


def _answer(item: Classification) -> str:
    return certainty.POSSIBLE.meaning if certainty.is_possible(item) else item.answer.meaning


def _first_of(meanings: list[str], language: str) -> str:
    """The first in capitals, as long as it is short; and how many more there are."""
    first = phrases.shown(meanings[0], language)
    first = first.upper() if len(first) <= SHORT else first
    count = len(meanings) - 1
    return sentences.TITLE_AND_MORE(language, first=first, count=count) if count else first


def _measured(found: list[Measurement], language: str) -> str:
    first = size(found)
    if first is None:
        return sentences.TITLE_NOT_MEASURED(language)
    return sentences.TITLE_MEASURED(language, value=numbers.in_words(first, language))
