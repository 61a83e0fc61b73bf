"""Blending presentation states: another series in colour over the images (PS3.3 C.11.14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from node.look.canvas import Canvas, Style
from node.look.over.port import ColourScale, Entry, Frames, Legend
from node.look.presets import values_shown
from node.look.stack import Slice, Stack
from node.look.values_of import numbers_of
from node.results.pictures import colour_map
from node.retrieve import grey
from storage.header import values
from storage.header.guarded import DAMAGED
from storage.holdings import Held

ENTRY = 1
_FAINT = 0.08
"""From this share of the window on, what lies above is seen whole."""


class Blend:
    """What lies above, by the images below that lie in its planes.

    ``above`` is found later: the state knows its images by their UIDs alone.
    """

    abnormal = False

    def __init__(self, held: Held, frames: Frames, header: Dataset) -> None:
        self._held = held
        self._frames = frames
        title = values.text(header, "ContentDescription") or "Fusion"
        upper = _layer(header, "SUPERIMPOSED")
        self.images_above = frozenset(_images(upper))
        window = values.item(upper, "SoftcopyVOILUTSequence")
        center = values.known(values.number(window, "WindowCenter")) or 0.0
        width = values.known(values.number(window, "WindowWidth")) or 1.0
        self._low, self._high = center - width / 2, center + width / 2
        self._opacity = values.known(values.number(header, "RelativeOpacity")) or 0.5
        self._table = _palette(header)
        rgb = tuple(int(one) for one in self._table[200])
        entry = Entry(ENTRY, title, (rgb[0], rgb[1], rgb[2]))
        self.legend = Legend(title, (entry,), ColourScale(self._low, self._high, ""))
        self.above: Stack | None = None

    @property
    def size_bytes(self) -> int:
        return 4096 + 128 * len(self.images_above)

    def draw(self, canvas: Canvas, stack: Stack, shown: Slice, style: Style) -> None:
        upper = self._over(shown)
        if upper is None or (self._held.id, ENTRY) in style.without:
            return
        with self._frames(upper.held) as opened:
            numbers = numbers_of(opened, upper.frame)
            line = grey.rescale_of(opened.header, upper.frame)
        if numbers is None:
            return
        plane = numbers.array.astype(np.float32)
        if line is not None:
            plane = plane * np.float32(line.slope) + np.float32(line.intercept)
        matrix = None
        if upper.place is not None and shown.place is not None:
            matrix = upper.place.from_pixels_of(shown.place)
        canvas.shades(self._coloured(canvas.sampled(plane, matrix)))

    def best(self, stack: Stack) -> int | None:
        """Where the most is seen above."""
        lying = [(i, upper) for i, one in enumerate(stack.slices) if (upper := self._over(one))]
        sums = [(self._most(upper), -index) for index, upper in lying[:: max(len(lying) // 60, 1)]]
        return -max(sums)[1] if sums else None

    def _most(self, upper: Slice) -> float:
        with self._frames(upper.held) as opened:
            numbers = numbers_of(opened, upper.frame)
        return 0.0 if numbers is None else float(values_shown(numbers).mean())

    def _over(self, shown: Slice) -> Slice | None:
        above = self.above
        if above is None or shown.place is None:
            return None
        index = above.nearest(shown.place)
        upper = None if index is None else above.slices[index]
        if upper is None or upper.place is None:
            return None
        apart = abs(float((upper.place.position - shown.place.position) @ shown.place.normal))
        return upper if apart <= max(upper.place.spacing) else None

    def _coloured(self, plane: NDArray[Any]) -> NDArray[np.uint8]:
        shares = np.clip((plane - self._low) / max(self._high - self._low, 1e-12), 0, 1)
        rgba = np.empty((*plane.shape, 4), np.uint8)
        rgba[..., :3] = self._table[(shares * 255).astype(np.uint8)]
        rgba[..., 3] = (np.clip(shares / _FAINT, 0, 1) * self._opacity * 255).astype(np.uint8)
        return rgba


def _layer(header: Dataset, position: str) -> Dataset:
    layers = values.items(header, "BlendingSequence")
    found = (one for one in layers if values.text(one, "BlendingPosition") == position)
    return next(found, Dataset())


def _images(layer: Dataset) -> Iterator[str]:
    for series in values.items(layer, "ReferencedSeriesSequence"):
        for image in values.items(series, "ReferencedImageSequence"):
            yield values.uid(image, "ReferencedSOPInstanceUID")


def _palette(header: Dataset) -> NDArray[np.uint8]:
    """(256, 3): the state's own colours; ours where they cannot be read."""
    with suppress(*DAMAGED):
        steps = np.arange(256, dtype=np.uint8)[None]
        table: NDArray[Any] = np.asarray(apply_color_lut(steps, header))[0]
        if table.shape == (256, 3):
            return np.asarray(table if table.dtype == np.uint8 else table >> 8, np.uint8)
    return colour_map.TABLE
