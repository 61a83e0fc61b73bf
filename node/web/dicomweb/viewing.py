"""How a URL wants a picture to be: window, viewport, quality (PS3.18 8.3.5.1)."""

from __future__ import annotations

import math

from starlette.requests import Request

from node.retrieve.grey import SenselessWindow, Window, WindowFunction
from node.retrieve.rendered import QUALITY, View, Viewport
from node.web.dicomweb.refusing import bad_request

MOST_PIXELS_A_SIDE = 8192
THUMBNAIL = 128
"""Pixels of a thumbnail's longer side, where no viewport is asked for."""
_USUAL = WindowFunction.LINEAR.value
NOT_APPLIED = ("annotation", "iccprofile", "presentationSeriesUID", "presentationUID")


def view_of(request: Request, thumbnail: bool = False) -> View:
    """What the query asks for.

    Raises
    ------
    HTTPException
        400: a parameter makes no sense; the answer says which, and how it is written.
    """
    viewport = _viewport(request.query_params.get("viewport"))
    if viewport is None and thumbnail:
        viewport = Viewport(THUMBNAIL, THUMBNAIL)
    window = request.query_params.get("window")
    return View(window_of(window), viewport, quality_of(request.query_params.get("quality")))


def warnings(request: Request) -> dict[str, str]:
    """Of parameters that the standard knows and this node does not (PS3.18 8.3.5)."""
    ignored = [one for one in NOT_APPLIED if one in request.query_params]
    if not ignored:
        return {}
    return {"Warning": f'299 - "the following parameters were not applied: {", ".join(ignored)}"'}


def window_of(text: str | None) -> Window | None:
    """``center,width,function``. Raises HTTPException."""
    if text is None:
        return None
    try:
        center, width, function = (text if text.count(",") > 1 else f"{text},{_USUAL}").split(",")
        return Window(float(center), float(width), WindowFunction(function.strip().lower()))
    except SenselessWindow as error:
        raise bad_request(f"window: {error}") from error
    except ValueError as error:
        functions = ", ".join(WindowFunction)
        raise bad_request(f"window is center,width,function; functions are {functions}") from error


def _viewport(text: str | None) -> Viewport | None:
    if text is None:
        return None
    parts = text.split(",")
    try:
        if len(parts) not in (2, 6):
            raise ValueError("neither two nor six")
        width, height = (int(one) for one in parts[:2])
        left, top = (float(one or "0") for one in [*parts[2:4], "0", "0"][:2])
        sizes = [float(one) if one else None for one in parts[4:6]] or [None, None]
        numbers = [left, top, *(one for one in sizes if one is not None)]
        if not all(math.isfinite(one) for one in numbers):
            raise ValueError("not finite")
    except ValueError as error:
        raise bad_request(
            "viewport is width,height or width,height,left,top,part width,part height"
        ) from error
    if not (1 <= width <= MOST_PIXELS_A_SIDE and 1 <= height <= MOST_PIXELS_A_SIDE):
        raise bad_request(f"a viewport is from 1 to {MOST_PIXELS_A_SIDE} pixels wide and high")
    return Viewport(width, height, left, top, *sizes)


def quality_of(text: str | None) -> int:
    """Of JPEG, 1 to 100. Raises HTTPException."""
    if text is None:
        return QUALITY
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= 100):
        raise bad_request("quality is a whole number from 1 to 100")
    return int(text)
