"""Deletions: what was deleted, and having a study deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import HTTPException, Query
from fastapi.responses import Response

from node.web.api.changing import ADMINISTERING, Changes
from node.web.api.refusing import ACTING
from node.web.api.sending import Sender
from node.web.asked import Limit, RowId
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.answers import Done
from node.web.shapes.history import Deletion
from storage import deletions
from storage.deletions import NewDeletion, Scope

Reason = Annotated[
    str, Query(min_length=1, max_length=1000, description="Why; it stays in the record.")
]
Undelivered = Annotated[
    bool, Query(description="Also what was not delivered, or not committed to.")
]

_deletions = Sender(Deletion)


def add(router: Router, context: WebContext, changes: Changes) -> None:
    @router.get("/api/deletions", response_model=list[Deletion])
    def all_deletions(limit: Limit = 100) -> Response:
        """Deletions, the newest first."""
        with context.database.look() as tx:
            rows = deletions.newest(tx, limit)
        return _deletions.answer(_deletions.read(rows))

    @router.post("/api/studies/{study_id}/delete", dependencies=ADMINISTERING, responses=ACTING)
    def delete(study_id: RowId, reason: Reason, undelivered: Undelivered = False) -> Done:
        """Have a study deleted; 409 with the condition that is not met."""
        with changes.begin() as tx:
            holds = deletions.holds(tx, study_id, undelivered)
            if holds:
                raise HTTPException(409, f"it stays: {'; '.join(holds)}")
            wanted = NewDeletion(study_id, Scope.STUDY, reason, "the API", undelivered)
            deletions.ask(tx, wanted, datetime.now(UTC))
        return Done(done="the study is to be deleted")
