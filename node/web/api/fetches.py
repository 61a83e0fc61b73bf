"""Fetches from other archives: the list, one with its studies, asking for one, ending one."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import HTTPException
from fastapi.responses import Response

from node.fetch.asked import NotAskable, checked
from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING, MISSING
from node.web.api.sending import Sender
from node.web.asked import Limit, RowId
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.answers import Done, DoneTo
from node.web.shapes.fetches import FetchHistory, FetchShape, FetchWish
from storage import fetches
from storage.fetches import NewFetch

_fetches = Sender(FetchShape)


def add(router: Router, context: WebContext, changes: Changes) -> None:
    @router.get("/api/fetches", response_model=list[FetchShape])
    def all_fetches(limit: Limit = 100) -> Response:
        """Fetches, the newest first."""
        with context.database.look() as tx:
            rows = fetches.newest(tx, limit)
        return _fetches.answer([FetchShape.of(row) for row in rows])

    @router.get("/api/fetches/{fetch_id}", responses=MISSING)
    def fetch(fetch_id: RowId) -> FetchHistory:
        """A fetch with the studies that were found."""
        with context.database.look() as tx:
            return FetchHistory.with_studies(
                fetches.get(tx, fetch_id), fetches.studies_of(tx, fetch_id)
            )

    @router.post("/api/fetches", dependencies=GUARDED, responses=ACTING)
    def ask(wish: FetchWish) -> DoneTo:
        """Have something fetched; 409 with the condition that is not met."""
        return DoneTo(done="it is to be fetched", number=enter(wish, "the API", context, changes))

    @router.post("/api/fetches/{fetch_id}/cancel", dependencies=GUARDED, responses=ACTING)
    def cancel(fetch_id: RowId) -> Done:
        """End a fetch; what has come stays."""
        with changes.begin() as tx:
            state = fetches.cancel(tx, fetch_id, datetime.now(UTC))
        return Done(done="it is over" if state.is_over else "it is being ended")


def enter(wish: FetchWish, asked_by: str, context: WebContext, changes: Changes) -> int:
    """Enter a wish; gives its number.

    Raises
    ------
    HTTPException
        409 with the condition that is not met.
    """
    new = NewFetch(wish.source, wish.wanted, asked_by, wish.analyzer)
    try:
        checked(new, context.sources)
    except NotAskable as error:
        raise HTTPException(409, str(error)) from error
    with changes.begin() as tx:
        number = fetches.ask(tx, new, datetime.now(UTC))
    changes.wake()
    return number
