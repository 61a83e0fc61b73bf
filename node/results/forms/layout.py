"""Lays an account out on pages of A4, in points from the upper left; pixels and PDF draw the same.

Owns where things stand. Lines are broken with the letters that they are written in, so that no
renderer has to break any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from node.results.forms.account import Account, Section, Shown
from node.results.pictures.fonts import font

WIDTH, HEIGHT = 595.0, 842.0
MARGIN, FOOT = 42.0, 46.0
_ROOM = WIDTH - 2 * MARGIN
_LINE = 1.35
"""Height of a line, in sizes of its letters."""
_GAP = 10.0
_VALUE_LEFT = 0.52
"""Where the values of a table begin, as a share of its width."""


class Tone(Enum):
    """What letters and lines are for; each renderer has its colours for them."""

    INK = auto()
    FAINT = auto()
    WARNING = auto()


@dataclass(frozen=True, slots=True)
class Letters:
    """One line of text; ``y`` is its base line."""

    text: str
    x: float
    y: float
    size: float
    tone: Tone = Tone.INK
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A thin horizontal line."""

    left: float
    right: float
    y: float


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image in its rectangle, uint8 RGB."""

    pixels: NDArray[np.uint8]
    left: float
    top: float
    width: float
    height: float


Placed = Letters | Rule | Picture


@dataclass(slots=True)
class _Pages:
    """What is laid out so far; ``y``: how far down the last page is full."""

    pages: list[list[Placed]] = field(default_factory=lambda: [[]])
    y: float = MARGIN

    def make_room(self, height: float) -> None:
        """Begin a new page where the last has no room for ``height``."""
        if self.y + height > HEIGHT - FOOT and self.pages[-1]:
            self.pages.append([])
            self.y = MARGIN

    def add(self, *placed: Placed) -> None:
        self.pages[-1] += placed

    def write(self, text: str, size: float, tone: Tone = Tone.INK, *, bold: bool = False) -> None:
        """A paragraph over the whole width."""
        for line in folded(text, _ROOM, size, bold=bold):
            self.make_room(size * _LINE)
            self.add(Letters(line, MARGIN, self.y + size, size, tone, bold))
            self.y += size * _LINE


def laid_out(account: Account) -> list[list[Placed]]:
    """The pages, each with what stands on it."""
    pages = _Pages()
    pages.write(account.title, 17, bold=True)
    pages.write(account.subtitle, 10, Tone.FAINT)
    pages.write(account.warning, 11, Tone.WARNING, bold=True)
    pages.y += _GAP
    for sentence in account.answer:
        pages.write(sentence, 12, bold=True)
    for section in account.sections:
        _section(pages, section)
    if account.pictures:
        _pictures(pages, account.pictures)
    for told in account.told:
        pages.y += _GAP / 2
        pages.write(told, 9.5)
    pages.y += _GAP
    for line in account.method:
        pages.write(line, 8.5, Tone.FAINT)
    _feet(pages.pages, account)
    return pages.pages


def folded(text: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """The text in lines that fit; a word that does not is broken."""
    lines = [""]
    for word in _words(plain(text), room, size, bold):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(longer, size, bold=bold) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def plain(text: str) -> str:
    """The text with a mark in the place of what no letters are: bytes that did not decode …"""
    return "".join(one if one.isprintable() or one.isspace() else "\ufffd" for one in text)


def _words(text: str, room: float, size: float, bold: bool) -> Iterator[str]:
    for word in text.split():
        while width_of(word, size, bold=bold) > room:
            fits = max(_fitting(word, room, size, bold), 1)
            yield word[:fits]
            word = word[fits:]
        yield word


def _fitting(word: str, room: float, size: float, bold: bool) -> int:
    """How many letters of a word fit."""
    lengths = (count for count in range(len(word), 0, -1))
    return next((n for n in lengths if width_of(word[:n], size, bold=bold) <= room), 1)


_MEASURED_AT = 100


@lru_cache(maxsize=4096)
def width_of(text: str, size: float, *, bold: bool = False) -> float:
    return font(_MEASURED_AT, bold=bold).getlength(text) * size / _MEASURED_AT


# --- parts ----------------------------------------------------------------------------------------


def _section(pages: _Pages, section: Section) -> None:
    """The name of a structure, and a row for everything that is said of it."""
    pages.make_room(60)
    pages.y += _GAP
    pages.write(section.name, 11, bold=True)
    for name, value in section.rows:
        _row(pages, name, value)


def _row(pages: _Pages, name: str, value: str) -> None:
    size = 10.0
    left, middle = MARGIN + 8, MARGIN + _ROOM * _VALUE_LEFT
    names = folded(name, middle - left - 8, size)
    said = folded(value, WIDTH - MARGIN - middle, size)
    height = max(len(names), len(said)) * size * _LINE + 3
    pages.make_room(height)
    pages.add(Rule(left, WIDTH - MARGIN, pages.y))
    for x, lines, tone in ((left, names, Tone.FAINT), (middle, said, Tone.INK)):
        for number, line in enumerate(lines):
            y = pages.y + 2 + size + number * size * _LINE
            pages.add(Letters(line, x, y, size, tone))
    pages.y += height


def _pictures(pages: _Pages, shown: Sequence[Shown]) -> None:
    """Two beside each other, with what they show below them."""
    pages.y += _GAP
    across = (_ROOM - _GAP) / 2
    for pair in (shown[at : at + 2] for at in range(0, len(shown), 2)):
        captions = [folded(one.caption, across, 8.5) for one in pair]
        heights = [_height(one, across) for one in pair]
        text = max(map(len, captions)) * 8.5 * _LINE
        pages.make_room(max(heights) + text + 6)
        for place, (one, caption) in enumerate(zip(pair, captions, strict=True)):
            left = MARGIN + place * (across + _GAP)
            width = across * heights[place] / (across * one.pixels.shape[0] / one.pixels.shape[1])
            pages.add(Picture(one.pixels, left, pages.y, width, heights[place]))
            for number, line in enumerate(caption):
                y = pages.y + max(heights) + 10 + number * 8.5 * _LINE
                pages.add(Letters(line, left, y, 8.5, Tone.FAINT))
        pages.y += max(heights) + text + 8


def _height(shown: Shown, across: float) -> float:
    """As wide as the column, but no taller than it is wide."""
    rows, columns = shown.pixels.shape[:2]
    return float(min(across * rows / columns, across))


def _feet(pages: Sequence[list[Placed]], account: Account) -> None:
    for number, page in enumerate(pages, start=1):
        y = HEIGHT - FOOT + 22
        page.append(Rule(MARGIN, WIDTH - MARGIN, y - 14))
        page.append(Letters(account.warning, MARGIN, y, 9, Tone.WARNING, bold=True))
        count = f"{number} / {len(pages)}"
        page.append(Letters(count, WIDTH - MARGIN - width_of(count, 9), y, 9, Tone.FAINT))
