"""What the web application answers when it cannot give what was asked for.

Programs get ``{"error": …}``, browsers a page with the same sentence. Nothing here is a traceback.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from node.errors import NotPossible
from node.web.frame.render import Render
from storage.errors import DatabaseUnavailable, NotFound, Overloaded, StorageError

RETRY_AFTER_S = 5
"""When to ask again for what was too much at once."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than what was asked for."""

    status: int
    sentence: str
    headers: Mapping[str, str] | None = None

    @property
    def title(self) -> str:
        """What a page says first."""
        if self.status == 503:
            return "Not at this moment"
        return "There is no such page" if self.status == 404 else "This cannot be shown"


def add(app: FastAPI, render: Render) -> None:
    """Make every error of the application's routes an answer in words."""
    answer = functools.partial(_answer, render)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return answer(request, Refusal(error.status_code, error.detail, error.headers))

    @app.exception_handler(RequestValidationError)
    async def senseless(request: Request, error: RequestValidationError) -> Response:
        wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return answer(request, Refusal(422, "; ".join(wrong)))

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, error: Overloaded) -> Response:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return answer(request, Refusal(503, str(error), headers))

    @app.exception_handler(DatabaseUnavailable)
    async def unavailable(request: Request, error: DatabaseUnavailable) -> Response:
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return _answer(
            render, request, Refusal(503, f"the database is not available: {error}", headers)
        )

    @app.exception_handler(NotFound)
    async def missing(request: Request, error: NotFound) -> Response:
        return answer(request, Refusal(404, str(error)))

    @app.exception_handler(NotPossible)
    async def not_possible(request: Request, error: NotPossible) -> Response:
        return answer(request, Refusal(409, str(error)))

    @app.exception_handler(StorageError)
    async def conflicting(request: Request, error: StorageError) -> Response:
        return answer(request, Refusal(409, str(error)))


def _answer(render: Render, request: Request, refusal: Refusal) -> Response:
    if not _is_for_people(request):
        body = {"error": refusal.sentence}
        return JSONResponse(body, refusal.status, _headers(refusal))
    sentence = refusal.sentence.removeprefix("query.")
    answer = render(
        request,
        "refused.html",
        refusal.status,
        title=refusal.title,
        sentence=sentence[:1].upper() + sentence[1:],
        again_s=RETRY_AFTER_S if refusal.status == 503 else 0,
    )
    answer.headers.update(refusal.headers or {})
    return answer


def _headers(refusal: Refusal) -> dict[str, str] | None:
    return dict(refusal.headers) if refusal.headers else None


def _is_for_people(request: Request) -> bool:
    return request.url.path == "/" or "text/html" in request.headers.get("accept", "")
