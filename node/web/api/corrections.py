"""Letting a correction in: refused bytes take the place of what is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING
from node.web.asked import RowId
from node.web.routers import Router
from node.web.shapes.answers import DoneTo
from storage import quarantine

WholeStudy = Annotated[bool, Query(description="All images of its study that came again.")]


def add(router: Router, changes: Changes) -> None:
    @router.post("/api/quarantine/{quarantined_id}/accept", dependencies=GUARDED, responses=ACTING)
    def accept(quarantined_id: RowId, study: WholeStudy = False) -> DoneTo:
        """Let refused bytes take the place of what is stored under their UID."""
        with changes.begin() as tx:
            number = quarantine.accept(tx, quarantined_id, datetime.now(UTC), study)
        return DoneTo(done="accepted", number=number)
