"""The form by which a person has something fetched. It works without scripts.

A page elsewhere could send such a form too: what a browser says of its origin is looked at.
"""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from analyzers import registry
from node.web.api.changing import Changes
from node.web.api.fetches import enter
from node.web.context import WebContext
from node.web.hosts import is_cross_site
from node.web.refusals import TEMPLATES
from node.web.shapes.fetches import FetchWish

MAX_BYTES = 64 * 1024
_LISTS = ("study_uids", "series_uids")


def routes(context: WebContext) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)
    changes = Changes(context)

    @router.get("/fetch")
    def form() -> HTMLResponse:
        return HTMLResponse(_text(context))

    @router.post("/fetch")
    async def ask(request: Request) -> Response:
        if is_cross_site(request.headers):
            raise HTTPException(403, "a page elsewhere cannot have something fetched")
        wish = _wish(await _body(request))
        await run_in_threadpool(enter, wish, "the page", context, changes)
        return RedirectResponse("/", 303)

    return router


async def _body(request: Request) -> bytes:
    """A form as it comes, of whatever length is announced. Raises HTTPException."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, "the form is too long")
    return bytes(body)


def _wish(body: bytes) -> FetchWish:
    """What a form says.

    Raises
    ------
    HTTPException
    """
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=20)
        given = {name: " ".join(values).strip() for name, values in fields.items()}
        lists = {name: given.pop(name, "").split() for name in _LISTS}
        return FetchWish.model_validate({**given, **lists})
    except (ValueError, ValidationError) as error:
        raise HTTPException(422, "the form is not this page's") from error


def _text(context: WebContext) -> str:
    return TEMPLATES.get_template("fetch.html").render(
        title=context.title,
        version=context.version,
        sources=context.sources,
        analyzers=registry.names(),
    )
