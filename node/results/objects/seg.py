"""Segmentation findings as DICOM Segmentation objects (PS3.3 A.51, BINARY).

Owns the numbering of segments in the object: structures without a voxel are dropped, the rest
are numbered 1..n in the order of the finding. Whoever refers to a segment finds its number by
the tracking UID, in the object itself.

highdicom makes an object of one pixel a structure; the frames are prepared around the one of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from analyzers.contract import Code, Segment, Segmentation, Volume
from node.results import presence, uids
from node.results.errors import EmptySegmentation, FindingsContradictImages
from node.results.modules import copied, planes, provenance, sites
from node.results.modules.source import Provenance
from node.results.objects import frames
from node.results.objects.frames import Groups, Layout
from node.results.prepared import Prepared, prepared
from node.results.series_numbers import SeriesPlace
from node.series.source import Source


@dataclass(frozen=True, slots=True)
class Encoding:
    """What tells one way to encode structures from another; ``role`` is that of its UIDs."""

    kind: hd.seg.SegmentationTypeValues
    role: str
    transfer_syntax: UID = ExplicitVRLittleEndian


BINARY = Encoding(hd.seg.SegmentationTypeValues.BINARY, "seg")


def build(
    source: Source,
    segmentation: Segmentation,
    provenance_: Provenance,
    place: SeriesPlace,
) -> Prepared:
    """The segmentation as a data set with file meta, ready to be written.

    Frames without a voxel are left out. Raises ``EmptySegmentation`` when no structure has a voxel.
    """
    volume = volume_of(source, segmentation)
    areas = presence.areas(segmentation)
    columns = np.flatnonzero(areas.any(axis=0))
    present = [segmentation.segments[column] for column in columns]
    if not present:
        raise EmptySegmentation("no structure of the segmentation has a voxel")
    made = template(BINARY, source, volume, segmentation.title, present, provenance_, place)
    made.SegmentsOverlap = "YES" if overlap(segmentation) else "NO"
    laid = frames.layout(source, areas[:, columns])
    masks = partial(_masks, segmentation, present, laid)
    pixels = partial(frames.packed, masks, volume.shape[1] * volume.shape[2], len(laid.frames))
    return filled(made, source, volume, laid, pixels)


def volume_of(source: Source, segmentation: Segmentation) -> Volume:
    """The grid on which the structures lie.

    Raises ``FindingsContradictImages`` where they do not, or are labelled in another type.
    """
    shape = source.volume.shape if source.volume is not None else None
    if source.volume is None or any(one.shape != shape for one in segmentation.layers):
        raise FindingsContradictImages("the labels do not lie on the grid of the images")
    if any(one.dtype not in (np.uint8, np.uint16) for one in segmentation.layers):
        raise FindingsContradictImages("the labels are neither of type uint8 nor uint16")
    return source.volume


def overlap(segmentation: Segmentation) -> bool:
    """Whether a voxel belongs to more than one structure."""
    if not segmentation.further:
        return False
    slices = zip(*segmentation.layers, strict=True)
    return any(np.count_nonzero(np.stack(one), axis=0).max(initial=0) > 1 for one in slices)


def segment_number(dataset: Dataset, tracking_uid: str) -> int | None:
    """The number of the segment with this tracking UID in the object; None if it has none."""
    for item in dataset.SegmentSequence:
        if item.get("TrackingUID") == tracking_uid:
            return int(item.SegmentNumber)
    return None


def tracking_id(analyzer: str, key: str) -> str:
    """What a person reads where the tracking UID is meant."""
    return f"{analyzer}:{key}"


def _masks(
    segmentation: Segmentation, present: Sequence[Segment], laid: Layout
) -> Iterator[NDArray[np.bool_]]:
    for frame in laid.frames:
        yield segmentation.plane(present[frame.segment - 1], frame.plane)


# --- shared with other encodings of structures ----------------------------------------------------


def filled(
    made: Dataset,
    source: Source,
    volume: Volume,
    laid: Layout,
    pixels: Callable[[], Iterable[bytes]],
) -> Prepared:
    """The template with the frames of the object."""
    made.Rows, made.Columns = volume.shape[1:]
    made.NumberOfFrames = len(laid.frames)
    if laid.is_volume:
        made.DimensionOrganizationType = "3D"
    groups = Groups(made.PerFrameFunctionalGroupsSequence[0], source, laid)

    def tail() -> Iterator[bytes]:
        yield groups.element()
        yield from pixels()

    return prepared(made, frames.PER_FRAME, tail)


def template(
    encoding: Encoding,
    source: Source,
    volume: Volume,
    title: str,
    present: Sequence[Segment],
    provenance_: Provenance,
    place: SeriesPlace,
) -> Dataset:
    """The object with one frame of one pixel: all but its frames."""
    (stand_in,) = planes.stand_ins(source, volume, 1)
    stand_in.Rows = stand_in.Columns = 1
    pixel = Drawn([stand_in], np.ones((1, 1, 1), np.uint8))
    return by_highdicom(encoding, source, pixel, title, present, provenance_, place)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pixels, and stand-ins for the images that they were drawn on."""

    images: list[Dataset]
    pixels: NDArray[Any]


def by_highdicom(
    encoding: Encoding,
    source: Source,
    drawn: Drawn,
    title: str,
    present: Sequence[Segment],
    provenance_: Provenance,
    place: SeriesPlace,
) -> Dataset:
    """The object with frames of these pixels, all of them made by highdicom."""
    text = provenance.text(title)
    dataset: Dataset = hd.seg.Segmentation(
        source_images=drawn.images,
        pixel_array=drawn.pixels,
        segmentation_type=encoding.kind,
        segment_descriptions=[
            _description(source, segment, number, provenance_)
            for number, segment in enumerate(present, start=1)
        ],
        series_instance_uid=uids.object_uid(
            provenance_.key, f"{encoding.role}-series", place.index
        ),
        series_number=place.series_number,
        sop_instance_uid=uids.object_uid(provenance_.key, encoding.role, place.index),
        instance_number=1,
        manufacturer=provenance.MANUFACTURER,
        manufacturer_model_name=provenance_.analyzer,
        software_versions=provenance_.analyzer_version,
        device_serial_number=provenance.serial_number(provenance_),
        content_label="SEGMENTATION",
        content_description=text,
        series_description=provenance.series_title(provenance_, text),
        transfer_syntax_uid=encoding.transfer_syntax,
        omit_empty_frames=True,
    )
    part = copied.of(source.headers[0], "BodyPartExamined")
    if part is not None and not part.is_empty:
        dataset["BodyPartExamined"] = part
    dataset.ContentCreatorName = ""
    if "FrameOfReferenceUID" not in dataset:
        orientation = copied.of(source.headers[0], "PatientOrientation")
        dataset.PatientOrientation = "" if orientation is None else orientation.value
    organization = uids.object_uid(provenance_.key, f"{encoding.role}-dimensions", place.index)
    planes.replace_dimension_organization(dataset, organization)
    provenance.stamp(dataset, source, provenance_)
    dataset.file_meta.TransferSyntaxUID = encoding.transfer_syntax
    planes.list_sources(dataset, source)
    return dataset


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
