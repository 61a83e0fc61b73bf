"""Letters and small signs on pictures."""

from __future__ import annotations

from PIL import ImageDraw

from node.results.forms.marks import Rgb
from node.results.pictures.fonts import font

PAPER: Rgb = (16, 18, 22)
INK: Rgb = (240, 240, 240)
FAINT: Rgb = (185, 190, 200)
WARNING: Rgb = (255, 200, 80)
EDGE: Rgb = (0, 0, 0)


class Pen:
    """Writes on a picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def write(
        self, text: str, at: tuple[float, float], size: int, rgb: Rgb, *, bold: bool = False
    ) -> None:
        self._draw.text(at, text, rgb, font(size, bold=bold))

    def over(self, text: str, at: tuple[float, float], anchor: str, size: int, rgb: Rgb) -> None:
        """Letters over an image: with a dark edge, so that they are read on white too."""
        letters = font(size, bold=True)
        self._draw.text(at, text, rgb, letters, anchor, stroke_width=2, stroke_fill=EDGE)

    def ruler(self, left: int, y: int, length: int) -> None:
        for rgb, width in ((EDGE, 5), (INK, 2)):
            edge = (width - 1) // 2
            self._draw.line((left - edge, y, left + length + edge, y), rgb, width)
            for x in (left, left + length):
                self._draw.line((x, y - 5 - edge, x, y + 5 + edge), rgb, width)

    def swatch(self, at: tuple[int, int], rgb: Rgb, number: str) -> None:
        left, top = at
        self._draw.rectangle((left, top, left + 20, top + 18), fill=rgb)
        if number:
            dark = sum(rgb) > 330
            ink = EDGE if dark else INK
            self._draw.text((left + 10, top + 9), number, ink, font(14, bold=True), "mm")


def folded(text: str, room: int, size: int, *, bold: bool = False) -> list[str]:
    """The text in lines that fit; a word that does not is cut."""
    letters, lines = font(size, bold=bold), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if letters.getlength(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [cut(line, room, size, bold=bold) for line in lines]


def cut(text: str, room: int, size: int, *, bold: bool = False) -> str:
    """The beginning of a text, as much as fits on a line."""
    letters = font(size, bold=bold)
    if letters.getlength(text) <= room:
        return text
    while text and letters.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text.rstrip()}…"
