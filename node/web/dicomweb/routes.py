"""All of DICOMweb in one list; the conformance statement is made from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from starlette.routing import BaseRoute, Mount

from node.web.context import WebContext
from node.web.dicomweb import bulkdata, frames, metadata, qido, rendered, stow, wado, wado_uri
from node.web.dicomweb.room import Room
from node.web.dicomweb.services import Service, as_routes

PREFIX = "/dicom-web"
SLOTS = 6
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
    slots = ThreadPoolExecutor(SLOTS, "dicomweb")
    room = Room(context, slots, ThreadPoolExecutor(DRAWING, "dicomweb-drawing"))
    return Mount(PREFIX, routes=as_routes(services(room), room))
