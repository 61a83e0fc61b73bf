"""Notes on a study: written on a page of its own, which nothing refreshes while one types."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from node.web.access.roles import Role, needs, who
from node.web.api.acts import Acts, person
from node.web.api.changing import Changes
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.forms import as_typed
from node.web.frame.render import Render
from node.web.routers import Router
from storage import index
from storage.people import notes


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER)],
    )
    acts = Acts(context, changes)

    @router.get("/studies/{study_id}/notes")
    def page(request: Request, study_id: RowId) -> HTMLResponse:
        with context.database.look() as tx:
            study = index.get_study(tx, study_id)
            written = notes.of_study(tx, study_id)
        most = notes.MOST_CHARACTERS
        return render(request, "note.html", study=study, notes=written, most=most)

    @router.post("/studies/{study_id}/notes")
    async def write(request: Request, study_id: RowId) -> RedirectResponse:
        (text,) = await as_typed(request, "text")
        note = await run_in_threadpool(acts.note, study_id, text, person(request))
        return RedirectResponse(f"/studies/{study_id}#n{note.id}", 303)

    @router.post("/studies/{study_id}/notes/{note_id}/strike")
    def strike(request: Request, study_id: RowId, note_id: RowId) -> RedirectResponse:
        acts.strike(study_id, note_id, who(request))
        return RedirectResponse(f"/studies/{study_id}#n{note_id}", 303)

    return router
