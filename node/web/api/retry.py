"""Trying a job again, and sending what a destination was not sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING
from node.web.asked import RowId
from node.web.context import WebContext
from node.web.shapes.answers import Done
from storage import abilities, retries, selection

Destination = Annotated[str, Query(description="A destination of the settings, by its name.")]


def add(router: APIRouter, context: WebContext, changes: Changes) -> None:
    @router.post("/api/jobs/{job_id}/retry", dependencies=GUARDED, responses=ACTING)
    def retry(job_id: RowId) -> Done:
        """Send again what was refused, or else run the job again."""
        with changes.begin() as tx:
            done = retries.retry(tx, job_id, datetime.now(UTC)).in_words()
        changes.wake()
        return Done(done=done)

    @router.post("/api/jobs/{job_id}/send", dependencies=GUARDED, responses=ACTING)
    def send(job_id: RowId, to: Destination) -> Done:
        """Ask a destination anew what it takes, and send what of that it was not sent."""
        if to not in context.destinations:
            raise HTTPException(404, f"no destination is called {to!r}")
        with changes.begin() as tx:
            objects = selection.ask_for(tx, to, job_id, datetime.now(UTC))
            abilities.forget(tx, to)
        changes.wake()
        return Done(done=f"{objects} objects of job {job_id} are considered anew for {to}")
