"""What is said of findings, as content items: numbers, answers, conclusions, sentences.

Units are UCUM. Numeric Value (0040,A30A) is what viewers show and has three significant digits;
Floating Point Value (0040,A161) has six.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import highdicom as hd
from pydicom.dataset import Dataset

from analyzers.codes import PERCENT
from analyzers.contract import Classification, Code, Measurement, OperatingPoint, Statement
from node.results import certainty
from node.results.modules import provenance
from node.results.report import places, ranges, statements
from node.results.words import numbers, sentences

PRESENCE = Code("121052", "DCM", "Presence of property")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COMMENT = Code("121106", "DCM", "Comment")
CONCLUSION = Code("121077", "DCM", "Conclusion")
THRESHOLD = Code("THRESHOLD", "99WETREAD", "Probability from which presence is stated")
SENSITIVITY = Code("SENSITIVITY", "99WETREAD", "Sensitivity on patients held out")
SPECIFICITY = Code("SPECIFICITY", "99WETREAD", "Specificity on patients held out")

CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS
HAS_PROPERTIES = hd.sr.RelationshipTypeValues.HAS_PROPERTIES
INFERRED_FROM = hd.sr.RelationshipTypeValues.INFERRED_FROM


def is_measured(measurements: Iterable[Measurement]) -> bool:
    """Whether there is a number, which says itself where it was taken."""
    return any(math.isfinite(one.value) for one in measurements)


def measurements_of(
    measurements: Sequence[Measurement], region: hd.sr.ImageRegion | None = None
) -> list[hd.sr.Measurement] | None:
    finite = [item for item in measurements if math.isfinite(item.value)]
    return [measurement(item, region) for item in finite] or None


def measurement(measurement: Measurement, region: hd.sr.ImageRegion | None) -> hd.sr.Measurement:
    """A number; below it first where it was taken (PS3.16 TID 320), for those who show that."""
    made = hd.sr.Measurement(
        name=provenance.concept(measurement.name),
        value=measurement.value,
        unit=provenance.concept(measurement.unit),
        derivation=provenance.concept(measurement.derivation) if measurement.derivation else None,
        properties=ranges.properties(measurement),
    )
    number = made[0]
    _write(number, numbers.shown(measurement.value), numbers.kept(measurement.value))
    if region is not None:
        below = [places.source_of_measurement(region), *number.get("ContentSequence", ())]
        number.ContentSequence = hd.sr.ContentSequence(below)
    return made


def _write(item: Dataset, shown: float, kept: float) -> None:
    measured = item.MeasuredValueSequence[0]
    measured.NumericValue = numbers.written(shown)
    measured.FloatingPointValue = kept


def unmeasured(measurements: Iterable[Measurement], language: str) -> list[hd.sr.ContentItem]:
    """A sentence for every number that is none: readers fail on a NUM without a value."""
    return [
        text_item(COMMENT, statements.not_measured(item, language))
        for item in measurements
        if not math.isfinite(item.value)
    ]


def answers(items: Iterable[Classification], language: str) -> list[hd.sr.ContentItem]:
    return [_classification(item, language) for item in items]


def _classification(item: Classification, language: str) -> hd.sr.ContentItem:
    answer = code_item(item.question, item.answer)
    children = certainty_item(certainty.percent_of(item), HAS_PROPERTIES)
    if certainty.is_possible(item) and item.answer != certainty.POSSIBLE:
        children.insert(0, code_item(PRESENCE, certainty.POSSIBLE, HAS_PROPERTIES))
    if item.operating_point is not None:
        children += _operating_point(item.operating_point, language)
    children += [text_item(COMMENT, reason, INFERRED_FROM) for reason in item.reasons]
    if children:
        answer.ContentSequence = hd.sr.ContentSequence(children)
    return answer


def _operating_point(point: OperatingPoint, language: str) -> list[hd.sr.ContentItem]:
    return [
        _percentage(THRESHOLD, numbers.shown(point.threshold * 100), HAS_PROPERTIES),
        _percentage(SENSITIVITY, numbers.shown(point.sensitivity * 100), HAS_PROPERTIES),
        _percentage(SPECIFICITY, numbers.shown(point.specificity * 100), HAS_PROPERTIES),
        text_item(
            COMMENT, sentences.MEASURED_ON(language, what=point.evaluated_on), HAS_PROPERTIES
        ),
    ]


def certainty_item(
    percent: float | None, relation: hd.sr.RelationshipTypeValues
) -> list[hd.sr.ContentItem]:
    return [] if percent is None else [_percentage(CERTAINTY, percent, relation)]


def _percentage(
    name: Code, percent: float, relation: hd.sr.RelationshipTypeValues
) -> hd.sr.ContentItem:
    item = hd.sr.NumContentItem(
        name=provenance.concept(name),
        value=percent,
        unit=provenance.concept(PERCENT),
        relationship_type=relation,
    )
    _write(item, percent, percent)
    return item


def statement_item(statement: Statement, language: str) -> hd.sr.ContentItem:
    """A coded conclusion; what it was inferred from stands below it: rule, values, source."""
    item = code_item(CONCLUSION, statement.conclusion)
    item.ContentSequence = hd.sr.ContentSequence(
        [
            text_item(COMMENT, statement.text, HAS_PROPERTIES),
            text_item(COMMENT, sentences.RULE(language, rule=statement.rule), INFERRED_FROM),
            *(text_item(COMMENT, reason, INFERRED_FROM) for reason in statement.because),
            text_item(COMMENT, sentences.SOURCE(language, source=statement.source), INFERRED_FROM),
        ]
    )
    return item


def code_item(
    name: Code, value: Code, relation: hd.sr.RelationshipTypeValues = CONTAINS
) -> hd.sr.ContentItem:
    return hd.sr.CodeContentItem(
        name=provenance.concept(name),
        value=provenance.concept(value),
        relationship_type=relation,
    )


def text_item(
    name: Code, value: str, relation: hd.sr.RelationshipTypeValues = CONTAINS
) -> hd.sr.ContentItem:
    """A text content item, below a container if not said otherwise."""
    return hd.sr.TextContentItem(
        name=provenance.concept(name), value=value, relationship_type=relation
    )
