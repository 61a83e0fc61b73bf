"""Findings as measurement groups of a TID 1500 report (PS3.16 TID 1410, 1411, 1501).

Owns the content items below "Imaging Measurements". Units are UCUM. Numeric Value (0040,A30A) is
what viewers show and has three significant digits; Floating Point Value (0040,A161) has six.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset

from analyzers.codes import PERCENT
from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    OperatingPoint,
    Segment,
    Segmentation,
    Statement,
)
from node.results import uids
from node.results.errors import FindingsContradictImages
from node.results.modules import planes, provenance
from node.results.modules.source import Provenance
from node.results.objects import seg
from node.results.report import numbers, statements
from node.series.source import Source

PRESENCE = Code("121052", "DCM", "Presence of property")
ABSENT = Code("272519000", "SCT", "Absent")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COMMENT = Code("121106", "DCM", "Comment")
LATERALITY = Code("272741003", "SCT", "Laterality")
SERIES_UID = Code("112002", "DCM", "Series Instance UID")
CONCLUSION = Code("121077", "DCM", "Conclusion")
THRESHOLD = Code("THRESHOLD", "99WETREAD", "Certainty from which the answer is given")
SENSITIVITY = Code("SENSITIVITY", "99WETREAD", "Sensitivity on patients held out")
SPECIFICITY = Code("SPECIFICITY", "99WETREAD", "Specificity on patients held out")

WHOLE_SERIES = "whole_series"
"""Finding key of what holds for the series and for no place in it."""

Group = (
    hd.sr.MeasurementsAndQualitativeEvaluations
    | hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)

CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS
HAS_PROPERTIES = hd.sr.RelationshipTypeValues.HAS_PROPERTIES
INFERRED_FROM = hd.sr.RelationshipTypeValues.INFERRED_FROM


@dataclass(frozen=True, slots=True)
class Context:
    """What every group needs beside its finding."""

    source: Source
    provenance: Provenance
    segs: Mapping[int, Dataset]
    """The Segmentation objects, by the index of the finding they encode."""


def measurement_groups(findings: Findings, context: Context) -> list[Group]:
    """One group a segment and a detection, one for all that holds for the whole series."""
    groups: list[Group] = []
    for index, item in enumerate(findings.items):
        if isinstance(item, Segmentation):
            groups += [_segment(segment, index, context) for segment in item.segments]
        elif isinstance(item, Detection):
            groups.append(_detection(item, context))
    whole = [i for i in findings.items if isinstance(i, Measurement | Classification)]
    if whole:
        groups.append(_whole_series(whole, context))
    return groups


def encoded_segments(findings: Findings, context: Context) -> dict[int, list[Segment]]:
    """The structures that stand in a Segmentation object, by the index of their finding."""
    return {
        index: [
            segment
            for segment in item.segments
            if seg.segment_number(context.segs[index], _tracking(segment.key, context)[1].value)
        ]
        for index, item in enumerate(findings.items)
        if isinstance(item, Segmentation) and index in context.segs
    }


def _segment(segment: Segment, index: int, context: Context) -> Group:
    tracking = _tracking(segment.key, context)
    encoded = context.segs.get(index)
    number = seg.segment_number(encoded, tracking[1].value) if encoded is not None else None
    if encoded is None or number is None:
        return _absent(segment, tracking, context)
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=encoded.SOPClassUID,
            sop_instance_uid=encoded.SOPInstanceUID,
            segment_number=number,
            source_series=hd.sr.SourceSeriesForSegmentation(
                context.source.headers[0].SeriesInstanceUID
            ),
        ),
        **_common(segment, context),
    )
    _finish(group, segment, context)
    return group


def _absent(segment: Segment, tracking: hd.sr.TrackingIdentifier, context: Context) -> Group:
    """A statement that the structure was looked for and is not there."""
    common = _common(segment, context) | {"measurements": None}
    group = hd.sr.MeasurementsAndQualitativeEvaluations(tracking_identifier=tracking, **common)
    _append(group, _code_item(PRESENCE, ABSENT))
    _append(group, text_item(COMMENT, statements.not_found(segment)))
    _finish(group, segment, context)
    return group


def _detection(detection: Detection, context: Context) -> Group:
    tracking = _tracking(detection.key, context)
    regions = list(_regions(detection, context.source))
    group: Group
    if len(context.source.frames) == 1:
        group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            referenced_region=regions[0],
            **_common(detection, context),
        )
    else:
        group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            referenced_regions=regions,
            **_common(detection, context),
        )
    if detection.score is not None:
        _append(group, _certainty(detection.score, CONTAINS))
    _finish(group, detection, context)
    return group


def _regions(detection: Detection, source: Source) -> Iterator[hd.sr.ImageRegion]:
    """The box as one rectangle on each image that it crosses.

    Coordinates are (column, row), 0 at the outer corner of the first pixel (PS3.3 C.18.6.1.2).
    """
    (s0, r0, c0), (s1, r1, c1) = detection.first, detection.last
    shape = source.volume.shape if source.volume is not None else (0, 0, 0)
    if not all(0 <= a <= b < n for a, b, n in zip((s0, r0, c0), (s1, r1, c1), shape, strict=True)):
        raise FindingsContradictImages(f"the box of {detection.key} lies outside of the images")
    corners = [(c0, r0), (c1 + 1, r0), (c1 + 1, r1 + 1), (c0, r1 + 1), (c0, r0)]
    for index in range(s0, s1 + 1):
        reference = planes.image_reference(source, index)
        frame = reference.get("ReferencedFrameNumber")
        yield hd.sr.ImageRegion(
            graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
            graphic_data=np.array(corners, np.float32),
            source_image=hd.sr.SourceImageForRegion(
                referenced_sop_class_uid=reference.ReferencedSOPClassUID,
                referenced_sop_instance_uid=reference.ReferencedSOPInstanceUID,
                referenced_frame_numbers=None if frame is None else [int(frame)],
            ),
        )


def _whole_series(items: Sequence[Measurement | Classification], context: Context) -> Group:
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(WHOLE_SERIES, context),
        algorithm_id=provenance.algorithm_content(context.provenance),
        measurements=_measurements([i for i in items if isinstance(i, Measurement)]),
    )
    _append(group, _series_item(context.source))
    for sentence in _unmeasured(i for i in items if isinstance(i, Measurement)):
        _append(group, sentence)
    for item in items:
        if isinstance(item, Classification):
            _append(group, _classification(item))
    return group


def _common(finding: Segment | Detection, context: Context) -> dict[str, Any]:
    """The arguments that highdicom's templates for all kinds of groups share."""
    anatomical = finding.category.value in seg.ANATOMICAL_STRUCTURES
    side = provenance.concept(finding.laterality) if finding.laterality else None
    site = hd.sr.FindingSite(provenance.concept(finding.kind), laterality=side)
    return {
        "finding_category": provenance.concept(finding.category),
        "finding_type": provenance.concept(finding.kind),
        "finding_sites": [site] if anatomical else None,
        "algorithm_id": provenance.algorithm_content(context.provenance),
        "measurements": _measurements(finding.measurements),
    }


