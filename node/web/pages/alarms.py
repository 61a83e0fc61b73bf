"""What nobody has acknowledged: alike alarms are one line, and acknowledged together."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from node.web import alarms
from node.web.access.roles import Role, needs
from node.web.api.changing import Changes
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.frame.render import Render


def routes(context: WebContext, render: Render, changes: Changes) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/alarms", dependencies=[needs(Role.VIEWER)])
    def page(request: Request) -> HTMLResponse:
        with context.database.look() as tx:
            kinds = alarms.open_alarms(tx)
        return render(request, "alarms.html", kinds=kinds)

    @router.post("/alarms/{event_id}/acknowledge", dependencies=[needs(Role.OPERATOR)])
    def acknowledge(event_id: RowId) -> RedirectResponse:
        with changes.begin() as tx:
            alarms.acknowledge(tx, event_id, alike=True)
        return RedirectResponse("/alarms", 303)

    return router
