"""Segmentations over images: BINARY, FRACTIONAL and label maps (PS3.3 C.8.20).

A frame lies on the slice whose plane it shares; where the object has no planes, on the image that
it was made from. Planes that lie across each other are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.look.canvas import Canvas, Rgb, Style
from node.look.over.groups import group, planes_of
from node.look.over.port import Entry, Frames, Legend
from node.look.stack import Slice, Stack
from node.retrieve import colours
from node.retrieve.frames import NativeFrames
from node.retrieve.opened import OpenFrames
from storage.header import values
from storage.holdings import Held

ABNORMAL = "49755003"
"""Morphologically Abnormal Structure (SNOMED CT): a category of what is segmented."""
MOST_AREAS = 6000
"""Frames whose pixels are counted; of longer objects no volume is said."""


@dataclass(frozen=True, slots=True)
class Segment:
    number: int
    label: str
    rgb: Rgb
    abnormal: bool


class Segments:
    """A segmentation object."""

    def __init__(self, held: Held, frames: Frames, header: Dataset) -> None:
        self._held = held
        self._frames = frames
        self._is_map = values.text(header, "SegmentationType") == "LABELMAP"
        self._most = values.known(values.whole(header, "MaximumFractionalValue")) or 1
        self._is_share = values.text(header, "SegmentationType") == "FRACTIONAL"
        self._title = values.text(header, "ContentDescription")
        self._title = self._title or values.text(header, "SeriesDescription") or "Segmentation"
        self.segments = tuple(_segments(header))
        self._rgb = {one.number: one.rgb for one in self.segments}
        self.abnormal = any(one.abnormal for one in self.segments)
        self._segment = _numbers(header)
        self._planes = planes_of(header)

    @property
    def size_bytes(self) -> int:
        return 64 * len(self._segment) + 4096

    @cached_property
    def legend(self) -> Legend:
        entries = tuple(
            Entry(one.number, one.label, one.rgb, self._volume(one.number)) for one in self.segments
        )
        return Legend(self._title, entries)

    def draw(self, canvas: Canvas, stack: Stack, shown: Slice, style: Style) -> None:
        numbers = self._on(shown)
        if not numbers:
            return
        to_plane = self._planes.from_slice(shown)
        with self._frames(self._held) as opened:
            for frame in numbers:
                plane = opened.samples(frame + 1).array
                self._draw_plane(canvas, frame, canvas.sampled(_small(plane), to_plane), style)

    def best(self, stack: Stack) -> int | None:
        """Where the first segment that has a pixel is largest: what should not be there before what
        is only measured; of equal slices the first that a report would count."""
        areas = self.areas
        for one in sorted(self.segments, key=lambda one: not one.abnormal):
            found = [
                (areas[frame, one.number], -stack.counted(index), index)
                for index, frame in self._placed(stack, one.number)
                if areas.get((frame, one.number))
            ]
            if found:
                return max(found)[2]
        return next((index for index, _ in self._placed(stack, None)), None)

    # --- which frames -----------------------------------------------------------------------------

    def _on(self, shown: Slice) -> list[int]:
        """The frames that lie on a slice, of each segment the nearest alone."""
        found: dict[int, int] = {}
        for frame in self._planes.near(shown):
            if frame < len(self._segment):
                found.setdefault(int(self._segment[frame]), frame)
        return [found[segment] for segment in sorted(found)]

    def _placed(self, stack: Stack, segment: int | None) -> Iterator[tuple[int, int]]:
        """The frames of a segment with the slices that they lie on."""
        for index, shown in enumerate(stack.slices):
            for frame in self._on(shown):
                if segment is None or self._segment[frame] in (0, segment):
                    yield index, frame

    # --- their pixels -----------------------------------------------------------------------------

    def _draw_plane(self, canvas: Canvas, frame: int, plane: NDArray[Any], style: Style) -> None:
        row = self._held.id
        if self._is_map:
            for number in np.unique(plane).tolist():
                if number in self._rgb and (row, number) not in style.without:
                    canvas.area(plane == number, self._rgb[number], style.filled)
            return
        number = int(self._segment[frame])
        if (row, number) in style.without:
            return
        rgb = self._rgb.get(number, colours.spare(number))
        if self._is_share:
            canvas.shades(_share(plane, self._most, rgb))
        else:
            canvas.area(plane > 0, rgb, style.filled)

    @cached_property
    def areas(self) -> dict[tuple[int, int], int]:
        """How many pixels of each frame are a segment's; of frames that cannot be read, none."""
        found: dict[tuple[int, int], int] = {}
        with self._frames(self._held) as opened:
            for frame in range(min(len(self._segment), MOST_AREAS)):
                found |= self._areas_of(opened, frame)
        return found

    def _areas_of(self, opened: OpenFrames, frame: int) -> dict[tuple[int, int], int]:
        if (bits := _counted_bits(opened, frame)) is not None:
            return {(frame, int(self._segment[frame])): bits}
        plane = opened.samples(frame + 1).array
        if not self._is_map:
            limit = self._most / 2 if self._is_share else 0
            return {(frame, int(self._segment[frame])): int(np.count_nonzero(plane > limit))}
        counts = np.bincount(plane.ravel().astype(np.int64))
        return {
            (frame, number): int(counts[number])
            for number in np.flatnonzero(counts).tolist()
            if number in self._rgb
        }

    def _volume(self, segment: int) -> str:
        """In mL; empty where it is not known."""
        laid = self._planes
        if laid.place is None or len(self._segment) > MOST_AREAS or self._is_share:
            return ""
        voxel_mm3 = laid.place.spacing[0] * laid.place.spacing[1] * laid.step_mm
        count = sum(area for (_, number), area in self.areas.items() if number == segment)
        return volume_in_words(count * voxel_mm3 / 1000)


