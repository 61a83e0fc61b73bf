"""The web application: status page, API and /health. It keeps no state of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.web import refusals
from node.web.access import routes as named_routes
from node.web.access import sight
from node.web.access.roles import PUBLIC, Guarded, Role, needs
from node.web.api.routes import routes
from node.web.audited import Audited
from node.web.context import WebContext as WebContext
from node.web.dicomweb import routes as dicomweb
from node.web.frame.render import STATIC, Render
from node.web.hosts import KnownHosts
from node.web.live import stream
from node.web.live.watch import Watch
from node.web.pages import routes as pages
from node.web.patience import PromptBodies
from node.web.timed import Timed
from node.web.viewer import opening, serving

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FRESH = "no-store"
"""Pages and answers are of the moment; previews and static files set what suits them."""


class Application(FastAPI):
    """Tells in its OpenAPI document of routes that FastAPI does not know too."""

    more_paths: Callable[[], dict[str, Any]] = staticmethod(dict)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            super().openapi()["paths"].update(self.more_paths())
        return super().openapi()


def create_app(context: WebContext) -> FastAPI:
    """The application over a node's parts.

    Raises
    ------
    NamesNoRole
        A route can be reached that names no role.
    """
    watch = Watch(
        context.database,
        lambda: _health(context),
        on_changed=context.shared.forget,
        is_rushed=context.is_rushed,
    )
    context = _as_it_is_seen(context)
    app = Application(title=context.title, version=context.version, openapi_url=None)
    app.state.access = context.access
    app.more_paths = lambda: dicomweb.paths(context)
    app.mount("/static", Guarded(StaticFiles(directory=STATIC), PUBLIC))
    app.router.routes.append(dicomweb.mount(context))
    app.add_middleware(Timed, timings=context.timings)
    app.add_middleware(Audited, trail=context.audit, node=context.title)
    app.add_middleware(PromptBodies, but=(dicomweb.PREFIX, "/upload"))
    app.add_middleware(KnownHosts, allowed=context.allowed_hosts)
    app.add_middleware(_Hardened)
    app.add_middleware(_AnswersHead)
    render = Render(context)
    refusals.add(app, render)
    made = (
        pages.routes(context, render),
        opening.routes(context, render),
        stream.routes(watch),
        routes(context),
    )
    for router in made:
        app.router.routes.extend(router.routes)
    _describe(app)
    if context.viewer is not None:
        app.router.routes.extend(serving.routes(context, context.viewer))
    app.state.routes = named_routes.named(app)
    return app


def _health(context: WebContext) -> tuple[object, ...]:
    """What pages say of the node's parts, as far as it tells whether they work."""
    return tuple((one.name, one.ok, one.reason) for one in context.health.report().checks)


def _as_it_is_seen(context: WebContext) -> WebContext:
    """With the studies only that whoever asks may see, in whatever is read."""
    return replace(
        context,
        database=context.database.seen_by(sight.current),
        shared=context.shared.for_each(sight.current),
        actions=context.actions.seen_by(sight.current),
    )


def _describe(app: Application) -> None:
    @app.get("/openapi.json", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    def document() -> dict[str, Any]:
        return app.openapi()


class _Hardened:
    """Adds to every answer what keeps other sites from using it, and how long it may be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def harden(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_safety(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, harden)


def _add_safety(headers: MutableHeaders, path: str) -> None:
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    if path.startswith("/static/"):
        headers["Cache-Control"] = "no-cache"  # kept, but asked for after an upgrade
    headers.setdefault("Cache-Control", FRESH)


class _AnswersHead:
    """Whatever can be asked for can be asked for by HEAD: the server leaves the body out.

    DICOMweb knows HEAD itself, for its bodies are long; a stream of events has no end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        path = scope["path"]
        if is_head and path != stream.PATH and not path.startswith(dicomweb.PREFIX):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
