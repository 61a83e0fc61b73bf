"""Findings as measurement groups of a TID 1500 report (PS3.16 TID 1410, 1411, 1501).

Owns the content items below "Imaging Measurements". Units are UCUM. Numeric Value (0040,A30A) is
what viewers show and has three significant digits; Floating Point Value (0040,A161) has six.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import highdicom as hd
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
from node.results import certainty, uids
from node.results.modules import provenance, sites
from node.results.modules.source import Provenance
from node.results.objects import seg
from node.results.report import places, statements
from node.results.words import numbers, sentences
from node.series.source import Source

PRESENCE = Code("121052", "DCM", "Presence of property")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
ABSENT = Code("272519000", "SCT", "Absent")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COMMENT = Code("121106", "DCM", "Comment")
LATERALITY = Code("272741003", "SCT", "Laterality")
SERIES_UID = Code("112002", "DCM", "Series Instance UID")
CONCLUSION = Code("121077", "DCM", "Conclusion")
THRESHOLD = Code("THRESHOLD", "99WETREAD", "Probability from which presence is stated")
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
    slices: Mapping[str, int] = field(default_factory=dict)
    """On which slice a structure or a box is looked at, by its key."""
    by_regions: bool = False
    """Whether structures are regions of images, instead of segments of a Segmentation object."""

    @property
    def language(self) -> str:
        return self.provenance.maker.language


def measurement_groups(findings: Findings, context: Context) -> list[Group]:
    """What was measured of every structure and box, where they are looked at, and last what holds
    for the whole series; at least a place: OHIF shows no report without one.

    Structures come first, in the order of their segments: Slicer takes one for the other by number.
    """
    structures: list[Group] = []
    shown: list[Group] = []
    for index, item in enumerate(findings.items):
        if isinstance(item, Segmentation):
            for segment in item.segments:
                if _number(segment, index, context) is None:
                    continue
                region = _outline(segment, item, context)
                if context.by_regions:
                    shown.append(_measured(segment, region, context))
                else:
                    structures.append(_segment(segment, index, context))
                    shown.append(_place(segment, region, context))
        elif isinstance(item, Detection):
            shown += _detection(item, context)
    groups = structures + shown
    whole = [i for i in findings.items if isinstance(i, Measurement | Classification)]
    if whole:
        groups += _whole_series(whole, context)
    return groups or whole_image(context)


def _is_measured(measurements: Iterable[Measurement]) -> bool:
    """Whether there is a number, which says itself where it was taken."""
    return any(math.isfinite(one.value) for one in measurements)


def absent_structures(findings: Findings, context: Context) -> list[hd.sr.ContentItem]:
    """A statement for each structure that was looked for and is not there: it has no place."""
    return [
        item
        for index, found in enumerate(findings.items)
        if isinstance(found, Segmentation)
        for segment in found.segments
        if _number(segment, index, context) is None
        for item in (
            _absent(segment, context),
            *_classifications(segment.classifications, context.language),
        )
    ]


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


def _number(segment: Segment, index: int, context: Context) -> int | None:
    """Its number in the Segmentation object; None where it has no voxel."""
    encoded = context.segs.get(index)
    tracked = _tracking(segment.key, context)[1].value
    return None if encoded is None else seg.segment_number(encoded, tracked)


def _segment(segment: Segment, index: int, context: Context) -> Group:
    encoded, number = context.segs[index], _number(segment, index, context)
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(segment.key, context),
        referenced_segment=hd.sr.ReferencedSegment(
            sop_class_uid=encoded.SOPClassUID,
            sop_instance_uid=encoded.SOPInstanceUID,
            segment_number=number or 0,
            source_series=hd.sr.SourceSeriesForSegmentation(
                context.source.headers[0].SeriesInstanceUID
            ),
        ),
        **_common(segment, context),
    )
    _finish(group, segment, context)
    return group


def _outline(segment: Segment, segmentation: Segmentation, context: Context) -> hd.sr.ImageRegion:
    found = places.outline(segmentation, segment, context.slices[segment.key])
    return places.outlined(found, context.source)


def _measured(
    finding: Segment | Detection, region: hd.sr.ImageRegion, context: Context
) -> hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """All that is said of a finding, at its region."""
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding.key, context),
        referenced_region=region,
        **_common(finding, context),
    )
    _finish(group, finding, context)
    return group


def _place(
    finding: Segment | Detection, region: hd.sr.ImageRegion, context: Context
) -> hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """Where the finding is looked at; its numbers stand in the group with the same tracking UID."""
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding.key, context),
        referenced_region=region,
        **_common(finding, context) | {"measurements": None},
    )


def whole_image(context: Context) -> list[Group]:
    """The place of what holds for the whole series; none where there is no image."""
    region = places.whole_image(context.source)
    if region is None:
        return []
    return [
        hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(WHOLE_SERIES, context),
            referenced_region=region,
            algorithm_id=provenance.algorithm_content(context.provenance),
        )
    ]


def _absent(segment: Segment, context: Context) -> hd.sr.ContentItem:
    said = _code_item(PRESENCE, ABSENT)
    of = [_code_item(FINDING, segment.kind, HAS_PROPERTIES)]
    site = sites.site_of(segment, context.source.headers[0])
    if site is not None and site != segment.kind:
        of.append(_code_item(FINDING_SITE, site, HAS_PROPERTIES))
    if segment.laterality is not None:
        of.append(_code_item(LATERALITY, segment.laterality, HAS_PROPERTIES))
    of.append(text_item(COMMENT, statements.not_found(segment, context.language), HAS_PROPERTIES))
    said.ContentSequence = hd.sr.ContentSequence(of)
    return said


def _detection(detection: Detection, context: Context) -> list[Group]:
    middle = places.box_in_the_middle(detection, context.source)
    if context.by_regions or len(context.source.frames) == 1:
        return [_measured(detection, middle, context)]
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(detection.key, context),
        referenced_regions=list(places.boxes(detection, context.source)),
        **_common(detection, context),
    )
    _finish(group, detection, context)
    return [_place(detection, middle, context), group]


def _whole_series(items: Sequence[Measurement | Classification], context: Context) -> list[Group]:
    """Each number says that it was taken of the images; without any, the place stands beside."""
    measured = [i for i in items if isinstance(i, Measurement)]
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(WHOLE_SERIES, context),
        algorithm_id=provenance.algorithm_content(context.provenance),
        measurements=_measurements(measured, places.beside_image(context.source)),
    )
    _append(group, _series_item(context.source))
    for sentence in _unmeasured(measured, context.language):
        _append(group, sentence)
    answers = [i for i in items if isinstance(i, Classification)]
    for answer in _classifications(answers, context.language):
        _append(group, answer)
    return [group] if _is_measured(measured) else [*whole_image(context), group]


def _common(finding: Segment | Detection, context: Context) -> dict[str, Any]:
    """The arguments that highdicom's templates for all kinds of groups share."""
    site = sites.site_of(finding, context.source.headers[0])
    side = provenance.concept(finding.laterality) if finding.laterality else None
    placed = [hd.sr.FindingSite(provenance.concept(site), laterality=side)] if site else None
    return {
        "finding_category": provenance.concept(finding.category),
        "finding_type": provenance.concept(finding.kind),
        "finding_sites": placed,
        "algorithm_id": provenance.algorithm_content(context.provenance),
        "measurements": _measurements(finding.measurements),
    }


