"""DejaVu Sans 2.37, unchanged: Latin, Greek, Cyrillic and mathematics; its licence lies beside it.

The same letters on every machine: what is drawn with them has the same bytes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

REGULAR = Path(__file__).with_name("DejaVuSans.ttf")
BOLD = Path(__file__).with_name("DejaVuSans-Bold.ttf")


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The letters in a size in pixels, laid out without what a machine may have installed."""
    path = BOLD if bold else REGULAR
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
