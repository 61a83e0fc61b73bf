"""Findings as measurement groups of a TID 1500 report (PS3.16 TID 1410, 1411, 1501).

Owns which groups there are, and what each refers to; what stands in them, see ``content_items``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import highdicom as hd
from pydicom.dataset import Dataset

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    Segment,
    Segmentation,
)
from node.results import certainty, uids
from node.results.modules import provenance, sites
from node.results.modules.source import Provenance
from node.results.objects import seg
from node.results.report import content_items, places, statements
from node.series.source import Source

FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
ABSENT = Code("272519000", "SCT", "Absent")
LATERALITY = Code("272741003", "SCT", "Laterality")
SERIES_UID = Code("112002", "DCM", "Series Instance UID")

WHOLE_SERIES = "whole_series"
"""Finding key of what holds for the series and for no place in it."""

Group = (
    hd.sr.MeasurementsAndQualitativeEvaluations
    | hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True, slots=True)
class Context:
    """What every group needs beside its finding."""

    source: Source
    provenance: Provenance
    segs: Mapping[int, Dataset]
    """The Segmentation objects, by the index of the finding they encode."""
    slices: Mapping[tuple[int, str], int] = field(default_factory=dict)
    """On which slice a structure or a box is looked at, by the index of its finding and its key."""
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
                region = _outline(segment, index, item, context)
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
            *content_items.answers(segment.classifications, context.language),
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


def _outline(
    segment: Segment, index: int, segmentation: Segmentation, context: Context
) -> hd.sr.ImageRegion:
    found = places.outline(segmentation, segment, context.slices[index, segment.key])
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
    said = content_items.code_item(content_items.PRESENCE, ABSENT)
    of = [content_items.code_item(FINDING, segment.kind, content_items.HAS_PROPERTIES)]
    site = sites.site_of(segment, context.source.headers[0])
    if site is not None and site != segment.kind:
        of.append(content_items.code_item(FINDING_SITE, site, content_items.HAS_PROPERTIES))
    if segment.laterality is not None:
        of.append(
            content_items.code_item(LATERALITY, segment.laterality, content_items.HAS_PROPERTIES)
        )
    of.append(
        content_items.text_item(
            content_items.COMMENT,
            statements.not_found(segment, context.language),
            content_items.HAS_PROPERTIES,
        )
    )
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
        measurements=content_items.measurements_of(measured, places.beside_image(context.source)),
    )
    _append(group, _series_item(context.source))
    for sentence in content_items.unmeasured(measured, context.language):
        _append(group, sentence)
    answers = [i for i in items if isinstance(i, Classification)]
    for answer in content_items.answers(answers, context.language):
        _append(group, answer)
    return [group] if content_items.is_measured(measured) else [*whole_image(context), group]


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
        "measurements": content_items.measurements_of(finding.measurements),
    }


def _finish(group: Group, finding: Segment | Detection, context: Context) -> None:
    has_site = sites.site_of(finding, context.source.headers[0]) is not None
    if finding.laterality is not None and not has_site:
        _append(group, content_items.code_item(LATERALITY, finding.laterality))
    if certainty.is_possible(finding):
        _append(group, content_items.code_item(content_items.PRESENCE, certainty.POSSIBLE))
    if isinstance(finding, Detection):
        for item in content_items.certainty_item(
            certainty.percent_of_box(finding), content_items.CONTAINS
        ):
            _append(group, item)
    for item in content_items.unmeasured(finding.measurements, context.language):
        _append(group, item)
    for answer in content_items.answers(finding.classifications, context.language):
        _append(group, answer)


def _tracking(key: str, context: Context) -> hd.sr.TrackingIdentifier:
    analyzer = context.provenance.analyzer
    return hd.sr.TrackingIdentifier(
        uid=uids.tracking_uid(context.source, analyzer, key),
        identifier=seg.tracking_id(analyzer, key),
    )


def _series_item(source: Source) -> hd.sr.ContentItem:
    return hd.sr.UIDRefContentItem(
        name=provenance.concept(SERIES_UID),
        value=source.headers[0].SeriesInstanceUID,
        relationship_type=content_items.CONTAINS,
    )


def _append(group: Group, item: hd.sr.ContentItem) -> None:
    group[0].ContentSequence.append(item)
