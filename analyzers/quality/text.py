"""Finds lettering burned into the pixels: rows of small marks of one and the same brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_LETTERS = 4
_HEIGHTS_PX = (5, 60)
_LEAST_FILL, _LARGEST_FILL = 0.15, 0.95


@dataclass(frozen=True, slots=True)
class TextRow:
    """Box of a row of letters in pixels, corners inclusive, and how many marks it has."""

    top: int
    left: int
    bottom: int
    right: int
    letters: int


def text_rows(plane: NDArray[Any]) -> list[TextRow]:
    """Rows of lettering in one slice ``(row, column)``, top to bottom.

    Lettering is written over an image in one value, the brightest of it as a rule. Found are
    connected marks of that value, as high as letters and not solid, four or more of which stand on
    a line. Handwriting on film, slanted or anti-aliased text is not found.
    """
    if plane.size == 0 or plane.max() == plane.min():
        return []
    marks = (plane == plane.max()).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    letters = [tuple(int(v) for v in stats[index]) for index in range(1, count)]
    letters = [one for one in letters if _is_letter(one)]
    rows: list[list[tuple[int, ...]]] = []
    for letter in sorted(letters):
        for row in rows:
            if _continues(row[-1], letter):
                row.append(letter)
                break
        else:
            rows.append([letter])
    found = [_row(row) for row in rows if len(row) >= LEAST_LETTERS]
    return sorted(found, key=lambda row: (row.top, row.left))


def _is_letter(mark: tuple[int, ...]) -> bool:
    _, _, width, height, area = mark
    low, high = _HEIGHTS_PX
    if not (low <= height <= high and 1 <= width <= 2 * height):
        return False
    return width <= 2 or _LEAST_FILL <= area / (width * height) <= _LARGEST_FILL


def _continues(before: tuple[int, ...], letter: tuple[int, ...]) -> bool:
    left, top, width, height, _ = before
    gap = letter[0] - (left + width)
    base = abs((letter[1] + letter[3]) - (top + height))
    alike = 0.6 <= letter[3] / height <= 1.7
    return -1 <= gap <= 1.5 * height and base <= 0.3 * height and alike


def _row(row: list[tuple[int, ...]]) -> TextRow:
    return TextRow(
        top=min(one[1] for one in row),
        left=min(one[0] for one in row),
        bottom=max(one[1] + one[3] for one in row) - 1,
        right=max(one[0] + one[2] for one in row) - 1,
        letters=len(row),
    )
