"""RT Structure Set (PS3.3 A.19): the outlines of all structures, for those who plan treatments.

A hole is joined with the line round its part by a channel without width, as PS3.3 C.8.8.6.3 asks:
read back, the centres of exactly the structure's pixels lie inside. What a structure is to a plan,
a target or an organ at risk, is for those who plan: only what is an organ is called one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from analyzers import structures
from analyzers.contract import Segment
from node.results import prepared, uids
from node.results.bench import Bench
from node.results.errors import FindingsContradictImages, GateRefused, TooDetailed
from node.results.forms import implicit, marks
from node.results.forms.marks import Structure
from node.results.modules import contours, keyholes, planes, provenance
from node.results.modules.contours import Line
from node.results.series_numbers import Block
from node.results.words import sentences
from node.series.source import Source

NUMBERS = Block(28)
ORGAN = "ORGAN"
_ANATOMICAL = ("91723000", "SCT")
_MOST_ROI_NAME, _MOST_LABEL = 64, 16
MOST_POINTS = 2_000_000
"""Of a structure: 60 MB. A lung on 400 slices of 512 by 512 has 100 000."""
_DIGITS = 4
"""Of millimetres."""


def build(bench: Bench) -> Iterator[Dataset]:
    """One structure set of all structures that have a voxel; none where the images have no place.

    It is written in implicit VR: in explicit VR no line of 2000 points fits (PS3.5 7.1.2).
    """
    source = bench.source
    found = [one for one in marks.of(bench) if isinstance(one, Structure)]
    if not found or planes.plane(source, 0) is None:
        return
    run = bench.provenance
    dataset = Dataset()
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = uids.object_uid(run.key, "structure-set")
    dataset.SeriesInstanceUID = uids.object_uid(run.key, "structure-set-series")
    dataset.SeriesNumber = bench.numbers.next(NUMBERS).series_number
    dataset.InstanceNumber = 1
    dataset.Modality = "RTSTRUCT"
    dataset.OperatorsName = ""
    dataset.SeriesDescription = provenance.series_title(
        run, sentences.STRUCTURE_SET(run.maker.language)
    )
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.StructureSetLabel = provenance.text(run.analyzer_title, _MOST_LABEL)
    dataset.StructureSetName = provenance.text(run.analyzer_title)
    dataset.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    dataset.PositionReferenceIndicator = ""
    dataset.ReferencedFrameOfReferenceSequence = Items([_frame_of_reference(source)])
    numbered = list(enumerate(found, start=1))
    dataset.StructureSetROISequence = Items([_roi(n, one, bench) for n, one in numbered])
    dataset.RTROIObservationsSequence = Items([_observation(n, one) for n, one in numbered])
    provenance.stamp(dataset, source, run)
    dataset.StructureSetDate = dataset.pop("ContentDate").value
    dataset.StructureSetTime = dataset.pop("ContentTime").value
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    yield prepared.prepared(dataset, _ROI_CONTOURS, partial(_tail, dataset, found, source))


def _frame_of_reference(source: Source) -> Dataset:
    used = [source.headers[index] for index in sorted({frame.header for frame in source.frames})]
    series = Dataset()
    series.SeriesInstanceUID = used[0].SeriesInstanceUID
    series.ContourImageSequence = Items([planes.instance_reference(header) for header in used])
    study = Dataset()
    study.ReferencedSOPClassUID = _DETACHED_STUDY
    study.ReferencedSOPInstanceUID = used[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([series])
    item = Dataset()
    item.FrameOfReferenceUID = uids.frame_of_reference_uid(source)
    item.RTReferencedStudySequence = Items([study])
    return item


_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired: what the class of the study is said to be, by custom."""


def _roi(number: int, structure: Structure, bench: Bench) -> Dataset:
    run = bench.provenance
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = uids.frame_of_reference_uid(bench.source)
    item.ROIName = provenance.text(structure.caption.name, _MOST_ROI_NAME)
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = provenance.text(f"{run.analyzer} {run.analyzer_version}")
    return item


def _observation(number: int, structure: Structure) -> Dataset:
    segment = structure.segment
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIIdentificationCodeSequence = Items([_identified(segment)])
    item.RTROIInterpretedType = _interpreted(segment)
    item.ROIInterpreter = ""
    return item


def _identified(segment: Segment) -> Dataset:
    code: Dataset = provenance.concept(segment.kind)
    if segment.laterality is not None:
        side = Dataset()
        side.update(provenance.concept(segment.laterality))
        copied = Dataset()
        copied.update(code)
        copied.SegmentedPropertyTypeModifierCodeSequence = Items([side])
        return copied
    return code


def _interpreted(segment: Segment) -> str:
    """What the table of structures says; for what is not in it, a part of the body is an organ."""
    known = structures.table().get(segment.structure)
    if known is not None:
        return known.interpreted
    is_organ = (segment.category.value, segment.category.scheme) == _ANATOMICAL
    return ORGAN if is_organ else ""


# --- contours -------------------------------------------------------------------------------------

_ROI_CONTOURS = Tag("ROIContourSequence")


