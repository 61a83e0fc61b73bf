"""The list of studies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from node.web import views
from node.web.access.roles import Role, needs
from node.web.asked import PlaceText, SomeRowId, place_of
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.views import Selection, StatusView

Offset = Annotated[int, Query(ge=0, le=10**9)]


def select(
    offset: Offset = 0,
    study: SomeRowId = None,
    problems: bool = False,
    before: PlaceText = None,
    after: PlaceText = None,
) -> Selection:
    """The selection that a URL asks for."""
    return Selection(offset, study, problems, place_of("before", before), place_of("after", after))


Selected = Annotated[Selection, Depends(select)]


def routes(context: WebContext, render: Render) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/", dependencies=[needs(Role.VIEWER)])
    def studies(request: Request, selection: Selected) -> HTMLResponse:
        view = context.shared.get(selection, lambda: _read(context, selection))
        return render(
            request,
            "studies.html",
            view=view,
            selection=selection,
            away=context.away(),
            port=context.dimse_port(),
        )

    return router


def _read(context: WebContext, selection: Selection) -> StatusView:
    with context.database.look() as tx:
        return views.status(tx, selection, context.destinations, context.indexing, context.expected)
