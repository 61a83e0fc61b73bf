"""A series as the viewer's script gets it: each slice's place and size, and its windows."""

from __future__ import annotations

from typing import Any

from node.look.looker import Looker
from node.look.presets import Shades
from node.look.stack import Slice
from node.results.pictures.windows import Window
from node.web.viewer.own import desk as desks
from node.web.viewer.own import view as views
from node.web.viewer.own.desk import Desk


def stack_shape(looker: Looker, desk: Desk) -> dict[str, Any]:
    """JSON values."""
    shades = desks.shades(looker, desk)
    count = len(desk.stack.slices)
    return {
        "slices": [_slice(looker, one, count) for one in desk.stack.slices],
        "beside": _beside(desk),
        "shades": _shades(shades),
        "of": count,
    }


def _beside(desk: Desk) -> list[int]:
    """By slice the one of the series beside it, both from 0; empty where there is none."""
    other = desk.beside
    if other is None:
        return []
    return [other.beside(desk.stack, index) for index in range(len(desk.stack.slices))]


def _slice(looker: Looker, shown: Slice, count: int) -> dict[str, Any]:
    facts = looker.facts(shown, count)
    sides = views.sides(shown, facts.orientation)
    place = shown.place
    return {
        "size": [shown.rows, shown.columns],
        "sides": [sides.left, sides.right, sides.top, sides.bottom],
        "place": views.place(shown, count),
        "mm": list(facts.pixel_mm) if facts.pixel_mm else None,
        "at": None
        if place is None
        else [
            [round(float(one), 4) for one in vector]
            for vector in (place.position, place.along_columns, place.along_rows)
        ],
    }


def _shades(shades: Shades) -> dict[str, Any]:
    return {
        "grey": shades.is_grey,
        "unit": shades.unit,
        "first": _window(shades.first),
        "presets": [{"name": one.name, **(_window(one.window) or {})} for one in shades.presets],
    }


def _window(window: Window | None) -> dict[str, Any] | None:
    if window is None:
        return None
    return {"low": window.low, "high": window.high, "negative": window.is_negative}
