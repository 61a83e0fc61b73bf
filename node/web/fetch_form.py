"""The form by which a person has something fetched. It works without scripts."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from analyzers import registry
from node.web.access.roles import Role, Who, needs, who
from node.web.api.changing import Changes
from node.web.api.fetches import enter
from node.web.context import WebContext
from node.web.forms import words
from node.web.refusals import TEMPLATES
from node.web.shapes.fetches import FetchWish

_LISTS = ("study_uids", "series_uids")


def routes(context: WebContext) -> APIRouter:
    router = APIRouter(
        default_response_class=HTMLResponse,
        include_in_schema=False,
        dependencies=[needs(Role.OPERATOR)],
    )
    changes = Changes(context)

    @router.get("/fetch")
    def form(request: Request) -> HTMLResponse:
        return HTMLResponse(_text(context, who(request)))

    @router.post("/fetch")
    async def ask(request: Request) -> Response:
        wish = _wish(await words(request))
        await run_in_threadpool(enter, wish, "the page", context, changes)
        return RedirectResponse("/", 303)

    return router


def _wish(given: dict[str, str]) -> FetchWish:
    """What a form says.

    Raises
    ------
    HTTPException
    """
    try:
        lists = {name: given.pop(name, "").split() for name in _LISTS}
        return FetchWish.model_validate({**given, **lists})
    except (ValueError, ValidationError) as error:
        raise HTTPException(422, "the form is not this page's") from error


def _text(context: WebContext, asking: Who) -> str:
    return TEMPLATES.get_template("fetch.html").render(
        who=asking,
        title=context.title,
        version=context.version,
        sources=context.sources,
        analyzers=registry.names(),
    )
