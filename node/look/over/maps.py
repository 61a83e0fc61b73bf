"""Parametric maps over images, in colour (PS3.3 A.75)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from pydicom.dataset import Dataset

from node.look.canvas import Canvas, Style
from node.look.over.groups import planes_of
from node.look.over.port import ColourScale, Entry, Frames, Legend
from node.look.stack import Slice, Stack
from node.look.values_of import scale_of
from node.results.pictures import colour_map
from node.retrieve import grey
from node.retrieve.grey import Line
from storage.header import values
from storage.holdings import Held

ENTRY = 1
_MOST_LOOKED_AT = 300
"""Frames among which the one with the highest values is looked for."""


class Map:
    """A map, from the lowest to the highest value that its window shows."""

    abnormal = False

    def __init__(self, held: Held, frames: Frames, header: Dataset) -> None:
        self._held = held
        self._frames = frames
        self._title = values.text(header, "ContentDescription")
        self._title = self._title or values.text(header, "SeriesDescription") or "Map"
        self._planes = planes_of(header)
        self._count = values.known(values.whole(header, "NumberOfFrames")) or 1
        self._scale = scale_of(header, 1, Line(is_given=True))
        self._window = grey.window_said(header, 1, is_real=True)

    @property
    def size_bytes(self) -> int:
        return 64 * self._count + 2048

    @cached_property
    def legend(self) -> Legend:
        middle = tuple(int(one) for one in colour_map.TABLE[150])
        entry = Entry(ENTRY, self._title, (middle[0], middle[1], middle[2]))
        low, high = (0.0 if abs(one) < self._span / 1000 else one for one in self._limits)
        return Legend(self._title, (entry,), ColourScale(low, high, self._scale.unit))

    @cached_property
    def _limits(self) -> tuple[float, float]:
        if self._window is not None:
            low = self._window.center - self._window.width / 2
            high = self._window.center + self._window.width / 2
        else:
            low, high = self._range
        ends = sorted(one * self._scale.slope + self._scale.intercept for one in (low, high))
        return ends[0], ends[1]

    @property
    def _span(self) -> float:
        return self._limits[1] - self._limits[0]

    @property
    def _range(self) -> tuple[float, float]:
        with self._frames(self._held) as opened:
            plane = opened.samples((self._count + 1) // 2).array
        return float(np.nanmin(plane)), float(np.nanmax(plane))

    def draw(self, canvas: Canvas, stack: Stack, shown: Slice, style: Style) -> None:
        near = self._planes.near(shown)
        if not near or (self._held.id, ENTRY) in style.without:
            return
        with self._frames(self._held) as opened:
            stored = opened.samples(near[0] + 1).array.astype(np.float32)
        plane = stored * np.float32(self._scale.slope) + np.float32(self._scale.intercept)
        low, high = self._limits
        inside = canvas.sampled(np.ones(plane.shape, np.uint8), self._planes.from_slice(shown)) > 0
        sampled = canvas.sampled(plane, self._planes.from_slice(shown))
        rgba = colour_map.coloured(sampled, low, high)
        rgba[~inside] = 0
        canvas.shades(rgba)

    def best(self, stack: Stack) -> int | None:
        """Where the highest values are."""
        lying = [(i, self._planes.near(one)) for i, one in enumerate(stack.slices)]
        there = [(index, near[0]) for index, near in lying if near]
        if not there:
            return None
        every = max(len(there) // _MOST_LOOKED_AT, 1)
        with self._frames(self._held) as opened:
            sums = [
                (float(np.nanmean(opened.samples(frame + 1).array)), -index)
                for index, frame in there[::every]
            ]
        return -max(sums)[1]
