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
from node.results.report import numbers, statements
from node.results.report.statements import Titled
from storage.records import FindingRow


def of_segmentation(item: Segmentation, present: Sequence[Segment]) -> Iterator[FindingRow]:
    """``present``: the segments that have a voxel."""
    for segment in item.segments:
        yield from _of_segment(segment, segment in present)


def _of_segment(segment: Segment, is_present: bool) -> Iterator[FindingRow]:
    if not is_present:
        yield FindingRow(segment.label, "Presence", None, "", "looked for, not found")
        return
    if not segment.measurements and not segment.classifications:
        yield FindingRow(segment.label, "Presence", None, "", "found")
    yield from _of_parts(segment.label, segment)


def of_detection(detection: Detection) -> Iterator[FindingRow]:
    name = statements.detection_name(detection)
    score = None if detection.score is None else numbers.certainty_percent(detection.score)
    yield FindingRow(name, "Certainty", score, "" if score is None else "%", detection.key)
    yield from _of_parts(name, detection)


def _of_parts(structure: str, item: Segment | Detection) -> Iterator[FindingRow]:
    for measurement in item.measurements:
        yield from of_measurement(measurement, structure)
    for classification in item.classifications:
        yield from of_classification(classification, structure)


def of_measurement(item: Measurement, structure: str = "") -> Iterator[FindingRow]:
    derivation = f" ({item.derivation.meaning.lower()})" if item.derivation else ""
    value = numbers.kept(item.value) if math.isfinite(item.value) else None
    note = "" if value is not None else "could not be measured"
    name = f"{item.name.meaning}{derivation}"
    yield FindingRow(structure, name, value, numbers.unit_words(item.unit), note)


def of_classification(item: Classification, structure: str = "") -> Iterator[FindingRow]:
    sure = ""
    if item.probability is not None:
        limit = item.operating_point.threshold if item.operating_point else None
        sure = f" ({numbers.certainty_percent(item.probability, limit):g}%)"
    yield FindingRow(structure, item.question.meaning, None, "", f"{item.answer.meaning}{sure}")


def of_statement(item: Statement) -> Iterator[FindingRow]:
    yield FindingRow("", "Conclusion", None, "", f"{item.conclusion.meaning} ({item.rule})")


def of_map(item: ParametricMap) -> Iterator[FindingRow]:
    yield FindingRow(item.title, "Parametric map", None, numbers.unit_words(item.unit), "")


def of_images(item: DerivedImage) -> Iterator[FindingRow]:
    """Of every kind of image that has a title and remarks."""
    yield FindingRow(item.title, "Derived series", None, "", item.remarks)


def titled(name: str) -> Callable[[Titled], Iterator[FindingRow]]:
    """The line of an object of which there is nothing to say but its title."""

    def line(item: Titled) -> Iterator[FindingRow]:
        yield FindingRow(item.title, name, None, "", "")

    return line
