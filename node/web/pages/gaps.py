"""What was left behind on its way for longer than it should, stage by stage."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from node.web.access.roles import Role, needs
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.routers import Router
from storage import gaps, index
from storage.records import StudyState

SHOWN = 500


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/gaps", dependencies=[needs(Role.VIEWER)])
    def page(request: Request) -> HTMLResponse:
        with context.database.look() as tx:
            found = gaps.open_gaps(tx)
            ids = {one.study_id for one in found[:SHOWN] if one.study_id is not None}
            studies = {one.id: one for one in index.get_studies(tx, ids)}
        return render(
            request,
            "gaps.html",
            gaps=found[:SHOWN],
            more=max(0, len(found) - SHOWN),
            studies=studies,
            receiving=StudyState.RECEIVING,
        )

    return router
