"""Compares a written Segmentation with its finding, frame by frame, as bits.

A frame that is the finding's, bit for bit, needs no more; of others it is counted what they share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels

from analyzers.contract import Segment, Segmentation
from node.results import uids
from node.results.gate import readback
from node.results.gate.readback import ReadFrame
from node.results.gate.written import Written
from node.results.presence import areas
from node.series.source import Source

MIN_DICE = 0.999
HALF_A_STEP = 0.5001
"""Of a probability: what rounding moves it by."""


def binary(written: Written, segmentation: Segmentation, source: Source) -> list[str]:
    """What an object of single bits has otherwise than the finding."""
    if source.volume is None:
        return ["there is no volume to compare with"]
    voxels = _voxels(segmentation)
    segments, reasons = segments_by_number(written.dataset, segmentation, voxels)
    tally = _Tally(segments, segmentation, written, source)
    for frame in readback.frames(written, source, source.volume):
        tally.add(frame)
    if tally.pixels_end_early:
        reasons.append("its pixel data end before its last frame")
    reasons += frame_of_reference(written.dataset, source) + tally.reasons
    for number, segment in segments.items():
        dice = tally.dice(number, voxels[segment.key])
        if not dice >= MIN_DICE:
            reasons.append(f"segment {segment.key} overlaps its finding with Dice {dice:.4f}")
    return reasons


def label_map(written: Written, segmentation: Segmentation, source: Source) -> list[str]:
    """What an object of numbers has otherwise than the finding."""
    if source.volume is None:
        return ["there is no volume to compare with"]
    voxels = _voxels(segmentation)
    segments, reasons = segments_by_number(written.dataset, segmentation, voxels, background=True)
    reasons += frame_of_reference(written.dataset, source)
    table = np.zeros(65536, np.uint16)
    for number, segment in segments.items():
        table[segment.number] = number
    slices, missing = Slices(source), _labelled(segmentation)
    found = readback.frames(written, source, source.volume)
    for frame, plane in zip(found, iter_pixels(written.path, raw=True), strict=True):
        index = slices.of(frame, "the label map")
        if index is None:
            reasons.append("a frame lies on no slice of the images")
            continue
        missing.discard(index)
        if not np.array_equal(table[segmentation.labels[index]], plane):
            reasons.append(f"the frame on slice {index} holds other numbers than the finding")
    reasons += [f"slice {index} has no frame" for index in sorted(missing)]
    return reasons + slices.reasons


def probabilities(written: Written, segmentation: Segmentation, source: Source) -> list[str]:
    """What an object of shares has otherwise than the finding, beyond half a step."""
    if source.volume is None:
        return ["there is no volume to compare with"]
    shares = segmentation.probabilities
    most = int(written.dataset.get("MaximumFractionalValue") or 1)
    probable = {
        (key, index)
        for key, share in shares.items()
        for index, plane in enumerate(share)
        if round(float(plane.max(initial=0)) * most)
    }
    sizes = {one.key: sum(key == one.key for key, _ in probable) for one in segmentation.segments}
    segments, reasons = segments_by_number(written.dataset, segmentation, sizes)
    reasons += frame_of_reference(written.dataset, source)
    slices, pixels = Slices(source), int(written.dataset.Rows) * int(written.dataset.Columns)
    for frame in readback.frames(written, source, source.volume):
        segment = segments.get(frame.segment)
        if segment is None:
            reasons.append(f"a frame belongs to segment {frame.segment}, which is unknown")
            continue
        index = slices.of(frame, f"segment {segment.key}")
        if index is None:
            reasons.append("a frame lies on no slice of the images")
            continue
        probable.discard((segment.key, index))
        steps = np.frombuffer(written.pixels(frame.number * pixels, pixels), np.uint8)
        wanted = shares[segment.key][index].astype(np.float64).ravel() * most
        if len(steps) < pixels or np.abs(steps - wanted).max(initial=0) > HALF_A_STEP:
            reasons.append(f"segment {segment.key} has other probabilities on slice {index}")
    reasons += [f"segment {key} has no frame on slice {index}" for key, index in sorted(probable)]
    return reasons + slices.reasons


def _labelled(segmentation: Segmentation) -> set[int]:
    return {index for index, plane in enumerate(segmentation.labels) if plane.any()}


class Slices:
    """Whether each frame lies on a slice of the source, once for its segment, and names it."""

    def __init__(self, source: Source) -> None:
        self.reasons: list[str] = []
        self._source = source
        self._seen: set[tuple[int, int]] = set()

    def of(self, frame: ReadFrame, name: str) -> int | None:
        """The slice; None where the frame lies on none. ``name``: whose frame it is."""
        index = frame.place.aligned_slice
        if index is None or not 0 <= index < len(self._source.frames):
            return None
        if (frame.segment, index) in self._seen:
            self.reasons.append(f"two frames of {name} lie on slice {index}")
        self._seen.add((frame.segment, index))
        self._check_reference(frame, index)
        return index

    def _check_reference(self, frame: ReadFrame, index: int) -> None:
        place = self._source.frames[index]
        uid = str(self._source.headers[place.header].SOPInstanceUID)
        if frame.place.source_instance is None:
            self.reasons.append(f"the frame on slice {index} names no source image")
        elif (frame.place.source_instance, frame.place.source_frame) != (uid, place.number):
            self.reasons.append(f"the frame on slice {index} names another image as its source")


def segments_by_number(
    dataset: Dataset,
    segmentation: Segmentation,
    voxels: Mapping[str, int],
    *,
    background: bool = False,
) -> tuple[dict[int, Segment], list[str]]:
    """The finding's segment for each number in the object, found by its tracking ID.

    voxels: by key; segments without any are not looked for. background: whether 0 is described too.
    """
    wanted = {segment.key: segment for segment in segmentation.segments if voxels[segment.key]}
    found: dict[int, Segment] = {}
    reasons = []
    for item in dataset.SegmentSequence:
        if background and item.SegmentNumber == 0:
            continue
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


def frame_of_reference(dataset: Dataset, source: Source) -> list[str]:
    given = uids.frame_of_reference_uid(source)
    if dataset.get("FrameOfReferenceUID") not in (given, None):
        return ["the frame of reference is not that of the images"]
    return []


def _voxels(segmentation: Segmentation) -> dict[str, int]:
    counts = areas(segmentation).sum(axis=0).tolist()
    pairs = zip(segmentation.segments, counts, strict=True)
    return {segment.key: int(count) for segment, count in pairs}


class _Tally:
    """Counts, frame by frame, where the object and the finding agree."""

    def __init__(
        self,
        segments: Mapping[int, Segment],
        segmentation: Segmentation,
        written: Written,
        source: Source,
    ) -> None:
        self.pixels_end_early = False
        self._segments = segments
        self._segmentation = segmentation
        self._written = written
        self._size = (int(written.dataset.Rows), int(written.dataset.Columns))
        self._slices = Slices(source)
        self._unknown: list[str] = []
        self._common = dict.fromkeys(segments, 0)
        self._encoded = dict.fromkeys(segments, 0)

    @property
    def reasons(self) -> list[str]:
        return self._unknown + self._slices.reasons

    def add(self, frame: ReadFrame) -> None:
        segment = self._segments.get(frame.segment)
        if segment is None:
            self._unknown.append(f"a frame belongs to segment {frame.segment}, which is unknown")
            return
        index = self._slices.of(frame, f"segment {segment.key}")
        wanted = None if index is None else self._segmentation.plane(segment, index)
        bits, skipped = self._bits(frame.number)
        if wanted is not None and not skipped and bits == _packed(wanted):
            self._count(frame.segment, *[int(np.count_nonzero(wanted))] * 2)
            return
        mask = self._unpacked(bits, skipped)
        if wanted is None:
            self._count(frame.segment, int(mask.sum()), self._askew(frame, mask, segment))
        else:
            self._count(frame.segment, int(mask.sum()), int(np.count_nonzero(wanted & mask)))

    def dice(self, number: int, voxels: int) -> float:
        total = voxels + self._encoded[number]
        return 2 * self._common[number] / total if total else math.nan

    def _count(self, number: int, encoded: int, common: int) -> None:
        self._encoded[number] += encoded
        self._common[number] += common

    def _bits(self, number: int) -> tuple[bytes, int]:
        """The bytes in which the frame lies, and the bits of the first that are another's."""
        pixels = self._size[0] * self._size[1]
        start, skipped = divmod(number * pixels, 8)
        count = (number * pixels + pixels + 7) // 8 - start
        bits = self._written.pixels(start, count)
        if len(bits) < count:
            self.pixels_end_early = True
            bits = bits.ljust(count, b"\0")
        return bits, skipped

    def _unpacked(self, bits: bytes, skipped: int) -> NDArray[np.bool_]:
        """Bits packed from the lowest (PS3.5 8.1.1)."""
        flat = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
        rows, columns = self._size
        return flat[skipped : skipped + rows * columns].reshape(rows, columns).view(np.bool_)

    def _askew(self, frame: ReadFrame, mask: NDArray[np.bool_], segment: Segment) -> int:
        """Voxels in common where the frame does not lie on a slice of the source."""
        if not frame.place.is_known:
            return 0
        indices = np.unique(frame.place.source_indices(mask), axis=0)
        whole = self._segmentation.mask(segment)
        inside = ((indices >= 0) & (indices < whole.shape)).all(axis=1)
        return int(np.count_nonzero(whole[tuple(indices[inside].T)]))


def _packed(mask: NDArray[np.bool_]) -> bytes:
    return np.packbits(mask, bitorder="little").tobytes()
