"""Files that a person brings: dragged and dropped by a script over STOW-RS, or sent by a form.

ZIP archives come by the form alone. A script is answered in lines of JSON: while an archive is
unpacked, how many files of how many are taken, and in the last what became of them. Something comes
every second, so that nothing between browser and node takes the answer for dead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from node.errors import NotPossible
from node.retrieve.metadata import ROOT
from node.web.access.roles import Role, needs
from node.web.context import WebContext
from node.web.dicomweb.form_files import Unpacking
from node.web.dicomweb.form_upload import FormUpload, Taken
from node.web.frame.render import Render
from node.web.routers import Router

LINES = "application/x-ndjson"
"""A line of JSON after another."""
EACH_S = 1.0
LARGEST_FORM_BYTES = 2**44
"""A form with files is read as it comes, file by file: the limit of an instance is what counts."""


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)
    uploads = context.uploads
    form = FormUpload(uploads, context.audit, context.title) if uploads is not None else None

    @router.get("/upload", dependencies=[needs(Role.OPERATOR)])
    def page(request: Request) -> HTMLResponse:
        return _page(request, render, None)

    going_on: set[asyncio.Task[Taken]] = set()

    @router.post("/upload", dependencies=[needs(Role.OPERATOR)], max_body_size=LARGEST_FORM_BYTES)
    async def upload(request: Request) -> Response:
        if form is None:
            raise NotPossible("this node takes nothing over the web")
        if LINES not in request.headers.get("accept", ""):
            return _page(request, render, await form.take(request, Unpacking()))
        unpacking = Unpacking()
        taking = asyncio.create_task(form.take(request, unpacking))
        going_on.add(taking)  # whoever has brought an archive whole need not wait for the end
        taking.add_done_callback(going_on.discard)
        await _until_unpacking(taking, unpacking)
        if taking.done():
            return Response(_line(_told(taking.result())), media_type=LINES)
        return StreamingResponse(_lines(taking, unpacking), media_type=LINES)

    return router


async def _until_unpacking(taking: asyncio.Task[Taken], unpacking: Unpacking) -> None:
    """Until an archive has come whole, or all is over."""
    try:
        while not unpacking.of and not taking.done():
            await asyncio.wait([taking], timeout=EACH_S)
    except asyncio.CancelledError:
        taking.cancel()
        raise


async def _lines(taking: asyncio.Task[Taken], unpacking: Unpacking) -> AsyncIterator[bytes]:
    while not taking.done():
        yield _line({"taken": unpacking.taken, "of": unpacking.of})
        await asyncio.wait([taking], timeout=EACH_S)
    try:
        yield _line(_told(taking.result()))
    except HTTPException as error:
        yield _line({"error": error.detail})


def _line(said: Mapping[str, object]) -> bytes:
    return json.dumps(said).encode() + b"\n"


def _page(request: Request, render: Render, taken: Taken | None) -> HTMLResponse:
    return render(request, "upload.html", taken=taken, stow=f"{ROOT}/studies")


def _told(taken: Taken) -> Mapping[str, object]:
    files = [
        {"name": one.name, "stored": one.outcome.is_stored, "why": one.outcome.comment}
        for one in taken.sent
    ]
    return {"files": files, "passed_over": list(taken.passed_over)}
