"""The pictures of what jobs found."""

from __future__ import annotations

from fastapi import HTTPException
from fastapi.responses import Response

from node.web.access.roles import IMAGES, Role, needs
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.pages.thumbnails import Thumbnails
from node.web.routers import Router
from storage import overview

_PICTURES = [needs(Role.VIEWER), IMAGES]
KEPT_S = 60
"""How long a browser keeps a preview: a job that runs again writes new ones."""


def routes(context: WebContext) -> Router:
    router = Router(include_in_schema=False)
    thumbnails = Thumbnails()

    @router.get("/previews/{job_id}/{number}.png", dependencies=_PICTURES)
    def preview(job_id: RowId, number: int) -> Response:
        with context.database.look() as tx:
            keys = overview.previews_of(tx, job_id)
        if not 0 <= number < len(keys):
            raise HTTPException(404, "there is no such preview")
        headers = {"Cache-Control": f"private, max-age={KEPT_S}"}
        picture = read_picture(context, keys[number])
        return Response(picture, media_type="image/png", headers=headers)

    @router.get("/thumbnails/{job_id}/{number}.png", dependencies=_PICTURES)
    def thumbnail(job_id: RowId, number: int) -> Response:
        with context.database.look() as tx:
            keys = overview.previews_of(tx, job_id)
        if not 0 <= number < len(keys):
            raise HTTPException(404, "there is no such preview")
        small = thumbnails.of(keys[number], lambda: read_picture(context, keys[number]))
        headers = {"Cache-Control": f"private, max-age={KEPT_S}"}
        return Response(small, media_type="image/png", headers=headers)

    return router


def read_picture(context: WebContext, key: str) -> bytes:
    """The bytes of a preview. Raises HTTPException where its file is gone."""
    try:
        with context.results.blobs.open(key) as file:
            return file.read()
    except FileNotFoundError as error:
        raise HTTPException(404, "there is no such preview") from error
