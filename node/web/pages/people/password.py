"""A person's own password: whoever changes it is the only one who stays logged in."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from node.audit.events import Right
from node.web.access.logins import Logins
from node.web.access.passwords import BadPassword, TooMany
from node.web.access.roles import Role, needs, who
from node.web.access.sessions import Place
from node.web.access.signing_in import TooSoon, WrongPassword
from node.web.context import WebContext
from node.web.forms import as_typed
from node.web.frame.render import Render
from node.web.pages.people import rights
from node.web.pages.people.login import entered
from node.web.routers import Router
from storage.people import users
from storage.people.users import User


def routes(logins: Logins, context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER)],
    )

    def page(request: Request, fault: str = "", status: int = 200) -> Response:
        return render(request, "password.html", status, fault=fault, least=rights.LEAST)

    @router.get("/password")
    def form(request: Request) -> Response:
        _own_name(request)
        return page(request)

    @router.post("/password")
    async def change(request: Request) -> Response:
        name, place = _own_name(request), Place.of(request)
        current, password, again = await as_typed(request, "current", "password", "again")
        try:
            user = await logins.signing_in.prove(name, current, place)
            made = await rights.hash_of(password, again)
        except WrongPassword:
            return await run_in_threadpool(page, request, "the current password is wrong", 422)
        except (BadPassword, TooSoon, TooMany) as error:
            return await run_in_threadpool(page, request, str(error), 422)
        await run_in_threadpool(_keep, context, logins, user, made)
        rights.tell(context.audit, request, Right.USER, user.name, "changed the own password")
        opened = await run_in_threadpool(logins.sessions.open, user, place)
        return entered(request, opened, "/")

    return router


def _keep(context: WebContext, logins: Logins, user: User, password_hash: str) -> None:
    with context.database.write() as tx:
        users.set_password(tx, user.id, password_hash, rights.now())
    logins.sessions.end_all(user.id)


def _own_name(request: Request) -> str:
    """Raises HTTPException."""
    asking = who(request)
    if not asking.is_known_by_cookie:
        raise HTTPException(404, "who logged in by a session has a password to change")
    return asking.name
