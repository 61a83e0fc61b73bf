"""Files that a person brings: dragged and dropped by a script over STOW-RS, or sent by a form.

ZIP archives come by the form alone; to a script it answers in JSON.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from node.errors import NotPossible
from node.retrieve.metadata import ROOT
from node.web.access.roles import Role, needs
from node.web.context import WebContext
from node.web.dicomweb.form_upload import FormUpload, Taken
from node.web.frame.render import Render
from node.web.routers import Router

LARGEST_FORM_BYTES = 2**44
"""A form with files is read as it comes, file by file: the limit of an instance is what counts."""


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)
    uploads = context.uploads
    form = FormUpload(uploads, context.audit, context.title) if uploads is not None else None

    @router.get("/upload", dependencies=[needs(Role.OPERATOR)])
    def page(request: Request) -> HTMLResponse:
        return _page(request, render, None)

    @router.post("/upload", dependencies=[needs(Role.OPERATOR)], max_body_size=LARGEST_FORM_BYTES)
    async def upload(request: Request) -> Response:
        if form is None:
            raise NotPossible("this node takes nothing over the web")
        taken = await form.take(request)
        is_script = "application/json" in request.headers.get("accept", "")
        return _told(taken) if is_script else _page(request, render, taken)

    return router


def _page(request: Request, render: Render, taken: Taken | None) -> HTMLResponse:
    return render(request, "upload.html", taken=taken, stow=f"{ROOT}/studies")


def _told(taken: Taken) -> JSONResponse:
    files = [
        {"name": one.name, "stored": one.outcome.is_stored, "why": one.outcome.comment}
        for one in taken.sent
    ]
    return JSONResponse({"files": files, "passed_over": list(taken.passed_over)})