def _tail(dataset: Dataset, found: Sequence[Structure], source: Source) -> Iterator[bytes]:
    """The lines, and what stands behind them."""
    items = [_contours(number, one, source) for number, one in enumerate(found, start=1)]
    yield implicit.sequence("ROIContourSequence", items)
    yield implicit.encoded(Dataset({one.tag: one for one in dataset if one.tag > _ROI_CONTOURS}))


def _contours(number: int, structure: Structure, source: Source) -> bytes:
    colour = "\\".join(map(str, structure.caption.rgb))
    return b"".join(
        (
            implicit.element("ROIDisplayColor", colour),
            implicit.sequence("ContourSequence", list(_drawn(structure, source))),
            implicit.element("ReferencedROINumber", str(number)),
        )
    )


def _drawn(structure: Structure, source: Source) -> Iterator[bytes]:
    number = points = 0
    for index in structure.slices:
        image = implicit.encoded(planes.image_reference(source, index))
        shown = implicit.sequence("ContourImageSequence", [image])
        mask = structure.segmentation.plane(structure.segment, index)
        parts = contours.parts(mask, most_points=None)
        points += sum(len(line) for part in parts for line in (part.outer, *part.holes))
        if points > MOST_POINTS:
            raise TooDetailed(
                f"{structure.caption.name}: its outlines have more than {MOST_POINTS} points, as of"
                " noise: no system for planning bears a structure set of them"
            )
        for part in parts:
            number += 1
            yield shown + _contour(number, _in_patient(keyholes.joined(part), index, source))


def _contour(number: int, points: NDArray[np.float64]) -> bytes:
    data = "\\".join([f"{value:.{_DIGITS}f}" for value in points.ravel().tolist()])
    return b"".join(
        (
            implicit.element("ContourGeometricType", "CLOSED_PLANAR"),
            implicit.element("NumberOfContourPoints", str(len(points))),
            implicit.element("ContourNumber", str(number)),
            implicit.element("ContourData", data),
        )
    )


def _in_patient(line: Line, index: int, source: Source) -> NDArray[np.float64]:
    """(points, 3): in mm, each once; the line is closed without saying so."""
    here = _placed_plane(source, index)
    row, column = np.array(here.orientation[:3]), np.array(here.orientation[3:])
    down_mm, along_mm = here.spacing
    placed = line[:-1].astype(np.float64) - 0.5  # PS3.3 C.7.6.2.1.1: from the first pixel's centre
    moved = placed[:, :1] * along_mm * row + placed[:, 1:] * down_mm * column
    points: NDArray[np.float64] = np.array(here.position) + moved
    return points


def _placed_plane(source: Source, index: int) -> planes.ImagePlane:
    here = planes.plane(source, index)
    if here is None:
        raise FindingsContradictImages(f"slice {index} of a series in space has no position")
    return here


# --- read back ------------------------------------------------------------------------------------


def read_back(path: Path, bench: Bench, number: int) -> None:
    """The written lines enclose the centres of exactly the voxels that the structures have.

    Raises ``GateRefused``.
    """
    dataset = pydicom.dcmread(path)
    source = bench.source
    slices = {
        (str(one.ReferencedSOPInstanceUID), one.get("ReferencedFrameNumber")): index
        for index in range(len(source.frames))
        for one in [planes.image_reference(source, index)]
    }
    found = [one for one in marks.of(bench) if isinstance(one, Structure)]
    for structure, item in zip(found, dataset.ROIContourSequence, strict=True):
        lines = _by_slice(item, slices, source)
        if set(lines) != set(structure.slices):
            raise GateRefused(
                "rtstruct", ("a structure has lines on other slices than it has voxels",)
            )
        if not all(_encloses(lines[index], structure, index) for index in lines):
            raise GateRefused(
                "rtstruct", ("the lines of a structure enclose other voxels than it has",)
            )


_DATA = Tag("ContourData")


def _by_slice(
    item: Dataset, slices: Mapping[tuple[str, int | None], int], source: Source
) -> dict[int, list[Line]]:
    lines: dict[int, list[Line]] = {}
    for contour in item.ContourSequence:
        (image,) = contour.ContourImageSequence
        index = slices[str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber")]
        points = np.array(contour.get_item(_DATA).value.split(b"\\"), np.float64).reshape(-1, 3)
        lines.setdefault(index, []).append(_in_pixels(points, index, source))
    return lines


def _in_pixels(points: NDArray[np.float64], index: int, source: Source) -> Line:
    here = _placed_plane(source, index)
    row, column = np.array(here.orientation[:3]), np.array(here.orientation[3:])
    down_mm, along_mm = here.spacing
    away = points - np.array(here.position)
    line = np.stack([away @ row / along_mm, away @ column / down_mm], axis=1) + 0.5
    closed: Line = np.vstack([line, line[:1]]).astype(np.float32)
    return closed


def _encloses(lines: Sequence[Line], structure: Structure, index: int) -> bool:
    mask = structure.segmentation.plane(structure.segment, index)
    return bool(np.array_equal(contours.filled(lines, mask.shape), mask))
