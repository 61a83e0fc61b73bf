"""Login, logout, and the first administrator."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.audit.events import Actor, Right, RightsChanged
from node.web.access import cookies
from node.web.access.first import FirstCode, WrongCode
from node.web.access.logins import Logins
from node.web.access.passwords import BadPassword, TooMany
from node.web.access.roles import PUBLIC, Role, needs, who
from node.web.access.sessions import LONGEST, Opened, Place, host_of
from node.web.access.signing_in import TooSoon, WrongPassword
from node.web.access.wanted import HOME, local_place
from node.web.context import WebContext
from node.web.forms import as_typed, words
from node.web.frame.render import Render
from node.web.pages.people import rights
from node.web.routers import Router
from storage.people import users
from storage.people.sessions import Session
from storage.people.users import BadName, User

_FIRST = "the first administrator, by the code that the node printed"


def routes(logins: Logins, context: WebContext, render: Render) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)
    _add_login(router, logins, render)
    _add_first(router, logins, context, render)

    @router.post("/logout", dependencies=[needs(Role.VIEWER)])
    async def log_out(request: Request) -> Response:
        found = await end_own_session(request, logins)
        answer = await run_in_threadpool(_goodbye, request, logins, render, found)
        answer.headers["Clear-Site-Data"] = '"cache"'
        cookies.take(request, answer, cookies.SESSION)
        return answer

    return router


def _goodbye(request: Request, logins: Logins, render: Render, session: Session | None) -> Response:
    """To the login; of whoever logged in elsewhere by way of there.

    Browsers follow no redirect of a form to another host (``form-action``): the page leads on.
    """
    elsewhere = logins.elsewhere
    if elsewhere is None or session is None or not session.provider:
        return RedirectResponse("/login", 303)
    address = elsewhere.goodbye(session.provider_session, asked_as(request))
    if not address:
        return RedirectResponse("/login", 303)
    return render(request, "logged_out.html", 200, address=address, host=elsewhere.host)


def asked_as(request: Request) -> str:
    """The node's address as the browser asks for it; its Host header is one that is known."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


def login_page(
    request: Request,
    logins: Logins,
    render: Render,
    fault: str = "",
    wanted: str = "",
    status: int = 200,
) -> Response:
    """Where a person logs in; ``fault``: why nobody was."""
    return render(
        request,
        "login.html",
        status,
        fault=fault,
        wanted=local_place(wanted),
        is_first=logins.first is not None and logins.first.is_open,
        elsewhere=logins.elsewhere.label if logins.elsewhere else "",
    )


def _add_login(router: Router, logins: Logins, render: Render) -> None:
    def page(request: Request, fault: str = "", wanted: str = "", status: int = 200) -> Response:
        return login_page(request, logins, render, fault, wanted, status)

    @router.get("/login", dependencies=[needs(PUBLIC)])
    def form(request: Request, next: str = HOME) -> Response:
        if who(request).role is not None:
            return RedirectResponse(local_place(next), 303)
        return page(request, wanted=next)

    @router.post("/login", dependencies=[needs(PUBLIC)])
    async def log_in(request: Request) -> Response:
        name, password, wanted = await as_typed(request, "name", "password", "next")
        try:
            opened = await logins.signing_in.log_in(name, password, Place.of(request))
        except WrongPassword as error:
            return await run_in_threadpool(page, request, str(error), wanted, 401)
        except (TooSoon, TooMany) as error:
            answer = await run_in_threadpool(page, request, str(error), wanted, 429)
            answer.headers["Retry-After"] = str(round(getattr(error, "wait_s", 5)) or 1)
            return answer
        await end_own_session(request, logins)
        return entered(request, opened, wanted)


def _add_first(router: Router, logins: Logins, context: WebContext, render: Render) -> None:
    def code() -> FirstCode:
        if logins.first is None or not logins.first.is_open:
            raise HTTPException(404, "there is an administrator, or the code is too old")
        return logins.first

    def page(request: Request, fault: str = "") -> Response:
        status = 422 if fault else 200
        return render(request, "first_administrator.html", status, fault=fault, least=rights.LEAST)

    @router.get("/login/first", dependencies=[needs(PUBLIC)])
    def form(request: Request) -> Response:
        code()
        return page(request)

    @router.post("/login/first", dependencies=[needs(PUBLIC)])
    async def make(request: Request) -> Response:
        name = (await words(request)).get("name", "")
        try:
            given, password, again = await as_typed(request, "code", "password", "again")
            code().check(given)
            made = await rights.hash_of(password, again)
            user = await run_in_threadpool(_make_first, context, code(), given, name, made)
            first = Actor(user.name, host_of(request), is_person=True)
            context.audit.record(RightsChanged(first, Right.USER, user.name, _FIRST))
            opened = await logins.signing_in.log_in(name, password, Place.of(request))
        except (WrongCode, BadPassword, BadName) as error:
            return await run_in_threadpool(page, request, str(error))
        except (TooSoon, TooMany):  # he is made all the same
            return RedirectResponse("/login", 303)
        return entered(request, opened, "/users")


def _make_first(
    context: WebContext, code: FirstCode, given: str, name: str, password_hash: str
) -> User:
    """Raises WrongCode, BadName."""
    with context.database.write() as tx:
        if users.has_administrator(tx):
            raise WrongCode("there is an administrator already: log in, or ask him")
        user = users.add(tx, name, Role.ADMINISTRATOR, password_hash, rights.now())
        code.take(given)  # last: a name that cannot be taken does not use it up
        return user


async def end_own_session(request: Request, logins: Logins) -> Session | None:
    """That of the browser, if it has one; gives it."""
    token = cookies.read(request, cookies.SESSION)
    found = await logins.sessions.current(token) if token else None
    if found is not None:
        await run_in_threadpool(logins.sessions.end, found.id, "logged out")
    return found


def entered(request: Request, opened: Opened, wanted: str) -> Response:
    """To where somebody wanted, with a session."""
    answer = RedirectResponse(local_place(wanted), 303)
    cookies.give(request, answer, cookies.SESSION, opened.session, int(LONGEST.total_seconds()))
    cookies.give(request, answer, cookies.KNOWN, opened.known, cookies.KNOWN_S)
    return answer