def _finish(group: Group, finding: Segment | Detection, context: Context) -> None:
    anatomical = finding.category.value in seg.ANATOMICAL_STRUCTURES
    if finding.laterality is not None and not anatomical:
        _append(group, _code_item(LATERALITY, finding.laterality))
    for item in _unmeasured(finding.measurements):
        _append(group, item)
    for classification in finding.classifications:
        _append(group, _classification(classification))


def _tracking(key: str, context: Context) -> hd.sr.TrackingIdentifier:
    analyzer = context.provenance.analyzer
    return hd.sr.TrackingIdentifier(
        uid=uids.tracking_uid(context.source, analyzer, key),
        identifier=seg.tracking_id(analyzer, key),
    )


def _measurements(measurements: Sequence[Measurement]) -> list[hd.sr.Measurement] | None:
    return [_measurement(item) for item in measurements if math.isfinite(item.value)] or None


def _measurement(measurement: Measurement) -> hd.sr.Measurement:
    made = hd.sr.Measurement(
        name=provenance.concept(measurement.name),
        value=measurement.value,
        unit=provenance.concept(measurement.unit),
        derivation=provenance.concept(measurement.derivation) if measurement.derivation else None,
    )
    _write(made[0], numbers.shown(measurement.value), numbers.kept(measurement.value))
    return made


