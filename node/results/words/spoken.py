"""Findings as they are spoken of: every free text of an analyzer in the language of the report.

Codes keep their English meanings, and what is measured is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from analyzers.contract import (
    Classification,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Detection,
    Finding,
    Findings,
    ParametricMap,
    Segment,
    Segmentation,
    Statement,
)
from node.results.words import phrases
from node.results.words.sentences import ENGLISH

Translated = Callable[[str], str]


def findings_in(findings: Findings, language: str) -> Findings:
    """The same findings, their labels, titles, remarks and reasons in a language."""
    if language == ENGLISH:
        return findings

    def said(text: str) -> str:
        return phrases.shown(text, language)

    items = tuple(_item(item, said) for item in findings.items)
    return Findings(
        items,
        tuple(said(remark) for remark in findings.remarks),
        tuple(said(caution) for caution in findings.cautions),
    )


def _item(item: Finding, said: Translated) -> Finding:
    match item:
        case Segmentation():
            segments = tuple(_segment(segment, said) for segment in item.segments)
            return replace(item, segments=segments, title=said(item.title))
        case Detection():
            return replace(item, classifications=_answers(item.classifications, said))
        case Classification():
            return _answer(item, said)
        case Statement():
            return replace(
                item,
                text=said(item.text),
                rule=said(item.rule),
                because=tuple(said(one) for one in item.because),
            )
        case DerivedImage() | ColorImage() | CompressedImage():
            return replace(item, title=said(item.title), remarks=said(item.remarks))
        case ParametricMap():
            return replace(item, title=said(item.title))
        case _:
            return _titled(item, said)


def _titled(item: Any, said: Translated) -> Finding:
    """What may have a title and no other words."""
    found: Finding = replace(item, title=said(item.title)) if hasattr(item, "title") else item
    return found


def _segment(segment: Segment, said: Translated) -> Segment:
    classifications = _answers(segment.classifications, said)
    return replace(segment, label=said(segment.label), classifications=classifications)


def _answers(answers: tuple[Classification, ...], said: Translated) -> tuple[Classification, ...]:
    return tuple(_answer(one, said) for one in answers)


def _answer(answer: Classification, said: Translated) -> Classification:
    return replace(answer, reasons=tuple(said(reason) for reason in answer.reasons))
