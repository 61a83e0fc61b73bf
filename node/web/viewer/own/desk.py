"""What a URL of the viewer comes to: the series, the slice, the objects that lie over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi import HTTPException

from node.look import pictures
from node.look.canvas import Style
from node.look.looker import BROKEN, Looker, NothingToLookAt, Study
from node.look.objects import OverObject
from node.look.over.port import Legend
from node.look.pictures import Look
from node.look.presets import Shades
from node.look.stack import Slice, Stack
from node.results.pictures.windows import Window
from node.web.viewer.own.asked import Asked
from storage.errors import NotFound
from storage.index.shown import ShownSeries

UNREADABLE = Legend("This object cannot be read", ())


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """An object over the series, and whether it is drawn. legend: only of those that are."""

    object: OverObject
    on: bool
    legend: Legend | None


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """``asked``: with what it left open filled in. window: None: as the image says itself."""

    study: Study
    series: ShownSeries
    stack: Stack
    index: int
    over: tuple[OverObject, ...]
    asked: Asked
    beside: Stack | None = None
    """Of the series that is shown beside it."""

    @property
    def shown(self) -> Slice:
        return self.stack.slices[self.index]

    @property
    def drawn(self) -> list[OverObject]:
        rows = self.asked.objects or ()
        return [one for row in rows for one in self.over if one.held.id == row]

    def look(self, window: Window | None, longest: int) -> Look:
        return Look(
            window,
            tuple(one.held for one in self.drawn),
            Style(self.asked.filled, self.asked.without),
            self.asked.opacity / 100,
            longest,
        )


def desk(looker: Looker, study_id: int, asked: Asked) -> Desk:
    """
    Raises
    ------
    HTTPException
        404: there is no such study, series, slice or object.
    DatabaseUnavailable
    """
    try:
        return _desk(looker, study_id, asked)
    except (NothingToLookAt, NotFound) as error:
        raise HTTPException(404, str(error)) from error


def _desk(looker: Looker, study_id: int, asked: Asked) -> Desk:
    study = looker.study(study_id)
    asked = _of_images(study, asked)
    series = _series(looker, study, asked)
    stack = looker.stack(study, series.id)
    over = looker.over(study, series)
    objects, index = asked.objects, None if asked.slice is None else asked.slice - 1
    if objects and not {one.held.id for one in over} & set(objects):
        objects, index = _image(stack, objects[0], index)
    if objects is None:
        first, found = looker.first_finding(study, stack, over)
        objects = (first.held.id,) if first else ()
        index = found if index is None else index
    if index is None:
        index = _slice_of(looker, study, stack, [one for one in over if one.held.id in objects])
    if index >= len(stack.slices):
        raise NothingToLookAt(f"the series has {len(stack.slices)} slices")
    known = {one.held.id for one in over}
    objects = tuple(row for row in objects if row in known)
    filled = replace(asked, series=series.id, slice=index + 1, objects=objects)
    return Desk(study, series, stack, index, tuple(over), filled, _beside(looker, study, filled))


def _of_images(study: Study, asked: Asked) -> Asked:
    """Who asks for the series of a segmentation or a report asks for what it lies over."""
    rows = [one.held.id for one in study.over if one.series_id == asked.series]
    if not rows or any(one.id == asked.series for one in study.series):
        return asked
    return replace(asked, series=None, objects=asked.objects or (rows[0],))


def _beside(looker: Looker, study: Study, asked: Asked) -> Stack | None:
    """The series asked for; beside one that was made, the one that it was made from."""
    row = asked.beside
    if row is None and asked.series is not None:
        made = study.made_from(looker.stack(study, asked.series))
        row = made if made != asked.series else 0
    if not row or all(one.id != row for one in study.series):
        return None
    return looker.stack(study, row)


def _image(stack: Stack, row: int, index: int | None) -> tuple[tuple[int, ...] | None, int | None]:
    """What is shown where the object is an image itself: that; where it is neither, what is found
    first."""
    for at, one in enumerate(stack.slices):
        if one.held.id == row:
            return (), at if index is None else index
    return None, index


def _slice_of(looker: Looker, study: Study, stack: Stack, over: Sequence[OverObject]) -> int:
    for one in over:
        try:
            found = looker.overlay(study, one.held).best(stack)
        except (*BROKEN, NothingToLookAt):
            continue
        if found is not None:
            return found
    return (len(stack.slices) - 1) // 2


def _series(looker: Looker, study: Study, asked: Asked) -> ShownSeries:
    """The one asked for, that of the object asked for, that of the newest finding, or the largest
    from outside."""
    if not study.series:
        raise NothingToLookAt("the study has no images to show")
    if asked.series is not None:
        return study.find(asked.series)
    if asked.objects:
        found = _series_of_object(looker, study, asked.objects[0])
        if found is not None:
            return found
    largest = max(study.series, key=lambda one: (not one.own, one.instances, -one.id))
    ranked = [
        (over[0].rank, number, series)
        for number, series in enumerate(study.series)
        if (over := looker.over(study, series)) and over[0].of_series
    ]
    return min(ranked)[2] if ranked else largest


def _series_of_object(looker: Looker, study: Study, row: int) -> ShownSeries | None:
    """The series that an object lies over; its own, where it is an image."""
    for series in study.series:
        if any(one.held.id == row and one.of_series for one in looker.over(study, series)):
            return series
    for series in study.series:
        stack = looker.stack(study, series.id)
        if any(one.held.id == row for one in stack.slices):
            return series
    return None


# --- what is said of it ---------------------------------------------------------------------------


def laid(looker: Looker, desk: Desk) -> list[Laid]:
    """Every object over the series: first those that are drawn, with their legends."""
    drawn = {one.held.id for one in desk.drawn}
    return [
        Laid(one, one.held.id in drawn, _legend(looker, desk.study, one, drawn))
        for one in sorted(desk.over, key=lambda one: one.held.id not in drawn)
    ]


def _legend(looker: Looker, study: Study, one: OverObject, drawn: set[int]) -> Legend | None:
    if one.held.id not in drawn:
        return None
    try:
        return looker.overlay(study, one.held).legend
    except (*BROKEN, NothingToLookAt):
        return UNREADABLE


def shades(looker: Looker, desk: Desk) -> Shades:
    """The windows of the series, by what is found on it."""
    kinds: list[str] = []
    for one in laid(looker, desk):
        if one.legend is not None:
            kinds += [entry.label for entry in one.legend.entries]
    return pictures.shades(looker, desk.stack, kinds)


def window_of(found: Shades, asked: Asked) -> Window | None:
    """The window in which the picture is drawn; None: as the image says itself."""
    if asked.as_given or not found.is_grey:
        return None
    return asked.window or found.first