def _write(item: Dataset, shown: float, kept: float) -> None:
    measured = item.MeasuredValueSequence[0]
    measured.NumericValue = numbers.written(shown)
    measured.FloatingPointValue = kept


def _unmeasured(measurements: Iterable[Measurement]) -> list[hd.sr.ContentItem]:
    """A sentence for every number that is none: readers fail on a NUM without a value."""
    return [
        text_item(COMMENT, statements.not_measured(item))
        for item in measurements
        if not math.isfinite(item.value)
    ]


def _classification(item: Classification) -> hd.sr.ContentItem:
    answer = _code_item(item.question, item.answer)
    children = []
    if item.probability is not None:
        point = item.operating_point
        limit = point.threshold if point is not None else None
        children.append(_certainty(item.probability, HAS_PROPERTIES, limit))
    if item.operating_point is not None:
        children += _operating_point(item.operating_point)
    children += [text_item(COMMENT, reason, INFERRED_FROM) for reason in item.reasons]
    if children:
        answer.ContentSequence = hd.sr.ContentSequence(children)
    return answer


def _operating_point(point: OperatingPoint) -> list[hd.sr.ContentItem]:
    return [
        _percentage(THRESHOLD, numbers.shown(point.threshold * 100), HAS_PROPERTIES),
        _percentage(SENSITIVITY, numbers.shown(point.sensitivity * 100), HAS_PROPERTIES),
        _percentage(SPECIFICITY, numbers.shown(point.specificity * 100), HAS_PROPERTIES),
        text_item(COMMENT, f"Measured on {point.evaluated_on}.", HAS_PROPERTIES),
    ]


def _certainty(
    probability: float, relation: hd.sr.RelationshipTypeValues, threshold: float | None = None
) -> hd.sr.ContentItem:
    percent = numbers.certainty_percent(probability, threshold)
    return _percentage(CERTAINTY, percent, relation)


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


def statement_item(statement: Statement) -> hd.sr.ContentItem:
    """A coded conclusion; what it was inferred from stands below it: rule, values, source."""
    item = _code_item(CONCLUSION, statement.conclusion)
    item.ContentSequence = hd.sr.ContentSequence(
        [
            text_item(COMMENT, statement.text, HAS_PROPERTIES),
            text_item(COMMENT, f"Rule: {statement.rule}.", INFERRED_FROM),
            *(text_item(COMMENT, reason, INFERRED_FROM) for reason in statement.because),
            text_item(COMMENT, f"Source: {statement.source}", INFERRED_FROM),
        ]
    )
    return item


def _code_item(name: Code, value: Code) -> hd.sr.ContentItem:
    return hd.sr.CodeContentItem(
        name=provenance.concept(name),
        value=provenance.concept(value),
        relationship_type=CONTAINS,
    )


def text_item(
    name: Code, value: str, relation: hd.sr.RelationshipTypeValues = CONTAINS
) -> hd.sr.ContentItem:
    """A text content item, below a container if not said otherwise."""
    return hd.sr.TextContentItem(
        name=provenance.concept(name), value=value, relationship_type=relation
    )


def _series_item(source: Source) -> hd.sr.ContentItem:
    return hd.sr.UIDRefContentItem(
        name=provenance.concept(SERIES_UID),
        value=source.headers[0].SeriesInstanceUID,
        relationship_type=CONTAINS,
    )


def _append(group: Group, item: hd.sr.ContentItem) -> None:
    group[0].ContentSequence.append(item)
