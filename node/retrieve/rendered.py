"""Pictures of frames for people and pages: JPEG, PNG, GIF (PS3.18 8.3.5.1, 10.4.1.1.4)."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from node.errors import NodeError
from node.retrieve import colours, grey
from node.retrieve.grey import Window
from node.retrieve.opened import OpenFrames

JPEG, PNG, GIF = "image/jpeg", "image/png", "image/gif"
MOST_A_SIDE = 65_500
"""Pixels, of JPEG."""
QUALITY = 90
"""Of JPEG where nobody asks for another."""


class SenselessViewport(NodeError):
    """A viewport that shows nothing."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """How large a picture may be, and which part of the image it shows (PS3.18 8.3.5.1.3).

    Negative extents of the part turn it over.
    """

    width: int
    height: int
    left: float = 0
    top: float = 0
    part_width: float | None = None
    part_height: float | None = None

    def applied(self, image: Image.Image) -> Image.Image:
        """Raises SenselessViewport."""
        across = image.width - self.left if self.part_width is None else self.part_width
        down = image.height - self.top if self.part_height is None else self.part_height
        box = (self.left, self.top, self.left + abs(across), self.top + abs(down))
        if box[2] > image.width or box[3] > image.height or min(box[:2]) < 0:
            raise SenselessViewport(
                f"the viewport shows more than the image, which is {image.width}x{image.height}"
            )
        if abs(across) < 1 or abs(down) < 1:
            raise SenselessViewport("the viewport shows less than one pixel")
        scale = min(self.width / abs(across), self.height / abs(down))
        size = (max(1, round(abs(across) * scale)), max(1, round(abs(down) * scale)))
        shown = image.resize(size, Image.Resampling.BICUBIC, box)
        if across < 0:
            shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return shown.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if down < 0 else shown


@dataclass(frozen=True, slots=True)
class View:
    """How frames are shown."""

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = QUALITY


def picture(opened: OpenFrames, number: int, view: View) -> Image.Image:
    """A frame, counted from 1, as it is shown.

    Raises
    ------
    NoSuchFrame, UnreadablePixels, UnreadableInstance, SenselessViewport, OSError
    """
    samples, header = opened.samples(number), opened.header
    if colours.is_segmentation(header):
        array = colours.segments_shown(samples.array, header, number)
    elif colours.is_colour(samples):
        array = colours.shown(samples, header)
    else:
        array = grey.shown(samples.array, header, number, view.window)
    image = Image.fromarray(array)
    return image if view.viewport is None else view.viewport.applied(image)


def encoded(image: Image.Image, media_type: str, quality: int = QUALITY) -> bytes:
    """The picture as a file.

    Raises
    ------
    SenselessViewport
        It is larger than such a file can say.
    """
    if max(image.size) > MOST_A_SIDE:
        raise SenselessViewport(f"a picture has at most {MOST_A_SIDE} pixels a side: ask for fewer")
    out = io.BytesIO()
    if media_type == JPEG:
        image.save(out, "JPEG", quality=quality)
    elif media_type == PNG:
        image.save(out, "PNG", compress_level=3)
    else:
        image.save(out, "GIF")
    return out.getvalue()
