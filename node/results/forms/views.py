"""Which slices matter: where structures are largest, and the middles of boxes.

One slice may show several; where findings want more slices than anyone looks through, those are
taken that show most of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.results.forms.marks import Mark

MOST_VIEWS = 12
ENOUGH = 0.5
"""A slice shows a structure well if it holds this share of its largest area."""


@dataclass(frozen=True, slots=True)
class View:
    """A slice, and what is found on it; those first for which it was chosen."""

    index: int
    marks: tuple[Mark, ...]


def of(marks: Sequence[Mark], most: int = MOST_VIEWS) -> list[View]:
    """At most so many, in the order of the slices."""
    wanted = sorted({mark.key_slice for mark in marks})
    chosen = wanted if len(wanted) <= most else _best(marks, wanted, most)
    return [_view(index, marks) for index in sorted(chosen)]


def _best(marks: Sequence[Mark], wanted: Sequence[int], most: int) -> list[int]:
    """One after another, the slice that shows most of what none before has shown."""
    left, chosen = list(marks), list[int]()
    while left and len(chosen) < most:
        shows = {index: [one for one in left if one.share(index) >= ENOUGH] for index in wanted}
        index = max(wanted, key=lambda one: len(shows[one]))
        chosen.append(index)
        left = [one for one in left if one not in shows[index]]
    return chosen


def _view(index: int, marks: Sequence[Mark]) -> View:
    here = [mark for mark in marks if mark.share(index) > 0]
    return View(index, tuple(sorted(here, key=lambda mark: mark.key_slice != index)))