def _counted_bits(opened: OpenFrames, frame: int) -> int | None:
    """Of a frame of single bits, as it is stored; None where that is not whole bytes."""
    stored = opened.frames
    if not isinstance(stored, NativeFrames) or stored.form.frame_bits % 8:
        return None
    if stored.form.bits_allocated != 1:
        return None
    data = np.frombuffer(b"".join(opened.stored(frame + 1)), np.uint8)
    return int(np.bitwise_count(data).sum())


def volume_in_words(ml: float) -> str:
    if ml <= 0:
        return "not found"
    return f"{ml:,.0f} mL".replace(",", " ") if ml >= 99.95 else f"{ml:.3g} mL"


def _share(plane: NDArray[Any], most: int, rgb: Rgb) -> NDArray[np.uint8]:
    share = np.clip(plane.astype(np.float32) / most, 0, 1)
    rgba = np.empty((*plane.shape, 4), np.uint8)
    rgba[..., :3] = rgb
    rgba[..., 3] = (share * 200).astype(np.uint8)
    return rgba


def _small(plane: NDArray[Any]) -> NDArray[Any]:
    """In a form that OpenCV samples."""
    return plane if plane.dtype in (np.uint8, np.uint16) else plane.astype(np.uint16)


# --- the header -----------------------------------------------------------------------------------


def _segments(header: Dataset) -> Iterator[Segment]:
    known = colours.colours_of(header)
    is_map = values.text(header, "SegmentationType") == "LABELMAP"
    for item in values.items(header, "SegmentSequence"):
        number = values.known(values.whole(item, "SegmentNumber"))
        if number is None or (is_map and number == 0):
            continue
        label = values.text(item, "SegmentLabel") or f"Segment {number}"
        rgb = known.get(number, colours.spare(number))
        yield Segment(number, label, rgb, _is_abnormal(item))


def _is_abnormal(item: Dataset) -> bool:
    category = values.item(item, "SegmentedPropertyCategoryCodeSequence")
    return values.text(category, "CodeValue") == ABNORMAL


def _numbers(header: Dataset) -> NDArray[np.int64]:
    """The segment of each frame; 0 in a label map."""
    shared = values.item(header, "SharedFunctionalGroupsSequence")
    groups = values.items(header, "PerFrameFunctionalGroupsSequence")
    return np.array([_segment(own, shared) for own in groups], np.int64)


def _segment(own: Dataset, shared: Dataset) -> int:
    item = group(own, shared, "SegmentIdentificationSequence")
    return values.known(values.whole(item, "ReferencedSegmentNumber")) or 0
