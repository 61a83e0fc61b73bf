"""Draws a slice for people who see nothing but pictures: outlines, legend, scale, sides.

Owns the drawing alone: what is shown, and in which words, is given. Pixels keep the proportions of
the patient; small images are enlarged until a reader sees them, large ones made to fit a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from node.results.forms import writing
from node.results.forms.marks import Rgb
from node.results.forms.writing import FAINT, INK, PAPER, WARNING, Pen
from node.results.modules.contours import Line

PANEL, MARGIN, HEAD, FOOT = 360, 16, 62, 40
LEAST_ZOOM_MM, ZOOM = 20.0, PANEL - 2 * MARGIN
LEAST_FACTOR = 1.5
"""What would be magnified by less is not shown again beside the image."""
LEAST_PANEL, FULL_PANEL = 480, 800
MOST_IN_FULL = 6
"""Where more is found on a slice, the legend has a line of each."""
LONGEST_ALONE = 520
"""Pixels of an image on a page, where it is half as wide as the page."""
_SHIFT = 4
"""OpenCV takes points in sixteenths of a pixel."""
_LENGTHS_MM = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True, slots=True)
class Marked:
    """A structure or box on the slice: its lines in pixels of the slice, and what is said of it.

    tag: by which it is found again in the legend; empty where it is the only one of the run.
    """

    lines: Sequence[Line]
    tag: str
    name: str
    numbers: Sequence[str]
    rgb: Rgb


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A slice as it is to be drawn.

    grey: uint8 ``(row, column)``. spacing_mm: between rows, between columns. sides: letters at the
    left, right, top and bottom; empty where they are not known. has_scale: whether the spacing is
    known. longest: pixels of the longer side of the image in the picture.
    """

    grey: NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    sides: tuple[str, str, str, str]
    has_scale: bool
    marks: Sequence[Marked]
    title: str
    place: str
    warning: str
    magnified: Callable[..., str]
    more: Callable[..., str]
    longest: int = 800


@dataclass(frozen=True, slots=True)
class _Frame:
    """A part of the slice, in its pixels, laid into a rectangle of the picture."""

    left: float
    top: float
    right: float
    bottom: float
    width: int
    height: int

    def at(self, line: Line) -> NDArray[Any]:
        """Points of the slice in pixels of the rectangle."""
        scale = (self.width / (self.right - self.left), self.height / (self.bottom - self.top))
        placed: NDArray[Any] = (line - (self.left, self.top)) * scale
        return placed


def draw(scene: Scene) -> NDArray[np.uint8]:
    """The picture, uint8 RGB."""
    whole = _whole(scene)
    panel_height = max(whole.height, FULL_PANEL if _is_crowded(scene) else LEAST_PANEL)
    size = (2 * MARGIN + whole.width + PANEL, HEAD + panel_height + FOOT)
    page = Image.new("RGB", size, PAPER)
    pen = Pen(ImageDraw.Draw(page))
    page.paste(_image(scene, whole, thickness=2), (MARGIN, HEAD))
    _letters(pen, scene, whole)
    if scene.has_scale:
        _scale_bar(pen, scene, whole)
    left = 2 * MARGIN + whole.width
    top = HEAD + _magnified(page, pen, scene, left)
    _legend(pen, scene, (left, top), HEAD + panel_height)
    _words(pen, scene, size)
    return np.asarray(page)


def alone(scene: Scene) -> NDArray[np.uint8]:
    """The image without title and legend, for a page that has its own."""
    scene = replace(scene, longest=LONGEST_ALONE)
    whole = _whole(scene)
    left, top = MARGIN, HEAD
    return draw(scene)[top : top + whole.height, left : left + whole.width]


# --- the image ------------------------------------------------------------------------------------


def _whole(scene: Scene) -> _Frame:
    rows, columns = scene.grey.shape
    height_mm, width_mm = rows * scene.spacing_mm[0], columns * scene.spacing_mm[1]
    scale = scene.longest / max(height_mm, width_mm)
    size = (max(round(width_mm * scale), 1), max(round(height_mm * scale), 1))
    return _Frame(0, 0, columns, rows, *size)


def _image(scene: Scene, frame: _Frame, thickness: int) -> Image.Image:
    box = (frame.left, frame.top, frame.right, frame.bottom)
    size = (frame.width, frame.height)
    grey = Image.fromarray(scene.grey).resize(size, Image.Resampling.BICUBIC, box=box)
    picture = np.ascontiguousarray(np.repeat(np.asarray(grey)[..., None], 3, axis=2))
    for mark in scene.marks:
        points = [np.rint(frame.at(line) * 2**_SHIFT).astype(np.int32) for line in mark.lines]
        cv2.polylines(picture, points, True, mark.rgb, thickness, cv2.LINE_AA, _SHIFT)
    image = Image.fromarray(picture)
    _tags(image, scene, frame)
    return image


