"""Studies and their jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from node.web import places, views
from node.web.api.refusing import MISSING
from node.web.api.sending import Sender, as_sent
from node.web.asked import BeforeJob, Limit, Offset, OfStudy, PlaceText, RowId, place_of
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.studies import Job, JobHistory, Study
from storage import events, index, ledger
from storage.records import JobState, StudyPlace, Topic

SomeState = Annotated[JobState | None, Query(description="Only jobs in this state.")]

_studies = Sender(Study)
_jobs = Sender(Job)
_LINK = {"Link": {"description": "Where the next rows are.", "schema": {"type": "string"}}}


def add(router: Router, context: WebContext) -> None:
    _add_studies(router, context)
    _add_jobs(router, context)


def _add_studies(router: Router, context: WebContext) -> None:
    @router.get("/api/studies", response_model=list[Study], responses={200: {"headers": _LINK}})
    def studies(limit: Limit = 50, offset: Offset = 0, before: PlaceText = None) -> Response:
        """Studies, the one that received last first. The header Link leads to the next."""
        place = place_of("before", before)
        question = ("studies", limit, offset, place)
        page = context.shared.get(question, lambda: _page(context, limit, offset, place))
        return as_sent(page.text, _next_studies(limit, page.last))

    @router.get("/api/studies/{study_id}", responses=MISSING)
    def study(study_id: RowId) -> Study:
        """A study with its jobs."""
        with context.database.look() as tx:
            found = index.get_study(tx, study_id)
            (view,) = views.study_views(tx, [found], context.indexing, objects=True)
        return Study.of(view)


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of a list as it is sent, and the place where the next part begins."""

    text: bytes
    last: StudyPlace | None


def _page(context: WebContext, limit: int, offset: int, before: StudyPlace | None) -> _Page:
    with context.database.look() as tx:
        rows = index.list_studies(tx, limit, offset, before)
        found = views.study_views(tx, rows, context.indexing, objects=True)
    text = _studies.text([Study.of(view) for view in found])
    return _Page(text, rows[-1].place if len(rows) == limit else None)


def _next_studies(limit: int, last: StudyPlace | None) -> dict[str, str]:
    if last is None:
        return {}
    address = f"/api/studies?limit={limit}&before={places.written(last)}"
    return {"Link": f'<{address}>; rel="next"'}


def _add_jobs(router: Router, context: WebContext) -> None:
    @router.get("/api/jobs", response_model=list[Job])
    def jobs(
        state: SomeState = None,
        study: OfStudy = None,
        limit: Limit = 100,
        offset: Offset = 0,
        before: BeforeJob = None,
    ) -> Response:
        """Jobs, the newest first."""
        with context.database.look() as tx:
            rows = ledger.list_jobs(tx, study, state, limit, offset, before)
            found = views.job_views(tx, rows, objects=True)
        return _jobs.answer([Job.of(view) for view in found])

    @router.get("/api/jobs/{job_id}", responses=MISSING)
    def job(job_id: RowId) -> JobHistory:
        """A job with its transitions."""
        with context.database.look() as tx:
            (view,) = views.job_views(tx, [ledger.get(tx, job_id)], objects=True)
            history = events.list_events(tx, Topic.JOB, job_id)
        return JobHistory.of_job(view, history)
