"""Open alarms, and saying that a person has seen one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from node.web import alarms
from node.web.api.changing import GUARDED, Changes
from node.web.api.refusing import ACTING
from node.web.api.sending import Sender
from node.web.asked import Limit, RowId
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.answers import DoneTo
from node.web.shapes.history import Event
from storage import events

Alike = Annotated[bool, Query(description="Also those like it that are older.")]

_events = Sender(Event)


def add(router: Router, context: WebContext, changes: Changes) -> None:
    @router.get("/api/alarms", response_model=list[Event])
    def open_alarms(limit: Limit = 100) -> Response:
        """Alarms that nobody has acknowledged, the newest first."""
        with context.database.look() as tx:
            rows = events.open_alarms(tx, limit)
        return _events.answer(_events.read(rows))

    @router.post("/api/alarms/{event_id}/acknowledge", dependencies=GUARDED, responses=ACTING)
    def acknowledge(event_id: RowId, alike: Alike = False) -> DoneTo:
        """Acknowledge an alarm: a person has seen it."""
        with changes.begin() as tx:
            number = alarms.acknowledge(tx, event_id, alike)
        return DoneTo(done="acknowledged", number=number)
