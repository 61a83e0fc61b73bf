"""Reads a written Segmentation back and says where each of its frames lies in the source.

An own mapping from the attributes of each frame to patient space and from there through the
volume's affine to source indices. Knows nothing of the library that made the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Volume
from node.series.source import Source

TOLERANCE = 0.02
"""Of a voxel: what decimal strings and a fitted affine may differ by on an aligned grid."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadFrame:
    """One frame: its segment, its pixels, and the affine from (row, column) to source index."""

    segment: int
    mask: NDArray[np.uint8]
    origin: NDArray[np.float64]
    step_row: NDArray[np.float64]
    step_column: NDArray[np.float64]
    source_instance: str | None
    source_frame: int | None

    def aligned_slice(self) -> int | None:
        """The slice that the frame covers pixel by pixel; None where it lies askew to the grid."""
        rows, columns = self.mask.shape
        index = round(float(self.origin[0]))
        wanted = np.array([[index, 0, 0], [index, rows - 1, 0], [index, 0, columns - 1]])
        found = np.stack(
            [
                self.origin,
                self.origin + (rows - 1) * self.step_row,
                self.origin + (columns - 1) * self.step_column,
            ]
        )
        return index if np.abs(found - wanted).max() <= TOLERANCE else None

    def source_indices(self) -> NDArray[np.int64]:
        """The nearest source voxel of every pixel that is set, n×3."""
        rows, columns = np.nonzero(self.mask)
        places = self.origin + np.outer(rows, self.step_row) + np.outer(columns, self.step_column)
        nearest: NDArray[np.int64] = np.rint(places).astype(np.int64)
        return nearest


def frames(dataset: Dataset, source: Source, volume: Volume) -> Iterator[ReadFrame]:
    """Every frame of the object, in its order."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    to_index: NDArray[np.float64] = np.linalg.inv(volume.affine).astype(np.float64)
    for number, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        reference = _source_item(own)
        instance, frame = _identity(reference)
        corner, down, right = _geometry(own, shared, to_index, source, instance, frame)
        yield ReadFrame(
            segment=_segment_number(own, shared),
            mask=_bits(packed, number * rows * columns, rows * columns).reshape(rows, columns),
            origin=corner,
            step_row=down,
            step_column=right,
            source_instance=instance,
            source_frame=frame,
        )


def _bits(packed: NDArray[np.uint8], first: int, count: int) -> NDArray[np.uint8]:
    """Pixels ``first`` to ``first + count`` of bits packed from the lowest (PS3.5 8.1.1)."""
    start, skip = divmod(first, 8)
    stop = (first + count + 7) // 8
    return np.unpackbits(packed[start:stop], bitorder="little")[skip : skip + count]


def _segment_number(own: Dataset, shared: Dataset) -> int:
    """Per frame, or shared by all frames where there is one segment: both are legal."""
    for groups in (own, shared):
        for item in groups.get("SegmentIdentificationSequence") or []:
            return int(item.ReferencedSegmentNumber)
    return 0


def _geometry(
    own: Dataset,
    shared: Dataset,
    to_index: NDArray[np.float64],
    source: Source,
    instance: str | None,
    frame: int | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    position = _macro(own, shared, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _macro(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _macro(own, shared, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or orientation is None or spacing is None:
        return _by_reference(source, instance, frame)
    along_row, along_column = orientation[:3], orientation[3:]
    linear = to_index[:3, :3]
    corner = linear @ position + to_index[:3, 3]
    return corner, linear @ (along_column * spacing[0]), linear @ (along_row * spacing[1])


def _by_reference(
    source: Source, instance: str | None, frame: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """An image without a place in space is found by its reference alone."""
    for index, place in enumerate(source.frames):
        if (str(source.headers[place.header].SOPInstanceUID), place.number) == (instance, frame):
            return np.array([index, 0.0, 0.0]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    return np.full(3, np.inf), np.zeros(3), np.zeros(3)


def _macro(own: Dataset, shared: Dataset, macro: str, keyword: str) -> NDArray[np.float64] | None:
    for groups in (own, shared):
        for item in groups.get(macro) or []:
            value = item.get(keyword)
            if value:
                return np.array([float(part) for part in value])
    return None


def _source_item(own: Dataset) -> Dataset | None:
    for derivation in own.get("DerivationImageSequence") or []:
        for item in derivation.get("SourceImageSequence") or []:
            return item  # type: ignore[no-any-return]  # pydicom does not type items
    return None


def _identity(reference: Dataset | None) -> tuple[str | None, int | None]:
    if reference is None:
        return None, None
    number = reference.get("ReferencedFrameNumber")
    return str(reference.ReferencedSOPInstanceUID), None if number is None else int(number)
