"""The web application: status page, API and /health. It keeps no state of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from node.web import page, refusals
from node.web.api.routes import routes
from node.web.context import WebContext as WebContext
from node.web.hosts import KnownHosts

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FRESH = "no-store"
"""Pages and answers are of the moment; previews and static files set what suits them."""


def create_app(context: WebContext) -> FastAPI:
    """The application over a node's parts."""
    app = FastAPI(title=context.title, version=context.version, docs_url=None, redoc_url=None)
    app.mount("/static", StaticFiles(directory=page.HERE / "static"), name="static")
    app.add_middleware(KnownHosts, allowed=context.allowed_hosts)
    _add_safety(app)
    app.add_middleware(_AnswersHead)
    refusals.add(app)
    app.include_router(page.routes(context))
    app.include_router(routes(context))
    return app


def _add_safety(app: FastAPI) -> None:
    @app.middleware("http")
    async def harden(
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        answer = await proceed(request)
        answer.headers.update(SECURITY)
        if request.url.path.startswith("/static/"):
            answer.headers["Cache-Control"] = "no-cache"  # kept, but asked for after an upgrade
        answer.headers.setdefault("Cache-Control", FRESH)
        return answer


class _AnswersHead:
    """Whatever can be asked for can be asked for by HEAD: the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
