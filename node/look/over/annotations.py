"""Presentation states: the graphics and texts that somebody wrote on images (PS3.3 C.10.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.look.canvas import Canvas, Rgb, Style
from node.look.over.marks import Marks
from node.look.over.port import Entry, Frames, Legend
from node.look.over.shapes import Shape, points_of
from node.look.stack import Slice, Stack
from node.retrieve import colours
from storage.header import values
from storage.holdings import Held

_ALONE: Rgb = (255, 210, 60)
"""Of layers that recommend no colour."""


class Annotations(Marks):
    """A state's graphics, with its layers as the legend. References that name no image are to all
    that the state is for."""

    def __init__(self, held: Held, frames: Frames, header: Dataset) -> None:
        layers = _layers(header)
        names = {layer: number for number, layer in enumerate(layers, 1)}
        images = frozenset(_images(header))
        made = list(_annotations(header, names))
        used = {one.entry for one in made}
        entries = tuple(
            Entry(names[layer], layer.capitalize(), rgb)
            for layer, rgb in layers.items()
            if names[layer] in used
        )
        title = values.text(header, "ContentDescription") or values.text(header, "ContentLabel")
        super().__init__(
            held, Legend(title or "Annotations", entries, None, _caution(header)), made
        )
        self._images = images

    def draw(self, canvas: Canvas, stack: Stack, shown: Slice, style: Style) -> None:
        if not self._images or shown.held.sop_instance_uid in self._images:
            super().draw(canvas, stack, shown, style)


def _caution(header: Dataset) -> str:
    """What of the state is not shown."""
    turned = values.known(values.whole(header, "ImageRotation"))
    mirrored = values.text(header, "ImageHorizontalFlip") == "Y"
    if turned or mirrored:
        return "The state turns the image; it is shown as it was made."
    return ""


def _layers(header: Dataset) -> dict[str, Rgb]:
    found: dict[str, Rgb] = {}
    for item in values.items(header, "GraphicLayerSequence"):
        lab = values.known(values.numbers(item, "GraphicLayerRecommendedDisplayCIELabValue"))
        rgb = colours.rgb_of_lab(*lab) if lab is not None and len(lab) == 3 else _ALONE
        found[values.text(item, "GraphicLayer")] = rgb
    for item in values.items(header, "GraphicAnnotationSequence"):
        found.setdefault(values.text(item, "GraphicLayer"), _ALONE)
    return found


def _images(header: Dataset) -> Iterator[str]:
    for series in values.items(header, "ReferencedSeriesSequence"):
        for image in values.items(series, "ReferencedImageSequence"):
            yield values.uid(image, "ReferencedSOPInstanceUID")


def _annotations(header: Dataset, layers: dict[str, int]) -> Iterator[Shape]:
    for item in values.items(header, "GraphicAnnotationSequence"):
        entry = layers[values.text(item, "GraphicLayer")]
        places = list(_references(item)) or [("", frozenset[int]())]
        for uid, frames in places:
            for graphic in values.items(item, "GraphicObjectSequence"):
                yield from _graphic(graphic, entry, uid, frames)
            for text in values.items(item, "TextObjectSequence"):
                yield from _text(text, entry, uid, frames)


def _references(item: Dataset) -> Iterator[tuple[str, frozenset[int]]]:
    for image in values.items(item, "ReferencedImageSequence"):
        frames = values.known(values.numbers(image, "ReferencedFrameNumber")) or ()
        uid = values.uid(image, "ReferencedSOPInstanceUID")
        yield uid, frozenset(int(one) for one in frames)


def _graphic(item: Dataset, entry: int, uid: str, frames: frozenset[int]) -> Iterator[Shape]:
    """What is given in shares of the displayed area has no place on the image itself."""
    data: Any = values.known(values.numbers(item, "GraphicData"))
    points = points_of(data, 2)
    is_on_image = values.text(item, "GraphicAnnotationUnits") != "DISPLAY"
    if points is None or not is_on_image:
        return
    filled = values.text(item, "GraphicFilled") == "Y"
    yield Shape(values.text(item, "GraphicType"), points, entry, uid, frames, filled)


def _text(item: Dataset, entry: int, uid: str, frames: frozenset[int]) -> Iterator[Shape]:
    words = values.text(item, "UnformattedTextValue").replace("\r\n", "\n")
    point = _anchor(item)
    if words and point is not None:
        yield Written("TEXT", point, entry, uid, frames, words=words)


def _anchor(item: Dataset) -> NDArray[np.float64] | None:
    """Where a text stands: its box's upper left corner, else its anchor."""
    for keyword, unit in (
        ("BoundingBoxTopLeftHandCorner", "BoundingBoxAnnotationUnits"),
        ("AnchorPoint", "AnchorPointAnnotationUnits"),
    ):
        data: Any = values.known(values.numbers(item, keyword))
        points = points_of(data, 2)
        if points is not None and values.text(item, unit) != "DISPLAY":
            return points[:1]
    return None


class Written(Shape):
    """Words alone."""

    __slots__ = ()

    def draw(self, canvas: Canvas, shown: Slice, rgb: Rgb) -> None:
        canvas.text(self.points[0], self.words, rgb, "la")
