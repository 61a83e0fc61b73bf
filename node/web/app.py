"""The web application: status page, API and /health. It keeps no state of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from node.web import api, page
from node.web.context import WebContext as WebContext
from storage.errors import DatabaseUnavailable, NotFound, StorageError

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
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(context.allowed_hosts))
    _add_safety(app)
    _add_errors(app)
    app.include_router(page.routes(context))
    app.include_router(api.routes(context))
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


def _add_errors(app: FastAPI) -> None:
    def answer(message: str, status: int) -> JSONResponse:
        return JSONResponse({"error": message}, status_code=status)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def senseless(request: Request, error: RequestValidationError) -> Response:
        wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return answer("; ".join(wrong), 422)

    @app.exception_handler(DatabaseUnavailable)
    async def unavailable(request: Request, error: DatabaseUnavailable) -> Response:
        return answer(f"the database is not available: {error}", 503)

    @app.exception_handler(NotFound)
    async def missing(request: Request, error: NotFound) -> Response:
        return answer(str(error), 404)

    @app.exception_handler(StorageError)
    async def conflicting(request: Request, error: StorageError) -> Response:
        return answer(str(error), 409)
