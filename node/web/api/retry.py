"""Trying a job again, and sending what a destination was not sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from node.web.api.acts import Acts, person
from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.answers import Done

Destination = Annotated[str, Query(description="A destination of the settings, by its name.")]


def add(router: Router, context: WebContext, changes: Changes) -> None:
    acts = Acts(context, changes)

    @router.post("/api/jobs/{job_id}/retry", dependencies=GUARDED, responses=ACTING)
    def retry(request: Request, job_id: RowId) -> Done:
        """Send again what was refused, or else run the job again."""
        return Done(done=acts.retry(job_id, person(request)))

    @router.post("/api/jobs/{job_id}/send", dependencies=GUARDED, responses=ACTING)
    def send(job_id: RowId, to: Destination) -> Done:
        """Ask a destination anew what it takes, and send what of that it was not sent."""
        return Done(done=acts.send(job_id, to))
