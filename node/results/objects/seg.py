"""Segmentation findings as DICOM Segmentation objects (PS3.3 A.51, BINARY).

Owns the numbering of segments in the object: structures without a voxel are dropped, the rest
are numbered 1..n in the order of the finding. Whoever refers to a segment finds its number by
the tracking UID, in the object itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from analyzers.contract import Code, Segment, Segmentation, Volume
from node.results import uids
from node.results.errors import EmptySegmentation, FindingsContradictImages
from node.results.modules import copied, planes, provenance, sites
from node.results.modules.source import Provenance
from node.results.presence import present_segments
from node.results.series_numbers import SeriesPlace
from node.series.source import Source


def build(
    source: Source,
    segmentation: Segmentation,
    provenance_: Provenance,
    place: SeriesPlace,
    present: Sequence[Segment] | None = None,
) -> Dataset:
    """The segmentation as a data set with file meta, ready to be written.

    Frames without a voxel are left out. ``present`` is what ``present_segments`` gave, where the
    caller knows it already. Raises ``EmptySegmentation`` when no structure has a voxel.
    """
    volume = _volume(source, segmentation)
    present = present_segments(segmentation) if present is None else present
    if not present:
        raise EmptySegmentation("no structure of the segmentation has a voxel")
    dataset = _encode(source, volume, segmentation, present, provenance_, place)
    planes.refer_to_source(dataset, source)
    organization = uids.object_uid(provenance_.key, "seg-dimensions", place.index)
    planes.replace_dimension_organization(dataset, organization)
    provenance.stamp(dataset, source, provenance_)
    return dataset


def _volume(source: Source, segmentation: Segmentation) -> Volume:
    shape = source.volume.shape if source.volume is not None else None
    if source.volume is None or any(one.shape != shape for one in segmentation.layers):
        raise FindingsContradictImages("the labels do not lie on the grid of the images")
    if any(one.dtype not in (np.uint8, np.uint16) for one in segmentation.layers):
        raise FindingsContradictImages("the labels are neither of type uint8 nor uint16")
    return source.volume


def segment_number(dataset: Dataset, tracking_uid: str) -> int | None:
    """The number of the segment with this tracking UID in the object; None if it has none."""
    for item in dataset.SegmentSequence:
        if item.get("TrackingUID") == tracking_uid:
            return int(item.SegmentNumber)
    return None


def tracking_id(analyzer: str, key: str) -> str:
    """What a person reads where the tracking UID is meant."""
    return f"{analyzer}:{key}"


def _encode(
    source: Source,
    volume: Volume,
    segmentation: Segmentation,
    present: Sequence[Segment],
    provenance_: Provenance,
    place: SeriesPlace,
) -> Dataset:
    title = provenance.text(segmentation.title)
    dataset: Dataset = hd.seg.Segmentation(
        source_images=planes.stand_ins(source, volume),
        pixel_array=_pixels(segmentation, present),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(source, segment, number, provenance_)
            for number, segment in enumerate(present, start=1)
        ],
        series_instance_uid=uids.object_uid(provenance_.key, "seg-series", place.index),
        series_number=place.series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, "seg", place.index),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        manufacturer_model_name=provenance_.analyzer,
        software_versions=provenance_.analyzer_version,
        device_serial_number=provenance.serial_number(provenance_),
        content_label="SEGMENTATION",
        content_description=title,
        series_description=provenance.text(f"{provenance_.analyzer_title}: {title}"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
    )
    part = copied.of(source.headers[0], "BodyPartExamined")
    if part is not None and not part.is_empty:
        dataset["BodyPartExamined"] = part
    dataset.ContentCreatorName = ""
    if "FrameOfReferenceUID" not in dataset:
        orientation = copied.of(source.headers[0], "PatientOrientation")
        dataset.PatientOrientation = "" if orientation is None else orientation.value
    return dataset


def _pixels(segmentation: Segmentation, present: Sequence[Segment]) -> NDArray[Any]:
    if segmentation.further:
        return np.stack([segmentation.mask(segment) for segment in present], axis=-1)
    table = np.zeros(65536, np.uint8 if len(present) < 256 else np.uint16)
    for number, segment in enumerate(present, start=1):
        table[segment.number] = number
    return table[segmentation.labels]


def _description(
    source: Source, segment: Segment, number: int, provenance_: Provenance
) -> hd.seg.SegmentDescription:
    site = sites.site_of(segment, source.headers[0])
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=provenance.text(segment.label),
        segmented_property_category=provenance.concept(segment.category),
        segmented_property_type=provenance.concept(segment.kind),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=provenance.algorithm_sequence(provenance_),
        tracking_uid=uids.tracking_uid(source, provenance_.analyzer, segment.key),
        tracking_id=tracking_id(provenance_.analyzer, segment.key),
        anatomic_regions=[provenance.concept(site)] if site else None,
        display_color=hd.color.CIELabColor.from_rgb(*segment.rgb),
    )
    words = sites.in_words(segment, source.headers[0])
    description.SegmentDescription = provenance.text(words, 1024)
    if segment.laterality is not None:
        _add_laterality(description, segment.laterality)
    return description


def _add_laterality(description: Dataset, laterality: Code) -> None:
    """As a modifier of the property type and of the region (PS3.3 C.8.20.2)."""
    item = description.SegmentedPropertyTypeCodeSequence[0]
    item.SegmentedPropertyTypeModifierCodeSequence = [provenance.concept(laterality)]
    for region in description.get("AnatomicRegionSequence", []):
        region.AnatomicRegionModifierSequence = [provenance.concept(laterality)]
