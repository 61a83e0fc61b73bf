"""What the viewer's page shows and its script asks for: pictures, and the numbers behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse, Response

from node.look import pictures
from node.look.looker import Looker
from node.look.values_of import Numbers
from node.results.pictures import colour_map
from node.web.dicomweb.conditions import entity_tag, headers, unchanged
from node.web.viewer.own import desk as desks
from node.web.viewer.own.asked import Asked
from node.web.viewer.own.stack_json import stack_shape
from storage.errors import NotFound

PICTURE_PX, THUMBNAIL_PX = 900, 144
KEPT = {"Cache-Control": "private, no-store"}
"""Browsers of a ward are shared: no picture stays in one."""
_SCALE_PX = (256, 12)


@dataclass(frozen=True, slots=True)
class Known:
    """What a browser says that it has, and the version of the node, which may draw otherwise."""

    request: Request
    version: str


def scale() -> Response:
    """The colours of maps."""
    bar = pictures.written(colour_map.bar(*_SCALE_PX), pictures.PNG)
    return Response(bar, 200, {"Cache-Control": "private, max-age=86400"}, "image/png")


def stack(looker: Looker, study_id: int, asked: Asked) -> Response:
    """Each slice's place, and the windows of the series."""
    return JSONResponse(stack_shape(looker, desks.desk(looker, study_id, asked)), 200, KEPT)


def values(looker: Looker, study_id: int, asked: Asked) -> Response:
    """The stored numbers of a slice; what they mean stands in the head of the answer."""
    shown = desks.desk(looker, study_id, replace(asked, objects=())).shown
    found = pictures.frame_numbers(looker, shown)
    if found is None:
        raise HTTPException(404, "an image in colour has no values")
    return Response(found.array.tobytes(), 200, _told(found), "application/octet-stream")


def over(looker: Looker, study_id: int, asked: Asked) -> Response:
    """What lies over a slice, transparent elsewhere."""
    desk = desks.desk(looker, study_id, asked)
    look = desk.look(None, PICTURE_PX)
    made = pictures.overlay(looker, desk.study, desk.stack, desk.index, look)
    return Response(made, 200, KEPT, "image/png")


def picture(looker: Looker, study_id: int, asked: Asked, form: str, longest: int) -> Response:
    """A slice with what lies over it."""
    made = drawn(looker, study_id, asked, form, longest)
    return Response(made, 200, KEPT, pictures.MEDIA_TYPES[form])


def thumbnail(looker: Looker, study_id: int, asked: Asked, known: Known) -> Response:
    """A series in small: the slice of what was found on it, with that, else the middle one. known:
    what the browser has already, which holds until the study changes."""
    try:
        revision = looker.study(study_id).revision
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    tag = entity_tag("thumbnail", known.version, str(study_id), str(asked.series), str(revision))
    same = unchanged(known.request, tag)
    if same is not None:
        return same
    made = drawn(looker, study_id, asked, pictures.WEBP, THUMBNAIL_PX)
    return Response(made, 200, headers(tag), pictures.MEDIA_TYPES[pictures.WEBP])


def drawn(looker: Looker, study_id: int, asked: Asked, form: str, longest: int) -> bytes:
    """A slice with what lies over it, as a file. Raises HTTPException, and what decoding raises."""
    desk = desks.desk(looker, study_id, asked)
    window = desks.window_of(desks.shades(looker, desk), desk.asked)
    look = desk.look(window, longest)
    return pictures.drawn(looker, desk.study, desk.stack, desk.index, look, form)


def _told(found: Numbers) -> dict[str, str]:
    rows, columns = found.array.shape
    said = {
        **KEPT,
        "Wetread-Cells": np.dtype(found.array.dtype).str.lstrip("<|"),
        "Wetread-Size": f"{rows},{columns}",
        "Wetread-Scale": f"{found.scale.slope!r},{found.scale.intercept!r}",
        "Wetread-Negative": str(int(found.is_negative)),
    }
    if found.padding is not None:
        said["Wetread-Padding"] = f"{found.padding[0]:.0f},{found.padding[1]:.0f}"
    return said
