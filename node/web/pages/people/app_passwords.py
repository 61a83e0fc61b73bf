"""App passwords: everybody makes and ends his own, the administrator everybody's."""

from __future__ import annotations

from datetime import timedelta

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.audit.events import Right
from node.web.access.app_passwords import LONGEST_DAYS, AppPasswords, Made, NotMade, Wanted, make
from node.web.access.logins import Logins
from node.web.access.roles import Role, Who, needs, who
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.forms import words
from node.web.frame.render import Render
from node.web.pages.people import rights
from node.web.routers import Router
from storage.database import Transaction
from storage.errors import NotFound
from storage.people import app_passwords, users
from storage.people.app_passwords import UNSEEN, AppPassword

PATH = "/app-passwords"


def routes(logins: Logins, context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.VIEWER)],
    )
    page = _Page(logins, context, render)

    @router.get(PATH)
    def list_them(request: Request) -> Response:
        return page.shown(request)

    @router.post(PATH)
    async def add(request: Request) -> Response:
        return await run_in_threadpool(page.make, request, await words(request))

    @router.post(PATH + "/{app_password_id}/end")
    def end(request: Request, app_password_id: RowId) -> Response:
        return page.end(request, app_password_id)

    return router


class _Page:
    def __init__(self, logins: Logins, context: WebContext, render: Render) -> None:
        self._logins = logins
        self._context = context
        self._render = render

    def shown(
        self, request: Request, fault: str = "", made: Made | None = None, made_for: str = ""
    ) -> Response:
        asking = who(request)
        with self._context.database.look() as tx:
            seen = [one for one in app_passwords.all_app_passwords(tx) if _is_his(asking, one)]
        return self._render(
            request,
            "app_passwords.html",
            422 if fault else 200,
            passwords=seen,
            roles=[one for one in Role if asking.may(one)],
            everybody=asking.may(Role.ADMINISTRATOR),
            longest=LONGEST_DAYS,
            unseen=self._unseen(),
            fault=fault,
            made=made,
            made_for=made_for,
        )

    def _unseen(self) -> timedelta:
        return next(
            (one.unseen for one in self._logins.others if isinstance(one, AppPasswords)), UNSEEN
        )

    def make(self, request: Request, given: dict[str, str]) -> Response:
        """Make one: it is shown on this page alone."""
        asking = who(request)
        is_administrator = asking.may(Role.ADMINISTRATOR)
        owner = given.get("owner", asking.name) if is_administrator else asking.name
        try:
            wanted = _wanted(given)
            with self._context.database.write() as tx:
                user = users.get(tx, owner)
                made = make(tx, user, wanted, asking.name, rights.now())
        except (NotMade, NotFound) as error:
            return self.shown(request, str(error))
        change = f"a new app password {made.id} with the role {wanted.role}"
        rights.tell(self._context.audit, request, Right.USER, user.name, change)
        return self.shown(request, made=made, made_for=user.name)

    def end(self, request: Request, app_password_id: int) -> Response:
        """End one; at once."""
        with self._context.database.write() as tx:
            found = _his(tx, who(request), app_password_id)
            app_passwords.end(tx, found.id, rights.now())
        for one in self._logins.others:
            if isinstance(one, AppPasswords):
                one.forget()
        change = f"the app password {found.id} has ended"
        rights.tell(self._context.audit, request, Right.USER, found.owner, change)
        return RedirectResponse(PATH, 303)


def _his(tx: Transaction, asking: Who, app_password_id: int) -> AppPassword:
    """Raises HTTPException: of another's it is not told that there is one."""
    try:
        found = app_passwords.get(tx, app_password_id)
    except NotFound:
        found = None
    if found is None or not _is_his(asking, found):
        raise HTTPException(404, f"there is no app password {app_password_id}")
    return found


def _is_his(asking: Who, one: AppPassword) -> bool:
    return asking.may(Role.ADMINISTRATOR) or one.owner == asking.name


def _wanted(given: dict[str, str]) -> Wanted:
    """Raises NotMade."""
    role, days = given.get("role", ""), given.get("days", "")
    if role not in set(Role):
        raise NotMade(f"its role is one of {', '.join(Role)}")
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise NotMade(f"it ends in 1 to {LONGEST_DAYS} days")
    return Wanted(given.get("label", ""), Role(role), given.get("host", ""), int(days))
