"""The output gate: no object leaves before the written file has been read back and found right.

Owns the conditions. Reads files with pydicom only; what made them is not asked. Every condition
that is broken is named in ``GateRefused``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Registration, Segment, Segmentation
from node.results import uids
from node.results.errors import GateRefused
from node.results.gate import inherited, readback, required, validator, wellformed
from node.results.objects import registration
from node.results.presence import areas
from node.series.source import Source

MIN_DICE = 0.999


def check_segmentation(path: Path, segmentation: Segmentation, source: Source) -> None:
    """Each structure lies in patient space where the finding lay, with the right label and code.

    Raises ``GateRefused``.
    """
    if source.volume is None:
        raise GateRefused("seg", ("there is no volume to compare with",))
    dataset = pydicom.dcmread(path)
    reasons = _frame_of_reference(dataset, source)
    voxels = {
        segment.key: int(count)
        for segment, count in zip(
            segmentation.segments, areas(segmentation).sum(axis=0), strict=True
        )
    }
    segments, unknown = _segments_by_number(dataset, segmentation, voxels)
    reasons += unknown
    tally = _Tally(segments, segmentation, voxels, source)
    for frame in readback.frames(dataset, source, source.volume):
        tally.add(frame)
    reasons += tally.reasons
    for number, segment in segments.items():
        dice = tally.dice(number, segment)
        if not dice >= MIN_DICE:
            reasons.append(f"segment {segment.key} overlaps its finding with Dice {dice:.4f}")
    _refuse("seg", reasons)


def check_required(path: Path, source: Source | None = None, *, validate: bool = True) -> None:
    """Every required attribute is there and well formed, and dciodvfy, if installed, agrees.

    What is copied from ``source`` is not judged. ``validate=False`` leaves dciodvfy out. Raises
    ``GateRefused``.
    """
    dataset = pydicom.dcmread(path, defer_size=1024)
    kind = str(dataset.get("Modality") or "object").lower()
    judge = inherited.Judge(dataset, source)
    reasons = required.missing(dataset, source)
    reasons += [
        fault.sentence for fault in wellformed.faults(dataset) if not judge.is_inherited(fault.path)
    ]
    if validate:
        reasons += validator.errors(path, source)
    _refuse(kind, reasons)


def check_compressed(path: Path, stored: NDArray[Any], lossless: bool) -> None:
    """The code stream decodes to the grid of the image, without a loss to its very pixels.

    stored: ``(row, column)``. Raises ``GateRefused``.
    """
    dataset = pydicom.dcmread(path)
    try:
        decoded = dataset.pixel_array
    except Exception as error:  # a decoder may raise anything
        raise GateRefused("image", (f"it does not decode: {type(error).__name__}",)) from error
    reasons = []
    if decoded.shape != stored.shape or decoded.dtype != stored.dtype:
        reasons.append("it decodes to pixels of another shape or type")
    elif lossless and not np.array_equal(decoded, stored):
        reasons.append("it is said to be lossless, and decodes to other pixels")
    lossy = str(dataset.get("LossyImageCompression") or "00") == "01"
    if not lossless and not lossy:
        reasons.append("it does not say that it is lossy")
    _refuse("image", reasons)


def check_registration(path: Path, item: Registration) -> None:
    """The written matrix is that of the finding, to a millionth. Raises ``GateRefused``."""
    written = registration.read_matrix(pydicom.dcmread(path))
    if not np.allclose(written, item.matrix, rtol=1e-6, atol=1e-6):
        raise GateRefused("reg", ("the matrix written is not that of the finding",))


def check_references(path: Path, source: Source, made: Mapping[str, Dataset | None]) -> None:
    """Every reference of the report leads to an image of the source or to an object just made.

    ``made`` maps SOP Instance UIDs to Segmentation objects, or to None for other objects. Raises
    ``GateRefused``.
    """
    report = pydicom.dcmread(path)
    evidence = set(evidence_of(report))
    known = {str(header.SOPInstanceUID) for header in source.headers} | set(made)
    reasons = []
    for item in references_of(report):
        uid = str(item.ReferencedSOPInstanceUID)
        if uid not in known:
            reasons.append("an item refers to an object that is neither source nor result")
        if uid not in evidence:
            reasons.append("an item refers to an object that is not listed as evidence")
        number = item.get("ReferencedSegmentNumber")
        if number is not None and int(number) not in _segment_numbers(made.get(uid)):
            reasons.append(f"segment {int(number)} is referred to, but the object lacks it")
    if known - evidence:
        reasons.append(f"{len(known - evidence)} sources or results are not listed as evidence")
    _refuse("sr", reasons)


# --- segmentation ---------------------------------------------------------------------------------


class _Tally:
    """Counts, frame by frame, where the object and the finding agree."""

    def __init__(
        self,
        segments: Mapping[int, Segment],
        segmentation: Segmentation,
        voxels: Mapping[str, int],
        source: Source,
    ) -> None:
        self.reasons: list[str] = []
        self._segments = segments
        self._segmentation = segmentation
        self._voxels = voxels
        self._source = source
        self._seen: set[tuple[int, int]] = set()
        self._common = dict.fromkeys(segments, 0)
        self._encoded = dict.fromkeys(segments, 0)

    def add(self, frame: readback.ReadFrame) -> None:
        segment = self._segments.get(frame.segment)
        if segment is None:
            self.reasons.append(f"a frame belongs to segment {frame.segment}, which is unknown")
            return
        self._encoded[frame.segment] += int(np.count_nonzero(frame.mask))
        index = frame.aligned_slice() if np.isfinite(frame.origin).all() else None
        if index is None or not 0 <= index < len(self._segmentation.labels):
            self._common[frame.segment] += self._askew(frame, segment)
            return
        if (frame.segment, index) in self._seen:
            self.reasons.append(f"two frames of segment {segment.key} lie on slice {index}")
        self._seen.add((frame.segment, index))
        self._check_reference(frame, index)
        wanted = self._segmentation.plane(segment, index)
        self._common[frame.segment] += int(np.count_nonzero(wanted & frame.mask.view(bool)))

    def dice(self, number: int, segment: Segment) -> float:
        total = self._voxels[segment.key] + self._encoded[number]
        return 2 * self._common[number] / total if total else math.nan

    def _askew(self, frame: readback.ReadFrame, segment: Segment) -> int:
        """Voxels in common where the frame does not lie on a slice of the source."""
        if not np.isfinite(frame.origin).all():
            return 0
        indices = np.unique(frame.source_indices(), axis=0)
        mask = self._segmentation.mask(segment)
        inside = ((indices >= 0) & (indices < mask.shape)).all(axis=1)
        return int(np.count_nonzero(mask[tuple(indices[inside].T)]))

    def _check_reference(self, frame: readback.ReadFrame, index: int) -> None:
        place = self._source.frames[index]
        uid = str(self._source.headers[place.header].SOPInstanceUID)
        if frame.source_instance is None:
            self.reasons.append(f"the frame on slice {index} names no source image")
        elif (frame.source_instance, frame.source_frame) != (uid, place.number):
            self.reasons.append(f"the frame on slice {index} names another image as its source")


def _segments_by_number(
    dataset: Dataset, segmentation: Segmentation, voxels: Mapping[str, int]
) -> tuple[dict[int, Segment], list[str]]:
    """The finding's segment for each number in the object, found by its tracking ID."""
    wanted = {segment.key: segment for segment in segmentation.segments if voxels[segment.key]}
    found: dict[int, Segment] = {}
    reasons = []
    for item in dataset.SegmentSequence:
        key = str(item.get("TrackingID") or "").partition(":")[2]
        segment = wanted.pop(key, None)
        if segment is None:
            reasons.append(f"segment {item.SegmentNumber} is none of the finding")
            continue
        found[int(item.SegmentNumber)] = segment
        if str(item.SegmentedPropertyTypeCodeSequence[0].CodeValue) != segment.kind.value:
            reasons.append(f"segment {key} has another code than its finding")
    reasons += [f"segment {key} is missing" for key in wanted]
    return found, reasons


def _frame_of_reference(dataset: Dataset, source: Source) -> list[str]:
    given = uids.frame_of_reference_uid(source)
    if dataset.get("FrameOfReferenceUID") not in (given, None):
        return ["the frame of reference is not that of the images"]
    return []


# --- report ---------------------------------------------------------------------------------------


def references_of(item: Dataset) -> Iterator[Dataset]:
    """What a content item, or a document, refers to."""
    yield from item.get("ReferencedSOPSequence") or []
    for child in item.get("ContentSequence") or []:
        yield from references_of(child)


def evidence_of(report: Dataset) -> Iterator[str]:
    """The UIDs of what a document lists as its evidence."""
    for study in report.get("CurrentRequestedProcedureEvidenceSequence") or []:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                yield str(item.ReferencedSOPInstanceUID)


def _segment_numbers(made: Dataset | None) -> set[int]:
    return set() if made is None else {int(item.SegmentNumber) for item in made.SegmentSequence}


def _refuse(kind: str, reasons: list[str]) -> None:
    if reasons:
        raise GateRefused(kind, tuple(dict.fromkeys(reasons)))
