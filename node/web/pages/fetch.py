"""The form by which a person has something fetched. It works without scripts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from analyzers import registry
from node.web.access.roles import Role, needs
from node.web.api.changing import Changes
from node.web.api.fetches import enter
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.forms import words
from node.web.frame.render import Render
from node.web.routers import Router
from node.web.shapes.fetches import FetchWish
from storage import fetches

SHOWN = 20
"""Fetches that the page lists; the newest."""
_LISTS = ("study_uids", "series_uids")


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    @router.get("/fetch", dependencies=[needs(Role.OPERATOR)])
    def form(request: Request) -> HTMLResponse:
        with context.database.look() as tx:
            newest = fetches.newest(tx, SHOWN)
        return render(
            request,
            "fetch.html",
            sources=context.sources,
            analyzers=registry.names(),
            fetches=newest,
        )

    @router.post("/fetch", dependencies=[needs(Role.OPERATOR)])
    def ask(given: Annotated[dict[str, str], Depends(words)]) -> RedirectResponse:
        enter(_wish(given), "the page", context, changes)
        return RedirectResponse("/fetch", 303)

    @router.post("/fetch/{fetch_id}/cancel", dependencies=[needs(Role.OPERATOR)])
    def cancel(fetch_id: RowId) -> RedirectResponse:
        with changes.begin() as tx:
            fetches.cancel(tx, fetch_id, datetime.now(UTC))
        return RedirectResponse("/fetch", 303)

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
    except ValidationError as error:
        raise HTTPException(422, "the form is not this page's") from error