def _tags(image: Image.Image, scene: Scene, frame: _Frame) -> None:
    """What leads to the legend: colours are not seen on grey screens."""
    pen = Pen(ImageDraw.Draw(image))
    for mark in scene.marks:
        largest = max(mark.lines, key=lambda line: float(np.ptp(line, axis=0).prod()))
        placed = frame.at(largest)
        corner = placed[placed[:, 1].argmin()]
        if (placed.max(axis=0) < 0).any() or (placed.min(axis=0) > image.size).any():
            continue  # it lies beside what is shown
        x = float(np.clip(corner[0], 12, frame.width - 12))
        y = float(np.clip(corner[1] - 4, 20, frame.height - 4))
        pen.over(mark.tag, (x, y), "ms", 16, mark.rgb)


def _magnified(page: Image.Image, pen: Pen, scene: Scene, left: int) -> int:
    """What is small, enlarged at the top of the panel; the height it takes there."""
    frame = _close_up(scene)
    factor = 0.0 if frame is None else _scale(frame) / _scale(_whole(scene))
    if frame is None or factor < LEAST_FACTOR or _is_crowded(scene):
        return 0
    page.paste(_image(scene, frame, thickness=1), (left, HEAD))
    place = (left + 6, HEAD + ZOOM - 6)
    pen.over(scene.magnified(factor=f"{factor:.1f}"), place, "ls", 14, INK)
    return ZOOM + MARGIN


def _is_crowded(scene: Scene) -> bool:
    return len(scene.marks) > MOST_IN_FULL


def _scale(frame: _Frame) -> float:
    return frame.width / (frame.right - frame.left)


def _close_up(scene: Scene) -> _Frame | None:
    """A square round what is looked at; None where there is nothing."""
    if not scene.marks or not scene.marks[0].lines:
        return None
    points = np.vstack(list(scene.marks[0].lines))
    spacing, pixels = np.array(scene.spacing_mm[::-1]), np.array(scene.grey.shape[::-1])
    low, high = points.min(axis=0), points.max(axis=0)
    across = float(((high - low) * spacing).max())
    half = np.minimum(max(2.5 * across, LEAST_ZOOM_MM), (pixels * spacing).min()) / spacing / 2
    centre = np.clip((low + high) / 2, half, pixels - half)
    (left, top), (right, bottom) = (centre - half).tolist(), (centre + half).tolist()
    return _Frame(left, top, right, bottom, ZOOM, ZOOM)


# --- what stands on it ----------------------------------------------------------------------------


def _letters(pen: Pen, scene: Scene, whole: _Frame) -> None:
    left, right, top, bottom = scene.sides
    x, y = MARGIN + whole.width // 2, HEAD + whole.height // 2
    pen.over(left, (MARGIN + 8, y), "lm", 20, INK)
    pen.over(right, (MARGIN + whole.width - 8, y), "rm", 20, INK)
    pen.over(top, (x, HEAD + 6), "mt", 20, INK)
    pen.over(bottom, (x, HEAD + whole.height - 6), "mb", 20, INK)


def _scale_bar(pen: Pen, scene: Scene, whole: _Frame) -> None:
    per_mm = whole.width / (scene.grey.shape[1] * scene.spacing_mm[1])
    fitting = [one for one in _LENGTHS_MM if one * per_mm <= 0.3 * whole.width]
    length = fitting[-1] if fitting else _LENGTHS_MM[0]
    left, y = MARGIN + 12, HEAD + whole.height - 14
    pen.ruler(left, y, round(length * per_mm))
    pen.over(f"{length} mm", (left, y - 10), "ls", 15, INK)


def _legend(pen: Pen, scene: Scene, corner: tuple[int, int], bottom: int) -> None:
    """Number, colour, name and numbers of each; how many more there are where they do not fit."""
    left, top = corner
    for place, mark in enumerate(scene.marks):
        entry = _in_short(mark) if _is_crowded(scene) else _in_full(mark)
        height = sum(line.height for line in entry)
        if top + height > bottom - 24:
            pen.write(scene.more(count=len(scene.marks) - place), (left, top), 15, INK)
            return
        pen.swatch((left, top + 2), mark.rgb, mark.tag)
        for line in entry:
            pen.write(line.text, (left + 30, top), line.size, line.rgb, bold=line.bold)
            top += line.height


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: int
    rgb: Rgb
    height: int
    bold: bool = False


_LEGEND_ROOM = PANEL - MARGIN - 30


def _in_full(mark: Marked) -> list[_Line]:
    names = writing.folded(mark.name, _LEGEND_ROOM, 17, bold=True)
    said = [part for one in mark.numbers for part in writing.folded(one, _LEGEND_ROOM, 15)]
    lines = [_Line(one, 17, INK, 24, bold=True) for one in names]
    lines += [_Line(one, 15, FAINT, 20) for one in said]
    return [*lines, _Line("", 15, FAINT, 10)]


def _in_short(mark: Marked) -> list[_Line]:
    """The name, and the first number."""
    text = ", ".join((mark.name, *mark.numbers[:1]))
    return [_Line(writing.cut(text, _LEGEND_ROOM, 14), 14, INK, 23)]


def _words(pen: Pen, scene: Scene, size: tuple[int, int]) -> None:
    room = size[0] - 2 * MARGIN
    pen.write(writing.cut(scene.title, room, 20, bold=True), (MARGIN, 8), 20, INK, bold=True)
    pen.write(writing.cut(scene.place, room, 15), (MARGIN, 36), 15, FAINT)
    pen.write(scene.warning, (MARGIN, size[1] - 30), 17, WARNING, bold=True)
