"""The frames of a segmentation object: their order, their functional groups, their pixels.

Each is a slice of the source, of one structure or of all. The groups are written around those of
one frame, which highdicom made (PS3.3 C.7.6.16).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from analyzers.contract import Volume
from node.results.errors import FindingsContradictImages
from node.results.modules import planes
from node.results.prepared import UNDEFINED, Pattern, header, item, sequence
from node.series.source import Source

PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
_PIXEL_DATA = Tag("PixelData")
_OF_SLICE = frozenset(
    {
        *("ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "ReferencedFrameNumber"),
        "ImagePositionPatient",
    }
)
_OF_FRAME = frozenset({"DimensionIndexValues", "ReferencedSegmentNumber"})


@dataclass(frozen=True, slots=True)
class Frame:
    """A slice of the source; segment 0: of all structures."""

    segment: int
    plane: int


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Where the slices of a source lie, in the numbers of their headers; None for a radiograph."""

    positions: NDArray[np.float64]
    orientation: tuple[float, ...]
    said: tuple[bytes, ...]
    """Each position as it is written."""

    @staticmethod
    def of(source: Source) -> Stack | None:
        first = planes.plane(source, 0)
        if first is None:
            return None
        placed = [planes.plane(source, index) or first for index in range(len(source.frames))]
        texts = [[planes.decimal(value) for value in one.position] for one in placed]
        orientation = tuple(float(planes.decimal(value)) for value in first.orientation)
        said = tuple("\\".join(text).encode() for text in texts)
        return Stack(np.array(texts, np.float64), orientation, said)

    def order(self) -> list[int]:
        """The slices along the normal, as highdicom sorts them.

        Raises ``FindingsContradictImages`` where two lie at the same place.
        """
        normal = hd.spatial.get_normal_vector(self.orientation, index_convention=("D", "R"))
        _, order = np.unique(self.positions @ normal, return_index=True)
        if len(order) != len(self.positions):
            raise FindingsContradictImages("two images lie at the same place")
        return [int(index) for index in order]

    def is_regular(self, used: Sequence[int]) -> bool:
        """Whether these slices, as they follow each other, make a volume of their own."""
        if len(used) < 2:
            return False
        spacing, _ = hd.spatial.get_volume_positions(
            self.positions[list(used)].tolist(), self.orientation, sort=False
        )
        return spacing is not None and spacing > 0


@dataclass(frozen=True, slots=True)
class Layout:
    """The frames of an object, in their order, and the slices that they lie on.

    indices: the Dimension Index Values of each. is_volume: whether the slices make one.
    stack: where all slices of the source lie.
    """

    frames: tuple[Frame, ...]
    indices: tuple[tuple[int, ...], ...]
    is_volume: bool
    stack: Stack | None


def layout(source: Source, areas: NDArray[np.int64], *, by_segment: bool = True) -> Layout:
    """The frames that have a voxel, structure by structure, slice by slice along the normal.

    areas: (slices, segments), voxels. by_segment: whether each structure has frames of its own.

    Raises ``FindingsContradictImages`` where two images lie at the same place.
    """
    stack = Stack.of(source)
    order = stack.order() if stack is not None else list(range(len(source.frames)))
    used = [plane for plane in order if areas[plane].any()]
    rank = {plane: (number,) for number, plane in enumerate(used, start=1)}
    if not by_segment:
        frames = tuple(Frame(0, plane) for plane in used)
        indices = tuple(rank[one.plane] for one in frames)
        return Layout(frames, indices, stack is not None and stack.is_regular(sorted(used)), stack)
    columns = range(areas.shape[1])
    frames = tuple(Frame(n + 1, plane) for n in columns for plane in used if areas[plane, n])
    indices = tuple((one.segment, *(rank[one.plane] if stack else ())) for one in frames)
    is_volume = len(columns) == 1 and stack is not None and stack.is_regular(sorted(used))
    return Layout(frames, indices, is_volume, stack)


class Groups:
    """Writes the per-frame functional groups of an object around those of its first frame."""

    def __init__(self, first: Dataset, source: Source, laid: Layout) -> None:
        for derivation in first.get("DerivationImageSequence", []):
            for reference in derivation.SourceImageSequence:
                reference.ReferencedFrameNumber = 1  # a slot; left out where a slice has none
        self._source = source
        self._laid = laid
        self._patterns = [Pattern(Dataset({one.tag: one}), _OF_SLICE | _OF_FRAME) for one in first]
        self._slices: dict[int, list[bytes]] = {}

    def element(self) -> bytes:
        """The whole sequence."""
        pairs = zip(self._laid.frames, self._laid.indices, strict=True)
        return sequence(PER_FRAME, [self._item(frame, index) for frame, index in pairs])

    def _item(self, frame: Frame, index: tuple[int, ...]) -> bytes:
        values = {
            "DimensionIndexValues": struct.pack(f"<{len(index)}I", *index),
            "ReferencedSegmentNumber": struct.pack("<H", frame.segment),
        }
        of_slice = iter(self._of_slice(frame.plane))
        return item(
            b"".join(
                [
                    pattern.fill(values) if pattern.slots & _OF_FRAME else next(of_slice)
                    for pattern in self._patterns
                ]
            )
        )

    def _of_slice(self, index: int) -> list[bytes]:
        """What all frames on a slice share, made once."""
        if index not in self._slices:
            values = self._values(index)
            self._slices[index] = [
                pattern.fill(values) for pattern in self._patterns if not pattern.slots & _OF_FRAME
            ]
        return self._slices[index]

    def _values(self, index: int) -> dict[str, bytes]:
        frame = self._source.frames[index]
        values = planes.uids_of(self._source.headers[frame.header])
        if frame.number is not None:
            values["ReferencedFrameNumber"] = str(frame.number).encode()
        if self._laid.stack is not None:
            values["ImagePositionPatient"] = self._laid.stack.said[index]
        return values


# --- pixels ---------------------------------------------------------------------------------------


def packed(
    masks: Callable[[], Iterable[NDArray[np.bool_]]], pixels: int, count: int
) -> Iterator[bytes]:
    """Pixel Data of ``count`` frames of single bits, each of as many pixels (PS3.5 8.1.1)."""
    size = (pixels * count + 7) // 8
    yield header(_PIXEL_DATA, "OB", size + size % 2)
    rest = np.zeros(0, np.bool_)
    for mask in masks():
        flat = mask.ravel() if not len(rest) else np.concatenate([rest, mask.ravel()])
        whole = len(flat) // 8 * 8
        yield np.packbits(flat[:whole], bitorder="little").tobytes()
        rest = flat[whole:]
    yield np.packbits(rest, bitorder="little").tobytes() + b"\0" * (size % 2)


def native(
    planes_: Callable[[], Iterable[NDArray[np.uint8]]], laid: Layout, volume: Volume
) -> Iterator[bytes]:
    """Pixel Data of frames of bytes."""
    size = volume.shape[1] * volume.shape[2] * len(laid.frames)
    yield header(_PIXEL_DATA, "OB", size + size % 2)
    for plane in planes_():
        yield plane.tobytes()
    yield b"\0" * (size % 2)


def encapsulated(encoded: Sequence[bytes]) -> Iterator[bytes]:
    """Pixel Data of frames of an even length, one fragment each, with their offsets (PS3.5 A.4)."""
    starts = np.cumsum([0, *(len(one) + 8 for one in encoded[:-1])]).astype("<u4")
    yield header(_PIXEL_DATA, "OB", UNDEFINED)
    yield item(starts.tobytes())
    yield from map(item, encoded)
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
