"""Who is logged in: everybody sees and ends his own sessions, the administrator all."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.web.access import cookies
from node.web.access.logins import Logins
from node.web.access.roles import Role, needs, who
from node.web.access.sessions import IDLE
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.pages.people import rights
from node.web.routers import Router
from storage.people import sessions
from storage.people.sessions import Session


def routes(logins: Logins, context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER)],
    )

    @router.get("/sessions")
    def page(request: Request) -> Response:
        with context.database.look() as tx:
            token = cookies.read(request, cookies.SESSION)
            own = sessions.find(tx, cookies.digest(token)) if token else None
            shown = [one for one in sessions.all_sessions(tx) if _may_see(request, one)]
        now = rights.now()
        going_on = [one for one in shown if one.ends_at > now and now - one.seen_at < IDLE]
        own_id = own.id if own else None
        return render(request, "sessions.html", sessions=going_on, own_id=own_id)

    @router.post("/sessions/{session_id}/end")
    def end(request: Request, session_id: RowId) -> Response:
        with context.database.look() as tx:
            found = [one for one in sessions.all_sessions(tx) if one.id == session_id]
        if not any(_may_see(request, one) for one in found):
            raise HTTPException(404, "there is no such session")
        logins.sessions.end(session_id, f"ended by {who(request).name}")
        return RedirectResponse("/sessions", 303)

    return router


def _may_see(request: Request, one: Session) -> bool:
    asking = who(request)
    return asking.may(Role.ADMINISTRATOR) or one.user == asking.name
