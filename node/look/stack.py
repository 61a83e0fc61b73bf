"""A series as a stack of slices, in the order in which they are looked through.

The order is that of their places: from head to feet, from front to back, from right to left,
however the patient lay and whatever the images are numbered. Where a series holds a volume several
times (time points, echoes …), one comes after the other. Images without a place follow their
numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.look.place import PARALLEL, Place, place_of
from node.series import parts
from node.series.geometry import turns
from storage.holdings import Held
from storage.index.shown import Member
from storage.records import Header

MOST_SLICES = 20_000
_SAME_DIRECTION = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One frame of an instance. frame: counted from 1. number: Instance Number."""

    held: Held
    frame: int
    frames: int
    number: int | None
    rows: int
    columns: int
    place: Place | None

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        return self.place.spacing if self.place else None


@dataclass(frozen=True, eq=False)
class Stack:
    """The slices of a series, first to last."""

    series_id: int
    modality: str
    frame_of_reference: str
    slices: tuple[Slice, ...]

    @cached_property
    def by_frame(self) -> dict[tuple[str, int], int]:
        """The place in the stack of an instance's frame, by its UID and number."""
        return {
            (one.held.sop_instance_uid, one.frame): index for index, one in enumerate(self.slices)
        }

    def index_of(self, sop_instance_uid: str, frame: int | None) -> int | None:
        return self.by_frame.get((sop_instance_uid, frame or 1))

    def counted(self, index: int) -> float:
        """Rises as reports count the slices: of several that show a finding equally well, report
        and viewers take the first by it."""
        place = self.slices[index].place
        return float(index) if place is None else place.counted

    def nearest(self, place: Place) -> int | None:
        """The slice that lies nearest to a plane; None where none is parallel to it."""
        if not self._placed:
            return None
        parallel = np.abs(self._normals @ place.normal) >= PARALLEL
        if not parallel.any():
            return None
        apart = np.abs((self._positions - place.position) @ place.normal)
        return self._placed[int(np.where(parallel, apart, np.inf).argmin())]

    def beside(self, other: Stack, index: int) -> int:
        """The slice to look at while the other stack is at ``index``: the one that lies there, else
        the one as far from the beginning."""
        place = other.slices[index].place
        found = None if place is None else self.nearest(place)
        return min(index, len(self.slices) - 1) if found is None else found

    @cached_property
    def _placed(self) -> list[int]:
        return [index for index, one in enumerate(self.slices) if one.place is not None]

    @cached_property
    def _positions(self) -> NDArray[np.float64]:
        return np.array([one.place.position for one in self.slices if one.place is not None])

    @cached_property
    def _normals(self) -> NDArray[np.float64]:
        return np.array([one.place.normal for one in self.slices if one.place is not None])


def stack_of(series_id: int, members: Sequence[Member], series: dict[str, Any]) -> Stack:
    """``series``: what the index keeps of its header."""
    slices = list(_slices(members))[:MOST_SLICES]
    return Stack(
        series_id,
        str(series.get("Modality", "")),
        str(series.get("FrameOfReferenceUID", "")),
        tuple(_ordered(slices, {one.held.id: one.header for one in members})),
    )


def _slices(members: Iterable[Member]) -> Iterator[Slice]:
    for member in members:
        header = member.header
        rows, columns = _whole(header.get("Rows")), _whole(header.get("Columns"))
        if not rows or not columns:
            continue
        frames = max(_whole(header.get("NumberOfFrames")) or 1, 1)
        positions = header.get("FramePositions")
        for frame in range(1, min(frames, MOST_SLICES) + 1):
            position = header.get("ImagePositionPatient")
            if isinstance(positions, list):
                position = positions[frame - 1] if frame <= len(positions) else None
            elif frames > 1:
                position = None
            place = place_of(position, header.get("ImageOrientationPatient"), _spacing(header))
            number = _whole(header.get("InstanceNumber"))
            yield Slice(member.held, frame, frames, number, rows, columns, place)


def _spacing(header: Any) -> Any:
    return header.get("PixelSpacing")


def _whole(value: object) -> int | None:
    if isinstance(value, list):
        value = value[0] if value else None
    return int(value) if isinstance(value, int | float) else None


def _ordered(slices: list[Slice], headers: Mapping[int, Header]) -> list[Slice]:
    """Planes of one direction stay together, in the order of their first images."""
    groups: list[tuple[Place | None, list[Slice]]] = []
    for one in sorted(slices, key=_by_number):
        for place, group in groups:
            if _is_like(place, one.place):
                group.append(one)
                break
        else:
            groups.append((one.place, [one]))
    return [
        one
        for place, group in groups
        for volume in (_volumes(group, headers) if place else [group])
        for one in _by_depth(place, volume)
    ]


@dataclass(frozen=True, slots=True)
class _Indexed:
    """An image of slices, as ``node.series.parts`` has it."""

    id: int
    header: Header


def _volumes(group: list[Slice], headers: Mapping[int, Header]) -> list[list[Slice]]:
    """Slices in one direction, volume by volume."""
    ids = dict.fromkeys(one.held.id for one in group)
    if len(ids) == 1:
        return _volumes_of_frames(group)
    found = parts.in_volumes([_Indexed(one, headers[one]) for one in ids])
    place = {image.id: number for number, volume in enumerate(found) for image in volume}
    return [[one for one in group if place[one.held.id] == number] for number in range(len(found))]


def _volumes_of_frames(group: list[Slice]) -> list[list[Slice]]:
    """Frames of one image: the first in each place, the second …"""
    places = [one.place for one in group if one.place is not None]
    turn = turns(np.array([one.position @ places[0].normal for one in places]))
    if len(set(Counter(turn).values())) != 1:
        return [group]
    return [
        [one for one, own in zip(group, turn, strict=True) if own == number]
        for number in range(1, max(turn) + 1)
    ]


def _is_like(place: Place | None, other: Place | None) -> bool:
    if place is None or other is None:
        return place is other
    return abs(float(np.dot(place.normal, other.normal))) > _SAME_DIRECTION


def _by_depth(place: Place | None, group: list[Slice]) -> list[Slice]:
    if place is None:
        return group
    normal = place.normal
    return sorted(
        group,
        key=lambda one: round(float(one.place.position @ normal), 2) if one.place else 0.0,
    )


def _by_number(one: Slice) -> tuple[int, int, int]:
    return (one.number if one.number is not None else 1 << 40, one.held.id, one.frame)
