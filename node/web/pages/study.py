"""A study: what was found in it, on which images, what was done with it, and where that went."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from node.look.looker import is_of_images
from node.web import views
from node.web.access.roles import Role, needs, who
from node.web.api.acts import Acts
from node.web.api.changing import Changes
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.forms import words
from node.web.frame.render import Render
from node.web.routers import Router
from node.web.viewer import links
from node.web.views import StudyView
from storage import index, reading_state
from storage.index.shown import ShownSeries, series_shown
from storage.people import notes
from storage.people.notes import Note
from storage.reading_state import Reader, ReadingState


@dataclass(frozen=True, slots=True)
class _Shown:
    card: StudyView
    state: ReadingState
    series: tuple[ShownSeries, ...]
    reader: Reader | None
    notes: tuple[Note, ...]
    seen: str
    """How it stands: what is marked as read."""


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)

    acts = Acts(context, changes)

    @router.get("/studies/{study_id}", dependencies=[needs(Role.VIEWER)])
    def page(request: Request, study_id: RowId) -> HTMLResponse:
        shown = context.shared.get(("study", study_id), lambda: _read(context, study_id))
        return render(
            request,
            "study.html",
            card=shown.card,
            state=shown.state,
            series=shown.series,
            is_of_images=is_of_images,
            reader=shown.reader,
            notes=shown.notes,
            study=shown.card.study,
            seen=shown.seen,
            links=links,
            away=context.away(),
        )

    @router.post("/studies/{study_id}/read", dependencies=[needs(Role.VIEWER)])
    async def mark_read(request: Request, study_id: RowId) -> RedirectResponse:
        seen = (await words(request)).get("seen", "")
        await run_in_threadpool(acts.mark_read, study_id, who(request).name, seen)
        return RedirectResponse(f"/studies/{study_id}", 303)

    @router.post("/studies/{study_id}/unread", dependencies=[needs(Role.VIEWER)])
    def mark_unread(study_id: RowId) -> RedirectResponse:
        acts.mark_unread(study_id)
        return RedirectResponse(f"/studies/{study_id}", 303)

    return router


def _read(context: WebContext, study_id: int) -> _Shown:
    with context.database.look() as tx:
        found = index.get_study(tx, study_id)
        (card,) = views.study_views(tx, [found], context.indexing)
        series = tuple(series_shown(tx, study_id))
        return _Shown(
            card,
            reading_state.read(tx, [study_id])[study_id],
            series,
            reading_state.reader_of(tx, study_id),
            tuple(notes.of_study(tx, study_id)),
            reading_state.as_it_stands(tx, study_id),
        )
