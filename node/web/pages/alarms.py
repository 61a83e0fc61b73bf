"""What nobody has acknowledged, in groups: a group is one line, and acknowledged together."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from node.web import alarm_groups
from node.web.access.roles import Role, needs
from node.web.api.changing import Changes
from node.web.context import WebContext
from node.web.forms import words
from node.web.frame.render import Render
from node.web.routers import Router

Form = Annotated[dict[str, str], Depends(words)]


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/alarms", dependencies=[needs(Role.VIEWER)])
    def page(request: Request) -> HTMLResponse:
        with context.database.look() as tx:
            groups = alarm_groups.read(tx)
        return render(request, "alarms.html", groups=groups)

    @router.post("/alarms/acknowledge", dependencies=[needs(Role.OPERATOR)])
    def acknowledge(given: Form) -> RedirectResponse:
        """A group as it was drawn: what came since stays."""
        if not given.get("newest", "").isdecimal() or len(given["newest"]) > 18:
            raise HTTPException(422, "the form is not this page's")
        with changes.begin() as tx:
            alarm_groups.acknowledge(tx, given.get("group", ""), int(given["newest"]))
        return RedirectResponse("/alarms", 303)

    return router
