"""The queue of jobs, and one job with all that is known of it and can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from analyzers import registry
from node.errors import NotPossible
from node.web import parameters, views
from node.web.access.roles import Role, needs
from node.web.api.acts import Acts, person
from node.web.api.changing import Changes
from node.web.asked import BeforeJob, RowId
from node.web.context import WebContext
from node.web.forms import fields, words
from node.web.frame.render import Render
from node.web.routers import Router
from node.web.viewer import links
from node.wishes import Wish
from storage import events, index, ledger, own_jobs, suspension
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Event, Job, JobLine, JobState, StudyRow, Topic

AT_ONCE = 50
"""Jobs of one part of the list."""
HISTORY = 200
"""Transitions of one job that are shown."""
_OPERATOR = [needs(Role.OPERATOR)]

State = Annotated[JobState | None, Query()]
Words = Annotated[dict[str, str], Depends(words)]
Fields = Annotated[dict[str, list[str]], Depends(fields)]


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)
    acts = Acts(context, changes)
    _add_pages(router, context, render)
    _add_actions(router, acts)
    _add_wishes(router, acts)
    return router


# --- what is shown --------------------------------------------------------------------------------


def _add_pages(router: Router, context: WebContext, render: Render) -> None:
    @router.get("/jobs", dependencies=[needs(Role.VIEWER)])
    def queue(request: Request, state: State = None, before: BeforeJob = None) -> HTMLResponse:
        with context.database.look() as tx:
            jobs = ledger.list_jobs(tx, state=state, limit=AT_ONCE + 1, before=before)
            studies = _studies_of(tx, jobs)
            stopped = suspension.current(tx)
        return render(
            request,
            "jobs.html",
            jobs=jobs[:AT_ONCE],
            studies=studies,
            counts=_counts(context),
            states=tuple(JobState),
            state=state,
            before=before,
            older=jobs[AT_ONCE - 1].id if len(jobs) > AT_ONCE else None,
            suspension=stopped,
            progress=context.progress(),
        )

    @router.get("/jobs/{job_id}", dependencies=[needs(Role.VIEWER)])
    def one_job(request: Request, job_id: RowId) -> HTMLResponse:
        with context.database.look() as tx:
            shown = _shown(tx, job_id)
        job = shown.view.job
        return render(
            request,
            "one_job.html",
            one=shown.view,
            links=links,
            job=job,
            study=shown.study,
            told=_told(shown.events, shown.lines),
            progress=context.progress().get(job_id),
            fields=parameters.fields_of(job.analyzer, job.parameters),
            away=context.away(),
            is_own=job.analyzer in own_jobs.OWN,
        )

    @router.get("/studies/{study_id}/analyze", dependencies=_OPERATOR)
    def form(request: Request, study_id: RowId, analyzer: str = "") -> HTMLResponse:
        with context.database.look() as tx:
            study = index.get_study(tx, study_id)
        if analyzer and analyzer not in registry.names():
            raise NotFound("there is no such analyzer")
        return render(
            request,
            "analyze.html",
            study=study,
            analyzer=analyzer,
            analyzers=registry.names(),
            fields=parameters.fields_of(analyzer) if analyzer else [],
            destinations=context.destinations,
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    view: views.JobView
    study: StudyRow
    events: list[Event]
    lines: list[JobLine]


def _shown(tx: Transaction, job_id: int) -> _Shown:
    (view,) = views.job_views(tx, [ledger.get(tx, job_id)], objects=True)
    return _Shown(
        view,
        index.get_study(tx, view.job.study_id),
        events.list_events(tx, Topic.JOB, job_id, limit=HISTORY),
        ledger.lines_of(tx, job_id),
    )


def _studies_of(tx: Transaction, jobs: Sequence[Job]) -> dict[int, StudyRow]:
    return {one.id: one for one in index.get_studies(tx, {job.study_id for job in jobs})}


def _counts(context: WebContext) -> dict[JobState, int]:
    def counted() -> dict[JobState, int]:
        with context.database.look() as tx:
            return dict(events.counts(tx).jobs)

    found: dict[JobState, int] = context.shared.get("jobs by state", counted)
    return found


def _told(history: Sequence[Event], lines: Sequence[JobLine]) -> list[JobLine]:
    """Transitions and the workers' own lines, as they came."""
    transitions = [JobLine(one.at, one.level.value, _words(one)) for one in reversed(history)]
    return sorted((*transitions, *lines), key=lambda one: one.at)


def _words(one: Event) -> str:
    state = "waiting" if one.to_state == JobState.PENDING else one.to_state.replace("_", " ")
    return f"{state}: {one.reason}" if one.reason else state


# --- what is done ---------------------------------------------------------------------------------


def _add_actions(router: Router, acts: Acts) -> None:
    @router.post("/jobs/{job_id}/retry", dependencies=_OPERATOR)
    def retry(request: Request, job_id: RowId) -> RedirectResponse:
        acts.retry(job_id, person(request))
        return _back(f"/jobs/{job_id}")

    @router.post("/jobs/{job_id}/cancel", dependencies=_OPERATOR)
    def cancel(request: Request, job_id: RowId, given: Words) -> RedirectResponse:
        acts.cancel(job_id, person(request), given.get("reason", "")[:400])
        return _back(f"/jobs/{job_id}")

    @router.post("/jobs/{job_id}/send", dependencies=_OPERATOR)
    def send(job_id: RowId, given: Words) -> RedirectResponse:
        acts.send(job_id, given.get("to", ""))
        return _back(f"/jobs/{job_id}")

    @router.post("/jobs/suspend", dependencies=_OPERATOR)
    def suspend(request: Request, given: Words) -> RedirectResponse:
        acts.suspend(person(request), given.get("reason", "")[:400])
        return _back("/jobs")

    @router.post("/jobs/resume", dependencies=_OPERATOR)
    def resume(request: Request) -> RedirectResponse:
        acts.resume(person(request))
        return _back("/jobs")


def _add_wishes(router: Router, acts: Acts) -> None:
    @router.post("/jobs/{job_id}/again", dependencies=_OPERATOR)
    def again(request: Request, job_id: RowId, given: Fields) -> RedirectResponse:
        wanted, beside = parameters.given(given), "beside" in given
        entered = acts.again(job_id, wanted, person(request), beside)
        return _back(f"/jobs/{entered}")

    @router.post("/studies/{study_id}/analyze", dependencies=_OPERATOR)
    def analyze(request: Request, study_id: RowId, given: Fields) -> RedirectResponse:
        entered = acts.analyze(_wish(study_id, given, person(request)))
        return _back(f"/jobs/{entered}")

    @router.post("/studies/{study_id}/now", dependencies=_OPERATOR)
    def now(request: Request, study_id: RowId) -> RedirectResponse:
        acts.now(study_id, person(request))
        return _back(f"/studies/{study_id}")


def _wish(study_id: int, form: dict[str, list[str]], said_by: str) -> Wish:
    analyzer = " ".join(form.get("analyzer", []))
    if not analyzer:
        raise NotPossible("choose an analyzer")
    return Wish(
        study_id,
        analyzer,
        said_by,
        parameters.given(form),
        destinations=tuple(form.get("destination", [])),
        beside="beside" in form,
    )


def _back(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)
