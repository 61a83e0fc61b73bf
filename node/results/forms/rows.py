"""What is said of a finding, a row each: what was measured or asked, and the value or answer.

Names are those of the status page, digits those of the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Measurement,
    OperatingPoint,
    Segment,
)
from node.results import certainty
from node.results.report import content_items, lines, ranges, statements
from node.results.words import numbers, sentences

Row = tuple[str, str]
"""The name may be empty: what is said then belongs to the row above."""


def of_finding(item: Segment | Detection, language: str, *, briefly: bool = False) -> Iterator[Row]:
    """``briefly``: without how well an answer is to be trusted, and why it was given, and without
    the range of what is usual."""
    yield from _certainty(item, language)
    said: tuple[Measurement | Classification, ...] = (*item.measurements, *item.classifications)
    for one in said:
        yield from of_one(one, language, briefly=briefly)


def of_one(
    item: Measurement | Classification, language: str, *, briefly: bool = False
) -> Iterator[Row]:
    if isinstance(item, Measurement):
        yield _of_measurement(item, language, briefly=briefly)
        return
    (row,) = lines.of_classification(item, language)
    yield row.name, row.text
    if briefly:
        return
    if item.operating_point is not None:
        yield from _of_point(item.operating_point, language)
    yield from (("", reason) for reason in item.reasons)


def _of_measurement(item: Measurement, language: str, *, briefly: bool) -> Row:
    """With its reference range; ``briefly``: only that it lies outside of it, where it does."""
    row = next(lines.of_measurement(item, language))
    if not math.isfinite(item.value):
        return row.name, row.text
    value = numbers.spelled(numbers.without_powers(numbers.shown(item.value)), language)
    usual = ranges.beside(item, language) if briefly else ranges.in_words(item, language)
    return row.name, ", ".join(part for part in (f"{value} {row.unit}".rstrip(), usual) if part)


def _of_point(point: OperatingPoint, language: str) -> Iterator[Row]:
    for code, share in (
        (content_items.THRESHOLD, point.threshold),
        (content_items.SENSITIVITY, point.sensitivity),
        (content_items.SPECIFICITY, point.specificity),
    ):
        yield _percentage(code, numbers.shown(share * 100), language)
    yield "", sentences.MEASURED_ON(language, what=point.evaluated_on)


def _certainty(item: Segment | Detection, language: str) -> Iterator[Row]:
    """How sure a box is, and that what lies below the operating point is but possible."""
    percent = certainty.percent_of_box(item) if isinstance(item, Detection) else None
    if percent is not None:
        said = numbers.percent_in_words(percent, language)
        yield sentences.ROW_CERTAINTY(language), f"{said} %"
    if certainty.is_possible(item):
        yield sentences.ROW_PRESENCE(language), sentences.ROW_POSSIBLE(language)


def _percentage(code: Code, percent: float, language: str) -> Row:
    value = numbers.spelled(numbers.written(percent), language)
    return statements.meaning(code, language), f"{value} %"
