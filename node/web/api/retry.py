"""Trying a job again."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING
from node.web.asked import RowId
from node.web.shapes.answers import Done
from storage import retries


def add(router: APIRouter, changes: Changes) -> None:
    @router.post("/api/jobs/{job_id}/retry", dependencies=GUARDED, responses=ACTING)
    def retry(job_id: RowId) -> Done:
        """Send again what was refused, or else run the job again."""
        with changes.begin() as tx:
            done = retries.retry(tx, job_id, datetime.now(UTC)).in_words()
        changes.wake()
        return Done(done=done)
