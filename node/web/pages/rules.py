"""The rules of the settings, and what they would do with a stored study, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import HTMLResponse

from node.web.access.roles import Role, needs
from node.web.asked import SomeRowId
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.routers import Router
from storage import index

NEWEST = 20
"""Studies that are offered to be tried."""
_OF = Query(alias="study")


def routes(context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/rules", dependencies=[needs(Role.OPERATOR)])
    def page(request: Request, study: Annotated[SomeRowId, _OF] = None) -> HTMLResponse:
        with context.database.look() as tx:
            newest = index.list_studies(tx, limit=NEWEST)
            chosen = None if study is None else index.get_study(tx, study)
        tried = () if chosen is None else context.actions.dry_run(chosen.id)
        rules = context.settings.rules if context.settings else ()
        return render(request, "rules.html", rules=rules, newest=newest, chosen=chosen, tried=tried)

    return router
