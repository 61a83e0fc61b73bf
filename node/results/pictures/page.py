"""Puts cuts through a volume on one picture, with outlines, boxes, marks and a legend.

Owns the drawing alone. Radiological view: the patient's right is on the left of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from analyzers.contract import Labels
from node.results.pictures import colour_map

Rgb = tuple[int, int, int]

HEIGHT = 512
"""Pixels of the tallest cut; the others have the same scale."""
HEAD, GAP, LEGEND_LINE, MIN_WIDTH = 34, 12, 26, 420
BACKGROUND, INK, FAINT, EDGE = (16, 18, 22), (235, 235, 235), (165, 170, 180), (0, 0, 0)
RADIOGRAPH = "radiograph"
"""The name of a cut that is none: a projection."""
BAR = 220
"""Pixels of the bar of a map's colours."""
_COMPRESSION = 3
"""Of zlib."""
FILL = 0.22
"""Share of a structure's colour inside of its outline."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of a cut, from the outer edge of its first to that of its last.

    said: what is written above it: how certain it is.
    """

    left: int
    top: int
    right: int
    bottom: int
    rgb: Rgb
    said: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A plane through the volume: axial with the front up, coronal with the head up. Or a
    radiograph, whose sides are marked, if at all, on the film.

    grey: uint8, columns rise to the patient's left. size_mm: height and width.
    """

    name: str
    grey: NDArray[np.uint8]
    size_mm: tuple[float, float]
    labels: tuple[Labels, ...] = ()
    """Label images; the last lies on top."""
    colours: Mapping[int, Rgb] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    caption: str = ""
    over: NDArray[np.uint8] | None = None
    """Colours with their opacity, (row, column, 4), of each pixel."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend."""

    label: str
    rgb: Rgb


@dataclass(frozen=True, slots=True)
class Scale:
    """What the colours of a map mean, in words: its lowest value, its highest."""

    low: str
    high: str


def draw(
    cuts: Sequence[Cut],
    title: str,
    legend: Sequence[Entry],
    path: Path,
    colours: Scale | None = None,
) -> None:
    """Write the picture as PNG: the title, the cuts side by side, legend and colours below."""
    scale = HEIGHT / max(cut.size_mm[0] for cut in cuts)
    pictures = [_picture(cut, scale) for cut in cuts]
    width = max(sum(p.width for p in pictures) + GAP * (len(pictures) + 1), MIN_WIDTH)
    lines = len(legend) + (colours is not None)
    page = Image.new("RGB", (width, HEAD + HEIGHT + LEGEND_LINE * lines + 16), BACKGROUND)
    pen = ImageDraw.Draw(page)
    pen.text((GAP, 8), title, INK, _fitting(pen, title, width - 2 * GAP))
    left = GAP
    for cut, picture in zip(cuts, pictures, strict=True):
        top = HEAD + (HEIGHT - picture.height) // 2
        page.paste(picture, (left, top))
        _mark(pen, (left, top, left + picture.width, top + picture.height), cut)
        left += picture.width + GAP
    _legend(pen, legend)
    if colours is not None:
        _scale(page, pen, colours, HEAD + HEIGHT + 8 + LEGEND_LINE * len(legend))
    page.save(path, "PNG", compress_level=_COMPRESSION)


def _fitting(pen: ImageDraw.ImageDraw, words: str, width: int) -> Any:
    """The largest font in which words are no wider; the smallest, where none is."""
    fonts = [ImageFont.load_default(size) for size in (17, 15, 13, 11)]
    return next((one for one in fonts if pen.textlength(words, one) <= width), fonts[-1])


def _picture(cut: Cut, scale: float) -> Image.Image:
    """The cut in the size of the page; outlines are drawn there, so that they stay thin."""
    height, width = (max(round(extent * scale), 1) for extent in cut.size_mm)
    grey = Image.fromarray(cut.grey).resize((width, height), Image.Resampling.BICUBIC)
    picture = np.repeat(np.asarray(grey)[..., None], 3, axis=2)
    for layer in cut.labels:
        flat = Image.fromarray(layer.astype(np.int32))
        labels = np.asarray(flat.resize((width, height), Image.Resampling.NEAREST))
        for number in set(np.unique(labels).tolist()) & set(cut.colours):
            _colour(picture, labels == number, cut.colours[number])
    image = Image.fromarray(picture)
    if cut.over is not None:
        over = Image.fromarray(cut.over).resize((width, height), Image.Resampling.BILINEAR)
        image.paste(over, (0, 0), over)
    pen = ImageDraw.Draw(image)
    down, right = height / cut.grey.shape[0], width / cut.grey.shape[1]
    for box in cut.boxes:
        corners = (box.left * right, box.top * down, box.right * right - 1, box.bottom * down - 1)
        pen.rectangle(corners, outline=box.rgb, width=2)
        _say(pen, corners, box)
    return image


def _say(pen: ImageDraw.ImageDraw, corners: tuple[float, float, float, float], box: Box) -> None:
    """Above the box, or within where there is no room."""
    left, top = corners[0], corners[1]
    has_room = top > 20
    place = (left, top - 3) if has_room else (left + 4, top + 4)
    font, anchor = ImageFont.load_default(15), "ls" if has_room else "la"
    pen.text(place, box.said, INK, font, anchor, stroke_width=2, stroke_fill=EDGE)


def _colour(picture: NDArray[np.uint8], mask: NDArray[np.bool_], rgb: Rgb) -> None:
    padded = np.pad(mask, 1)
    inner = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    tint = np.array(rgb, np.float32) * FILL
    picture[inner] = (picture[inner] * (1 - FILL) + tint).astype(np.uint8)
    picture[mask & ~inner] = rgb


def _mark(pen: ImageDraw.ImageDraw, frame: tuple[int, int, int, int], cut: Cut) -> None:
    """R and L at the sides, what is up at the top, the name of the cut at the bottom."""
    left, top, right, bottom = frame
    middle, font = (top + bottom) // 2, ImageFont.load_default(18)
    up = "A" if cut.name == "axial" else "H"
    sides = (
        ((left + 6, middle), "lm", "R"),
        ((right - 6, middle), "rm", "L"),
        (((left + right) // 2, top + 4), "mt", up),
    )
    for place, anchor, letter in () if cut.name == RADIOGRAPH else sides:
        pen.text(place, letter, INK, font, anchor, stroke_width=2, stroke_fill=EDGE)
    caption = f"{cut.name}, {cut.caption}" if cut.caption else cut.name
    corner, font = (left + 6, bottom - 6), ImageFont.load_default(14)
    pen.text(corner, caption, FAINT, font, "lb", stroke_width=2, stroke_fill=EDGE)


def _legend(pen: ImageDraw.ImageDraw, legend: Sequence[Entry]) -> None:
    for line, entry in enumerate(legend):
        y = HEAD + HEIGHT + 8 + line * LEGEND_LINE
        pen.rectangle((GAP, y + 3, GAP + 16, y + 19), fill=entry.rgb)
        pen.text((GAP + 26, y + 1), entry.label, INK, ImageFont.load_default(16))


def _scale(page: Image.Image, pen: ImageDraw.ImageDraw, colours: Scale, top: int) -> None:
    """A bar of all colours between its lowest and its highest value."""
    font = ImageFont.load_default(16)
    left = GAP + round(pen.textlength(colours.low, font)) + 10
    page.paste(Image.fromarray(colour_map.bar(BAR, 14)), (left, top + 4))
    pen.text((GAP, top + 1), colours.low, INK, font)
    pen.text((left + BAR + 10, top + 1), colours.high, INK, font)
