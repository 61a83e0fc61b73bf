"""Login at the provider of accounts: the button, and the way back."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.web.access import cookies
from node.web.access.logins import Logins
from node.web.access.oidc.attempt import LIFE_S, Attempt
from node.web.access.oidc.elsewhere import Busy, Elsewhere
from node.web.access.oidc.errors import LoginFailed, NotAllowed, ProviderAway
from node.web.access.roles import PUBLIC, needs, who
from node.web.access.sessions import Place
from node.web.access.wanted import HOME, local_place
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.pages.people.login import asked_as, entered, login_page
from node.web.routers import Router

COOKIE = "wetread-login"


def routes(logins: Logins, context: WebContext, render: Render) -> Router:
    router = Router(
        default_response_class=HTMLResponse, include_in_schema=False, dependencies=[needs(PUBLIC)]
    )
    if logins.elsewhere is not None:
        _add(router, logins, logins.elsewhere, render)
    return router


def _add(router: Router, logins: Logins, elsewhere: Elsewhere, render: Render) -> None:
    def failed(request: Request, error: LoginFailed, wanted: str = HOME) -> Response:
        status = 503 if isinstance(error, ProviderAway | Busy) else 401
        status = 403 if isinstance(error, NotAllowed) else status
        return login_page(request, logins, render, _in_words(error, elsewhere), wanted, status)

    @router.get("/login/oidc")
    def begin(request: Request, next: str = HOME) -> Response:
        if who(request).role is not None:
            return RedirectResponse(local_place(next), 303)
        try:
            attempt, address = elsewhere.begin(local_place(next), asked_as(request))
        except LoginFailed as error:
            return failed(request, error, next)
        answer = RedirectResponse(address, 303)
        cookies.give(request, answer, COOKIE, attempt.cookie, LIFE_S)
        return answer

    @router.get("/login/oidc/back")
    def end(request: Request) -> Response:
        attempt = Attempt.of_cookie(cookies.read(request, COOKIE))
        place = Place.of(request)
        try:
            given = dict(request.query_params)
            opened = elsewhere.end(attempt, given, asked_as(request), place)
        except LoginFailed as error:
            answer = failed(request, error)
        else:
            answer = entered(request, opened, attempt.place if attempt else HOME)
        cookies.take(request, answer, COOKIE)
        return answer


def _in_words(error: LoginFailed, elsewhere: Elsewhere) -> str:
    if isinstance(error, ProviderAway):
        return f"{error}: users of this node can log in here; who is logged in stays so"
    return str(error)
