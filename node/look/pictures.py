"""Pictures of slices with what lies over them, and the numbers of frames, for browsers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from node.look import presets
from node.look.canvas import Canvas, Style, laid_over, size_of
from node.look.looker import BROKEN, Looker, NothingToLookAt, Study
from node.look.presets import Shades
from node.look.stack import Slice, Stack
from node.look.values_of import Numbers, numbers_of
from node.results.pictures.windows import Window
from node.retrieve.rendered import View, encoded, picture
from storage.holdings import Held

JPEG, PNG, WEBP = "jpg", "png", "webp"
MEDIA_TYPES = {JPEG: "image/jpeg", PNG: "image/png", WEBP: "image/webp"}
_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Look:
    """How a slice is shown. longest: pixels of the longer side. window: None: as the image says."""

    window: Window | None
    over: tuple[Held, ...] = ()
    style: Style = field(default_factory=Style)
    opacity: float = 1.0
    longest: int = 800


def shades(looker: Looker, stack: Stack, kinds: Sequence[str]) -> Shades:
    """From the middle slice; ``kinds``: what is found, in words. Raises what decoding raises."""
    middle = stack.slices[len(stack.slices) // 2]

    def make() -> Shades:
        with looker.frames(middle.held) as opened:
            numbers = numbers_of(opened, middle.frame)
            if numbers is None:
                return Shades(None, (), False, "")
            first = presets.first(numbers, opened.header, middle.frame, kinds)
            choice = tuple(presets.presets(numbers, opened.header, middle.frame))
            return Shades(first.window, choice, True, numbers.scale.unit)

    return looker.shades.get((middle.held.sha256, middle.frame, tuple(kinds)), make)


def frame_numbers(looker: Looker, shown: Slice) -> Numbers | None:
    """None of what is in colour. Raises what decoding raises."""
    with looker.frames(shown.held) as opened:
        return numbers_of(opened, shown.frame)


def drawn(looker: Looker, study: Study, stack: Stack, index: int, look: Look, form: str) -> bytes:
    """A slice with what lies over it, as a file. Raises what decoding raises."""
    shown = stack.slices[index]
    key = ("drawn", shown.held.sha256, shown.frame, look, form, study.id, study.revision)

    def make() -> bytes:
        size = size_of(shown, look.longest)
        plain = _resized(_base(looker, shown, look.window), size)
        if look.over:
            plain = laid_over(plain, _over(looker, study, stack, index, look, size), look.opacity)
        return written(plain, form)

    return looker.pictures.get(key, make)


def overlay(looker: Looker, study: Study, stack: Stack, index: int, look: Look) -> bytes:
    """What lies over a slice alone, transparent elsewhere, as PNG."""
    shown = stack.slices[index]
    key = ("over", shown.held.sha256, shown.frame, look.over, look.style, study.id, study.revision)

    def make() -> bytes:
        return written(_over(looker, study, stack, index, look, size_of(shown)), PNG)

    return looker.pictures.get(key, make)


def _over(
    looker: Looker, study: Study, stack: Stack, index: int, look: Look, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """(row, column, 4). What cannot be read is left out: the legend says so."""
    shown = stack.slices[index]
    canvas = Canvas(shown, size)
    for held in look.over:
        try:
            looker.overlay(study, held).draw(canvas, stack, shown, look.style)
        except (*BROKEN, NothingToLookAt):
            continue
    return canvas.rgba


def _base(looker: Looker, shown: Slice, window: Window | None) -> NDArray[np.uint8]:
    """(row, column, 3), in the image's own pixels."""
    with looker.frames(shown.held) as opened:
        numbers = None if window is None else numbers_of(opened, shown.frame)
        if numbers is None or window is None:
            return np.asarray(picture(opened, shown.frame, View()).convert("RGB"))
    grey = presets.greys(numbers, window)
    return np.repeat(grey[..., None], 3, axis=2)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    height, width = size
    is_smaller = height * width < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def written(array: NDArray[np.uint8], form: str) -> bytes:
    """(row, column, 3 or 4) as a file."""
    image = Image.fromarray(array)
    out = io.BytesIO()
    if form == WEBP:
        image.save(out, "WEBP", quality=_QUALITY, method=2)
    elif form == PNG:
        image.save(out, "PNG", compress_level=1)
    else:
        return encoded(image, MEDIA_TYPES[JPEG], _QUALITY)
    return out.getvalue()
