"""Reads a written Segmentation back and says where each of its frames lies in the source.

An own mapping from the attributes of each frame to patient space and from there through the
volume's affine to source indices. Knows nothing of the library that made the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Volume
from node.results.errors import GateRefused
from node.results.gate.written import FrameGroups, Written
from node.series.source import Source

TOLERANCE = 0.02
"""Of a voxel: what decimal strings and a fitted affine may differ by on an aligned grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a frame lies: the affine from (row, column) to source index, and its reference."""

    origin: NDArray[np.float64]
    step_row: NDArray[np.float64]
    step_column: NDArray[np.float64]
    source_instance: str | None
    source_frame: int | None
    aligned_slice: int | None
    """The slice that it covers pixel by pixel; None where it lies askew to the grid."""

    @property
    def is_known(self) -> bool:
        return bool(np.isfinite(self.origin).all())

    def source_indices(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The nearest source voxel of every pixel that is set, n×3."""
        rows, columns = np.nonzero(mask)
        places = self.origin + np.outer(rows, self.step_row) + np.outer(columns, self.step_column)
        nearest: NDArray[np.int64] = np.rint(places).astype(np.int64)
        return nearest


@dataclass(frozen=True, slots=True, eq=False)
class ReadFrame:
    """One frame: its segment (0: none is named), its place, and its number from 0."""

    segment: int
    place: Place
    number: int


def frames(written: Written, source: Source, volume: Volume) -> Iterator[ReadFrame]:
    """Every frame of the object, in its order.

    Raises ``GateRefused`` where there are not as many as it says, or they cannot be read.
    """
    count = int(written.dataset.get("NumberOfFrames") or 0)
    if len(written.frames) != count:
        said = f"it says to have {count} frames and describes {len(written.frames)}"
        raise GateRefused("seg", (said,))
    places = _Places(written, source, volume)
    for number, groups in enumerate(written.frames):
        segment = groups.value("SegmentIdentificationSequence", "ReferencedSegmentNumber")
        yield ReadFrame(
            segment=int.from_bytes(segment or b"", "little"),
            place=places.of(groups),
            number=number,
        )


class _Places:
    """Where frames lie; those that say the same lie at the same place."""

    def __init__(self, written: Written, source: Source, volume: Volume) -> None:
        self._source = source
        self._shape = (int(written.dataset.Rows), int(written.dataset.Columns))
        self._to_index: NDArray[np.float64] = np.linalg.inv(volume.affine).astype(np.float64)
        self._known: dict[tuple[bytes | None, ...], Place] = {}

    def of(self, groups: FrameGroups) -> Place:
        said = tuple(groups.value(*way) for way in (*_GEOMETRY, *_REFERENCE))
        if said not in self._known:
            self._known[said] = self._place(*said)
        return self._known[said]

    def _place(
        self,
        position: bytes | None,
        orientation: bytes | None,
        spacing: bytes | None,
        uid: bytes | None,
        frame: bytes | None,
    ) -> Place:
        instance = uid.decode("ascii", "replace").rstrip("\0 ") if uid is not None else None
        number = int(frame) if frame and frame.strip().isdigit() else None
        if position and orientation and spacing:
            origin, down, right = self._in_space(*map(_numbers, (position, orientation, spacing)))
        else:
            origin, down, right = self._by_reference(instance, number)
        aligned = _aligned(origin, down, right, self._shape)
        return Place(origin, down, right, instance, number, aligned)

    def _in_space(
        self,
        position: NDArray[np.float64],
        orientation: NDArray[np.float64],
        spacing: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        if (len(position), len(orientation), len(spacing)) != (3, 6, 2):
            return _NOWHERE
        along_row, along_column = orientation[:3], orientation[3:]
        linear = self._to_index[:3, :3]
        corner = linear @ position + self._to_index[:3, 3]
        return corner, linear @ (along_column * spacing[0]), linear @ (along_row * spacing[1])

    def _by_reference(
        self, instance: str | None, number: int | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """An image without a place in space is found by its reference alone."""
        for index, place in enumerate(self._source.frames):
            header = self._source.headers[place.header]
            if (str(header.SOPInstanceUID), place.number) == (instance, number):
                return np.array([index, 0.0, 0.0]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
        return _NOWHERE


_NOWHERE = (np.full(3, np.inf), np.zeros(3), np.zeros(3))
_GEOMETRY = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)
_REFERENCE = (
    ("DerivationImageSequence", "SourceImageSequence", "ReferencedSOPInstanceUID"),
    ("DerivationImageSequence", "SourceImageSequence", "ReferencedFrameNumber"),
)


def _numbers(value: bytes) -> NDArray[np.float64]:
    try:
        return np.array([float(part) for part in value.split(b"\\")])
    except ValueError:
        return np.zeros(0)


def _aligned(
    origin: NDArray[np.float64],
    down: NDArray[np.float64],
    right: NDArray[np.float64],
    shape: tuple[int, int],
) -> int | None:
    if not np.isfinite(origin).all():
        return None
    rows, columns = shape[0] - 1, shape[1] - 1
    index = round(float(origin[0]))
    wanted = np.array([[index, 0, 0], [index, rows, 0], [index, 0, columns]])
    found = np.stack([origin, origin + rows * down, origin + columns * right])
    return index if np.abs(found - wanted).max() <= TOLERANCE else None
