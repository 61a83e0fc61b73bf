"""Users, for the administrator: new ones, roles, passwords, locks."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.audit.events import Right
from node.web.access.logins import Logins
from node.web.access.passwords import BadPassword
from node.web.access.roles import Role, needs
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.forms import as_typed, words
from node.web.frame.render import Render
from node.web.pages.people import rights
from node.web.routers import Router
from storage.database import Transaction
from storage.people import sessions, users
from storage.people.users import BadName, LastAdministrator

PATH = "/users"


def routes(logins: Logins, context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.ADMINISTRATOR)],
    )
    page = _Page(logins, context, render)

    @router.get(PATH)
    def list_users(request: Request) -> Response:
        return page.shown(request)

    @router.post(PATH)
    async def add(request: Request) -> Response:
        given = await words(request)
        name, role = given.get("name", ""), _role(given)
        try:
            made = await rights.hash_of(*await as_typed(request, "password", "again"))
        except BadPassword as error:
            return await run_in_threadpool(page.shown, request, str(error))
        change = f"a new user with the role {role}"
        return await page.done(
            request,
            Right.USER,
            change,
            lambda tx: users.add(tx, name, role, made, rights.now()).name,
        )

    @router.post(PATH + "/{user_id}/role")
    async def set_role(request: Request, user_id: RowId) -> Response:
        role = _role(await words(request))
        return await page.done(
            request,
            Right.ROLE,
            f"has the role {role}",
            lambda tx: _named(tx, user_id, users.set_role, role),
        )

    @router.post(PATH + "/{user_id}/lock")
    async def lock(request: Request, user_id: RowId) -> Response:
        return await page.done(
            request,
            Right.USER,
            "locked",
            lambda tx: _named(tx, user_id, users.lock, rights.now()),
        )

    @router.post(PATH + "/{user_id}/unlock")
    async def unlock(request: Request, user_id: RowId) -> Response:
        return await page.done(
            request, Right.USER, "unlocked", lambda tx: _named(tx, user_id, users.unlock)
        )

    @router.post(PATH + "/{user_id}/password")
    async def set_password(request: Request, user_id: RowId) -> Response:
        try:
            made = await rights.hash_of(*await as_typed(request, "password", "again"))
        except BadPassword as error:
            return await run_in_threadpool(page.shown, request, str(error))

        def keep(tx: Transaction) -> str:
            sessions.end_all(tx, user_id)
            return _named(tx, user_id, users.set_password, made, rights.now())

        return await page.done(request, Right.USER, "has a new password", keep)

    return router


class _Page:
    def __init__(self, logins: Logins, context: WebContext, render: Render) -> None:
        self._logins = logins
        self._context = context
        self._render = render

    def shown(self, request: Request, fault: str = "") -> Response:
        with self._context.database.look() as tx:
            known = users.all_users(tx)
        status = 422 if fault else 200
        return self._render(
            request,
            "users.html",
            status,
            users=known,
            roles=list(Role),
            fault=fault,
            least=rights.LEAST,
        )

    async def done(
        self, request: Request, right: Right, change: str, step: Callable[[Transaction], str]
    ) -> Response:
        """Do a step, which gives the user's name, and tell of it."""
        return await run_in_threadpool(self._done, request, right, change, step)

    def _done(
        self, request: Request, right: Right, change: str, step: Callable[[Transaction], str]
    ) -> Response:
        try:
            with self._context.database.write() as tx:
                name = step(tx)
        except (BadName, LastAdministrator) as error:
            return self.shown(request, str(error))
        self._logins.sessions.forget()
        rights.tell(self._context.audit, request, right, name, change)
        return RedirectResponse(PATH, 303)


def _named(tx: Transaction, user_id: int, step: Callable[..., None], *given: object) -> str:
    """Do something to a user; gives his name. Raises NotFound."""
    user = users.get_by_id(tx, user_id)
    step(tx, user.id, *given)
    return user.name


def _role(given: dict[str, str]) -> Role:
    """The least where a form names none that there is."""
    named = given.get("role", "")
    return Role(named) if named in set(Role) else Role.VIEWER
