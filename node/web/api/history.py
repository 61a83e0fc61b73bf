"""What happened: deliveries, events, and images that were refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from node.web.api.sending import Sender
from node.web.asked import Limit, OfJob
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.history import Delivery, Event, Refusal
from storage import events, outbox, quarantine
from storage.records import DeliveryState, Level

SomeState = Annotated[DeliveryState | None, Query(description="Only deliveries in this state.")]
SomeLevel = Annotated[Level | None, Query(description="Only events of this level.")]

_deliveries = Sender(Delivery)
_events = Sender(Event)
_refusals = Sender(Refusal)


def add(router: Router, context: WebContext) -> None:
    look = context.database.look

    @router.get("/api/deliveries", response_model=list[Delivery])
    def deliveries(state: SomeState = None, job: OfJob = None, limit: Limit = 200) -> Response:
        """Objects on their way to destinations, the newest first."""
        with look() as tx:
            rows = outbox.list_deliveries(tx, job_id=job, state=state, limit=limit)
        return _deliveries.answer(_deliveries.read(rows))

    @router.get("/api/events", response_model=list[Event])
    def all_events(level: SomeLevel = None, limit: Limit = 100) -> Response:
        """Transitions of everything, the newest first."""
        with look() as tx:
            rows = events.list_events(tx, level=level, limit=limit)
        return _events.answer(_events.read(rows))

    @router.get("/api/quarantine", response_model=list[Refusal])
    def refused(limit: Limit = 100) -> Response:
        """Images that were refused and kept aside, the last seen first."""
        with look() as tx:
            rows = quarantine.newest(tx, limit)
        return _refusals.answer([Refusal.of(one) for one in rows])
