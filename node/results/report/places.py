"""Where on the images a finding is looked at: outlines, boxes, or the whole of one image.

Viewers that read no segments jump there, and draw it; OHIF shows a report only if each of its
findings has coordinates. A structure, and what has no number, has its place in a group of its own
with the same tracking UID (PS3.16 TID 1410); a number of the whole series says itself where it was
taken (TID 320), which TID 1411 does not allow of a structure's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from analyzers.contract import Code, Detection, Findings, Segment, Segmentation
from node.results.errors import FindingsContradictImages
from node.results.modules import contours, planes, provenance
from node.results.presence import areas
from node.results.words import sentences
from node.series.source import Source
from storage.header import values

SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")
BRACKET = 20
"""How many of its arms are as long as the image is wide."""
LEAST_POINTS = 6
"""Of a closed line. OHIF takes one of four corners for a rectangle that is to be edited, and then
shows neither its numbers nor the other findings of the report."""

Corners = NDArray[np.float32]
"""(points, 2): column and row, 0 at the outer corner of the first pixel (PS3.3 C.18.6.1.2)."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed line round the largest part of a structure, on the slice where it is largest."""

    index: int
    corners: Corners


def key_slices(findings: Findings) -> dict[tuple[int, str], int]:
    """Where each structure is largest, and each box in its middle: by the index of the finding and
    the key, which a structure and the box round it may share."""
    found: dict[tuple[int, str], int] = {}
    for number, item in enumerate(findings.items):
        if isinstance(item, Segmentation):
            largest = areas(item).argmax(axis=0).tolist()
            pairs = zip(item.segments, largest, strict=True)
            found |= {(number, one.key): at for one, at in pairs}
        elif isinstance(item, Detection):
            found[number, item.key] = middle_slice(item)
    return found


def outline(segmentation: Segmentation, segment: Segment, index: int) -> Outline:
    """The outline of a structure, on a slice where it has a voxel."""
    return Outline(index, _around(segmentation.plane(segment, index)))


def _around(mask: NDArray[np.bool_]) -> Corners:
    """Round the largest part."""
    lines = (part.outer for part in contours.parts(mask))
    return max(lines, key=lambda line: (cv2.contourArea(line), len(line)))


def outlined(found: Outline, source: Source) -> hd.sr.ImageRegion:
    """The region that an outline encloses."""
    return _region(found.corners, planes.image_reference(source, found.index))


def boxes(detection: Detection, source: Source) -> Iterator[hd.sr.ImageRegion]:
    """The box as one rectangle on each image that it crosses.

    Raises
    ------
    FindingsContradictImages
    """
    (s0, _, _), (s1, _, _) = detection.first, detection.last
    corners = _box_corners(detection, source)
    for index in range(s0, s1 + 1):
        yield _region(corners, planes.image_reference(source, index))


def middle_slice(detection: Detection) -> int:
    """The middle one of the slices that a box crosses."""
    return (detection.first[0] + detection.last[0]) // 2


def box_in_the_middle(detection: Detection, source: Source) -> hd.sr.ImageRegion:
    """The box on the middle one of the images that it crosses.

    Raises
    ------
    FindingsContradictImages
    """
    middle = middle_slice(detection)
    corners = _box_corners(detection, source)
    return _region(corners, planes.image_reference(source, middle))


def _box_corners(detection: Detection, source: Source) -> Corners:
    (s0, r0, c0), (s1, r1, c1) = detection.first, detection.last
    shape = source.volume.shape if source.volume is not None else (0, 0, 0)
    if not all(0 <= a <= b < n for a, b, n in zip((s0, r0, c0), (s1, r1, c1), shape, strict=True)):
        raise FindingsContradictImages(f"the box of {detection.key} lies outside of the images")
    return _rectangle(r0, c0, r1 + 1, c1 + 1)


def source_of_measurement(region: hd.sr.ImageRegion) -> hd.sr.ScoordContentItem:
    """The coordinates as those from which a number was inferred (PS3.16 TID 320)."""
    item = hd.sr.ScoordContentItem(
        name=provenance.concept(SOURCE_OF_MEASUREMENT),
        graphic_type=region.graphic_type,
        graphic_data=region.value,
        relationship_type=hd.sr.RelationshipTypeValues.INFERRED_FROM,
    )
    item.ContentSequence = hd.sr.ContentSequence(region.ContentSequence)
    return item


def whole_image(source: Source) -> hd.sr.ImageRegion | None:
    """All of the middle image: the place of what holds for the series. None without any image."""
    header, reference = _middle(source)
    rows, columns = (values.known(values.whole(header, one)) for one in ("Rows", "Columns"))
    if not rows or not columns:
        return None
    return _region(_rectangle(0, 0, rows, columns), reference)


def beside_image(source: Source) -> hd.sr.ImageRegion | None:
    """A bracket along the middle image: where the numbers of the series are shown.

    Viewers write them to the right of the outermost point; right of the whole image they would be
    cut off. None without any image.
    """
    header, reference = _middle(source)
    rows, columns = (values.known(values.whole(header, one)) for one in ("Rows", "Columns"))
    if not rows or not columns:
        return None
    arm = columns / BRACKET
    bracket = [(arm, 0), (0, 0), (0, rows), (arm, rows)]
    return _region(np.array(bracket, np.float32), reference)


def image_in_words(source: Source, index: int, language: str) -> str:
    """A slice as viewers number it: "image 118", "frame 12"; empty where it has no number."""
    frame = source.frames[index]
    if frame.number is not None:
        return sentences.FRAME_NUMBER(language, number=frame.number)
    number = values.known(values.whole(source.headers[frame.header], "InstanceNumber"))
    return "" if number is None else sentences.IMAGE_NUMBER(language, number=number)


def _middle(source: Source) -> tuple[Dataset, Dataset]:
    if source.frames:
        index = len(source.frames) // 2
        return source.headers[source.frames[index].header], planes.image_reference(source, index)
    header = source.headers[len(source.headers) // 2]
    reference = planes.instance_reference(header)
    if (values.known(values.whole(header, "NumberOfFrames")) or 1) > 1:
        reference.ReferencedFrameNumber = 1
    return header, reference


def _rectangle(top: int, left: int, bottom: int, right: int) -> Corners:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return np.array(corners, np.float32)


def _with_middles(corners: Corners) -> Corners:
    """The same line, with a point in the middle of each of its sides."""
    middles = (corners[:-1] + corners[1:]) / 2
    between = np.stack([corners[:-1], middles], axis=1).reshape(-1, 2)
    return np.vstack([between, corners[-1:]])


def _region(corners: Corners, reference: Dataset) -> hd.sr.ImageRegion:
    """highdicom is told that it is a CT image: it knows no private SOP class."""
    corners = _with_middles(corners) if len(corners) < LEAST_POINTS else corners
    frame = reference.get("ReferencedFrameNumber")
    frames: Sequence[int] | None = None if frame is None else [int(frame)]
    image = hd.sr.SourceImageForRegion(
        referenced_sop_class_uid=CTImageStorage,
        referenced_sop_instance_uid=reference.ReferencedSOPInstanceUID,
        referenced_frame_numbers=frames,
    )
    region = hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE, graphic_data=corners, source_image=image
    )
    (selected,) = region.ContentSequence
    selected.ReferencedSOPSequence[0].ReferencedSOPClassUID = reference.ReferencedSOPClassUID
    return region
