"""Whether numbers are usual: their reference range in codes (PS3.16 TID 310 and 312) and words."""

from __future__ import annotations

import math
from enum import Enum

import highdicom as hd

from analyzers.contract import Code, Measurement, Reference
from node.results.modules import provenance
from node.results.words import numbers, phrases, sentences
from node.results.words.sentences import Said

LOWER = Code("385524004", "SCT", "Normal Range Lower Limit")
UPPER = Code("371933006", "SCT", "Normal Range Upper Limit")
"""CID 223."""


class Normality(Enum):
    """Where a number lies (CID 222)."""

    WITHIN = Code("17621005", "SCT", "Normal")
    ABOVE = Code("371879000", "SCT", "Abnormally High")
    BELOW = Code("371880002", "SCT", "Abnormally Low")


_WORDS: dict[Normality, Said] = {
    Normality.WITHIN: sentences.WITHIN_RANGE,
    Normality.ABOVE: sentences.ABOVE_RANGE,
    Normality.BELOW: sentences.BELOW_RANGE,
}


def normality_of(item: Measurement) -> Normality | None:
    """None where there is no number, or no range for it."""
    if item.reference is None or not math.isfinite(item.value):
        return None
    if item.reference.low is not None and item.value < item.reference.low:
        return Normality.BELOW
    if item.reference.high is not None and item.value > item.reference.high:
        return Normality.ABOVE
    return Normality.WITHIN


def properties(item: Measurement) -> hd.sr.MeasurementProperties | None:
    """Normality, limits and on whose word, as they stand below the number."""
    found = normality_of(item)
    if item.reference is None or found is None:
        return None
    limits = ((LOWER, item.reference.low), (UPPER, item.reference.high))
    return hd.sr.MeasurementProperties(
        normality=provenance.concept(found.value),
        normal_range_properties=hd.sr.NormalRangeProperties(
            values=[_limit(name, value, item.unit) for name, value in limits if value is not None],
            authority=item.reference.source,
        ),
    )


def _limit(name: Code, value: float, unit: Code) -> hd.sr.NumContentItem:
    return hd.sr.NumContentItem(
        name=provenance.concept(name),
        value=numbers.kept(value),
        unit=provenance.concept(unit),
        relationship_type=hd.sr.RelationshipTypeValues.HAS_PROPERTIES,
    )


def beside(item: Measurement, language: str) -> str:
    """What is said beside the number: "below the reference range"; empty where it is usual."""
    found = normality_of(item)
    return "" if found in (None, Normality.WITHIN) else _WORDS[found](language)


def limits_in_words(item: Measurement, language: str) -> str:
    """The range alone; empty without one."""
    if item.reference is None or normality_of(item) is None:
        return ""
    return _limits(item.reference, item.unit, language)


def in_words(item: Measurement, language: str) -> str:
    """The range, whether the number lies in it, and on whose word; empty without a range."""
    found = normality_of(item)
    if item.reference is None or found is None:
        return ""
    return sentences.RANGE(
        language,
        range=_limits(item.reference, item.unit, language),
        where=_WORDS[found](language),
        source=phrases.shown(item.reference.source, language),
    )


def _limits(reference: Reference, unit: Code, language: str) -> str:
    low, high = (
        None if limit is None else numbers.with_unit(limit, unit, language)
        for limit in (reference.low, reference.high)
    )
    if low is None:
        return sentences.AT_MOST(language, limit=high)
    return (
        sentences.AT_LEAST(language, limit=low)
        if high is None
        else sentences.FROM_TO(language, low=low, high=high)
    )
