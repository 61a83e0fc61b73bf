"""Having something done with jobs, studies, the queue and destinations."""

from __future__ import annotations

from fastapi import Request

from node.web.access.roles import Role, needs
from node.web.api.acts import Acts, person
from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING, MISSING
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes import acting as shapes
from node.web.shapes.answers import Done, DoneTo
from node.wishes import Wish
from storage import ledger, suspension


def add(router: Router, context: WebContext, changes: Changes) -> None:
    acts = Acts(context, changes)
    _add_jobs(router, context, acts)
    _add_studies(router, context, acts)
    _add_queue(router, context, acts)

    @router.post("/api/destinations/{name}/try", dependencies=GUARDED, responses=ACTING)
    def try_destination(name: str) -> shapes.Tried:
        """Ask a destination whether it is there, and what it takes; nothing is sent."""
        return shapes.Tried.model_validate(acts.try_destination(name))


def _add_jobs(router: Router, context: WebContext, acts: Acts) -> None:
    @router.get("/api/jobs/{job_id}/log", responses=MISSING)
    def lines(job_id: RowId) -> list[shapes.Line]:
        """The job's own log, the oldest line first: what its workers told."""
        with context.database.look() as tx:
            ledger.get(tx, job_id)
            return [shapes.Line.model_validate(one) for one in ledger.lines_of(tx, job_id)]

    @router.post("/api/jobs/{job_id}/cancel", dependencies=GUARDED, responses=ACTING)
    def cancel(request: Request, job_id: RowId, why: shapes.Reason) -> Done:
        """A job does not run; one that runs is ended, and nothing of that run is sent."""
        return Done(done=acts.cancel(job_id, person(request), why.reason))

    @router.post("/api/jobs/{job_id}/again", dependencies=GUARDED, responses=ACTING)
    def again(request: Request, job_id: RowId, wanted: shapes.Again) -> DoneTo:
        """Analyze the same series with other parameters: a new job, whose number is given."""
        entered = acts.again(job_id, wanted.parameters, person(request), wanted.beside)
        return DoneTo(done=f"job {entered} is entered", number=entered)


def _add_studies(router: Router, context: WebContext, acts: Acts) -> None:
    @router.post("/api/studies/{study_id}/analyze", dependencies=GUARDED, responses=ACTING)
    def analyze(request: Request, study_id: RowId, wanted: shapes.Analysis) -> DoneTo:
        """Have any analyzer run on a study, whatever the rules say: a new job."""
        wish = Wish(
            study_id,
            wanted.analyzer,
            person(request),
            wanted.parameters,
            destinations=tuple(wanted.destinations),
            priority=wanted.priority,
            beside=wanted.beside,
        )
        entered = acts.analyze(wish)
        return DoneTo(done=f"job {entered} is entered", number=entered)

    @router.post("/api/studies/{study_id}/now", dependencies=GUARDED, responses=ACTING)
    def now(request: Request, study_id: RowId) -> Done:
        """Have the rules run on a study that is not complete; its results say what was missing."""
        return Done(done=acts.now(study_id, person(request)))

    @router.get(
        "/api/studies/{study_id}/rules", dependencies=[needs(Role.OPERATOR)], responses=MISSING
    )
    def rules(study_id: RowId) -> list[shapes.Rule]:
        """What the rules would do with a study and why: no job is made."""
        return [shapes.Rule.model_validate(one) for one in context.actions.dry_run(study_id)]


def _add_queue(router: Router, context: WebContext, acts: Acts) -> None:
    @router.get("/api/queue")
    def queue() -> shapes.Queue:
        """Whether jobs are started, and how far those are that run."""
        with context.database.look() as tx:
            found = suspension.current(tx)
        running = [
            shapes.ProgressOf(job_id=job_id, stage=one.stage, since=one.since, share=one.share)
            for job_id, one in sorted(context.progress().items())
        ]
        return shapes.Queue(
            suspended=found is not None,
            since=found.since if found else None,
            said_by=found.said_by if found else "",
            reason=found.reason if found else "",
            running=running,
        )

    @router.post("/api/queue/suspend", dependencies=GUARDED, responses=ACTING)
    def suspend(request: Request, why: shapes.Reason) -> Done:
        """No job is started any more, over restarts; what runs goes on."""
        return Done(done=acts.suspend(person(request), why.reason))

    @router.post("/api/queue/resume", dependencies=GUARDED, responses=ACTING)
    def resume(request: Request) -> Done:
        """Jobs are started again."""
        return Done(done=acts.resume(person(request)))
