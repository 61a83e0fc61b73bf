"""All of DICOMweb in one list; the conformance statement is made from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.routing import BaseRoute, Mount

from node.web.context import WebContext
from node.web.dicomweb import (
    bulkdata,
    document,
    frames,
    metadata,
    qido,
    rendered,
    stow,
    wado,
    wado_uri,
)
from node.web.dicomweb.room import Room
from node.web.dicomweb.services import Service, as_routes

PREFIX = "/dicom-web"
SLOTS = 4
"""Requests that read files at one time; a client that reads slowly holds none meanwhile."""

DRAWING = 2
"""Pictures that are made at one time."""


def services(room: Room) -> list[Service]:
    """Those that are asked for most often first: they are looked through in this order."""
    return [
        *frames.services(room),
        *qido.services(room),
        *metadata.services(room),
        *wado.services(room),
        *stow.services(room),
        *bulkdata.services(room),
        *rendered.services(room),
        *wado_uri.services(room),
    ]


def mount(context: WebContext) -> BaseRoute:
    """What the application serves under ``/dicom-web``."""
    room = _room(context)
    return Mount(PREFIX, routes=as_routes(services(room), room))


def paths(context: WebContext) -> dict[str, Any]:
    """The same as paths of an OpenAPI document."""
    return document.paths(services(_room(context)), PREFIX)


def _room(context: WebContext) -> Room:
    slots = ThreadPoolExecutor(SLOTS, "dicomweb")
    return Room(context, slots, ThreadPoolExecutor(DRAWING, "dicomweb-drawing"))
