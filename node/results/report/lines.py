"""One line a number or statement, for the status page and the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from analyzers.contract import (
    Classification,
    DerivedImage,
    Detection,
    Measurement,
    ParametricMap,
    Segment,
    Segmentation,
    Statement,
)
from node.results import certainty
from node.results.report import ranges, statements
from node.results.report.ranges import Normality
from node.results.report.statements import Titled
from node.results.words import numbers, sentences
from node.results.words.sentences import Said
from storage.records import FindingRow, RowKind


def of_segmentation(
    item: Segmentation, present: Sequence[Segment], language: str
) -> Iterator[FindingRow]:
    """``present``: the segments that have a voxel."""
    for segment in item.segments:
        yield from _of_segment(segment, segment in present, language)


def _of_segment(segment: Segment, is_present: bool, language: str) -> Iterator[FindingRow]:
    presence = sentences.ROW_PRESENCE(language)
    if not is_present:
        said = sentences.ROW_NOT_FOUND(language)
        yield FindingRow(segment.label, presence, None, "", said, RowKind.ABSENT)
        return
    if certainty.is_possible(segment):
        yield FindingRow(segment.label, presence, None, "", sentences.ROW_POSSIBLE(language))
    elif not segment.measurements and not segment.classifications:
        yield FindingRow(segment.label, presence, None, "", sentences.ROW_FOUND(language))
    yield from _of_parts(segment.label, segment, language)


def of_detection(detection: Detection, language: str) -> Iterator[FindingRow]:
    name = statements.detection_name(detection, language)
    score = certainty.percent_of_box(detection)
    unit = "" if score is None else "%"
    yield FindingRow(
        name, sentences.ROW_CERTAINTY(language), score, unit, detection.key, certainty=score
    )
    if certainty.is_possible(detection):
        presence = sentences.ROW_PRESENCE(language)
        yield FindingRow(name, presence, None, "", sentences.ROW_POSSIBLE(language))
    yield from _of_parts(name, detection, language)


def _of_parts(structure: str, item: Segment | Detection, language: str) -> Iterator[FindingRow]:
    for measurement in item.measurements:
        yield from of_measurement(measurement, language, structure)
    for classification in item.classifications:
        yield from of_classification(classification, language, structure)


def of_measurement(item: Measurement, language: str, structure: str = "") -> Iterator[FindingRow]:
    value = numbers.kept(item.value) if math.isfinite(item.value) else None
    note = "" if value is not None else sentences.ROW_NOT_MEASURED(language)
    name = statements.measured_name(item, language)
    yield FindingRow(
        structure,
        name,
        value,
        numbers.unit_words(item.unit),
        note,
        reference=ranges.limits_in_words(item, language),
        is_unusual=ranges.normality_of(item) not in (None, Normality.WITHIN),
    )
    if said := ranges.in_words(item, language):
        title = sentences.ROW_RANGE(language, name=name)
        yield FindingRow(structure, title, None, "", said, RowKind.RANGE)


def of_classification(
    item: Classification, language: str, structure: str = ""
) -> Iterator[FindingRow]:
    question = statements.meaning(item.question, language)
    kind = RowKind.ABSENT if certainty.is_negative(item.answer) else RowKind.FINDING
    said = statements.answer_in_words(item, language)
    sure = certainty.percent_of(item)
    yield FindingRow(structure, question, None, "", said, kind, certainty=sure)


def of_statement(item: Statement, language: str) -> Iterator[FindingRow]:
    said = sentences.ROW_RULE(
        language, conclusion=statements.meaning(item.conclusion, language), rule=item.rule
    )
    yield FindingRow("", sentences.ROW_CONCLUSION(language), None, "", said)


def of_map(item: ParametricMap, language: str) -> Iterator[FindingRow]:
    unit = numbers.unit_words(item.unit)
    yield FindingRow(item.title, sentences.ROW_MAP(language), None, unit, "", RowKind.MADE)


def of_images(item: DerivedImage, language: str) -> Iterator[FindingRow]:
    """Of every kind of image that has a title and remarks."""
    name = sentences.ROW_IMAGES(language)
    yield FindingRow(item.title, name, None, "", item.remarks, RowKind.MADE)


def titled(name: Said) -> Callable[[Titled, str], Iterator[FindingRow]]:
    """The line of an object of which there is nothing to say but its title."""

    def line(item: Titled, language: str) -> Iterator[FindingRow]:
        yield FindingRow(item.title, name(language), None, "", "", RowKind.MADE)

    return line
