"""What everything that can lie over images has in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from node.look.canvas import Canvas, Rgb, Style
from node.look.stack import Slice, Stack
from node.retrieve.opened import OpenFrames
from storage.holdings import Held

Frames = Callable[[Held], AbstractContextManager[OpenFrames]]
"""Opens the frames of an instance. Raises what ``open_frames`` raises."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend. number: by which it can be left out. said: its volume, its numbers."""

    number: int
    label: str
    rgb: Rgb
    said: str = ""


@dataclass(frozen=True, slots=True)
class ColourScale:
    """What the colours of a map mean, from ``low`` to ``high``."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Legend:
    """What an object shows, in the words of its maker. caution: what is not shown of it."""

    title: str
    entries: tuple[Entry, ...]
    scale: ColourScale | None = None
    caution: str = ""


class Overlay(Protocol):
    """An object that lies over images; made once, asked for every slice."""

    @property
    def legend(self) -> Legend: ...

    @property
    def abnormal(self) -> bool:
        """Whether it shows what should not be there, as its maker says."""
        ...

    @property
    def size_bytes(self) -> int:
        """About so much memory."""
        ...

    def draw(self, canvas: Canvas, stack: Stack, shown: Slice, style: Style) -> None:
        """Draw what of it lies on a slice.

        Raises
        ------
        UnreadablePixels, UnreadableInstance, OSError
        """
        ...

    def best(self, stack: Stack) -> int | None:
        """The slice on which its first finding is seen best; None where nothing of it lies on
        this stack."""
        ...