def _finish(group: Group, finding: Segment | Detection, context: Context) -> None:
    has_site = sites.site_of(finding, context.source.headers[0]) is not None
    if finding.laterality is not None and not has_site:
        _append(group, _code_item(LATERALITY, finding.laterality))
    if certainty.is_possible(finding):
        _append(group, _code_item(PRESENCE, certainty.POSSIBLE))
    if isinstance(finding, Detection):
        for item in _certainty(certainty.percent_of_box(finding), CONTAINS):
            _append(group, item)
    for item in _unmeasured(finding.measurements, context.language):
        _append(group, item)
    for answer in _classifications(finding.classifications, context.language):
        _append(group, answer)


def _tracking(key: str, context: Context) -> hd.sr.TrackingIdentifier:
    analyzer = context.provenance.analyzer
    return hd.sr.TrackingIdentifier(
        uid=uids.tracking_uid(context.source, analyzer, key),
        identifier=seg.tracking_id(analyzer, key),
    )


def _measurements(
    measurements: Sequence[Measurement], region: hd.sr.ImageRegion | None = None
) -> list[hd.sr.Measurement] | None:
    finite = [item for item in measurements if math.isfinite(item.value)]
    return [_measurement(item, region) for item in finite] or None


def _measurement(measurement: Measurement, region: hd.sr.ImageRegion | None) -> hd.sr.Measurement:
    """A number; below it first where it was taken (PS3.16 TID 320), for those who show that."""
    made = hd.sr.Measurement(
        name=provenance.concept(measurement.name),
        value=measurement.value,
        unit=provenance.concept(measurement.unit),
        derivation=provenance.concept(measurement.derivation) if measurement.derivation else None,
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


def _unmeasured(measurements: Iterable[Measurement], language: str) -> list[hd.sr.ContentItem]:
    """A sentence for every number that is none: readers fail on a NUM without a value."""
    return [
        text_item(COMMENT, statements.not_measured(item, language))
        for item in measurements
        if not math.isfinite(item.value)
    ]


def _classifications(items: Iterable[Classification], language: str) -> list[hd.sr.ContentItem]:
    return [_classification(item, language) for item in items]


def _classification(item: Classification, language: str) -> hd.sr.ContentItem:
    answer = _code_item(item.question, item.answer)
    children = _certainty(certainty.percent_of(item), HAS_PROPERTIES)
    if certainty.is_possible(item) and item.answer != certainty.POSSIBLE:
        children.insert(0, _code_item(PRESENCE, certainty.POSSIBLE, HAS_PROPERTIES))
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


def _certainty(
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
    item = _code_item(CONCLUSION, statement.conclusion)
    item.ContentSequence = hd.sr.ContentSequence(
        [
            text_item(COMMENT, statement.text, HAS_PROPERTIES),
            text_item(COMMENT, sentences.RULE(language, rule=statement.rule), INFERRED_FROM),
            *(text_item(COMMENT, reason, INFERRED_FROM) for reason in statement.because),
            text_item(COMMENT, sentences.SOURCE(language, source=statement.source), INFERRED_FROM),
        ]
    )
    return item


def _code_item(
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


def _series_item(source: Source) -> hd.sr.ContentItem:
    return hd.sr.UIDRefContentItem(
        name=provenance.concept(SERIES_UID),
        value=source.headers[0].SeriesInstanceUID,
        relationship_type=CONTAINS,
    )


def _append(group: Group, item: hd.sr.ContentItem) -> None:
    group[0].ContentSequence.append(item)
