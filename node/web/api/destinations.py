"""Where results go, and which destinations do not take them at the moment."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from node.web.api.sending import Sender
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.destinations import Destination
from storage import outbox, overview
from storage.database import Transaction

_destinations = Sender(Destination)


def add(router: Router, context: WebContext) -> None:
    look = context.database.look

    @router.get("/api/destinations", response_model=list[Destination])
    def destinations() -> Response:
        """Where results go, in the order of the settings."""
        with look() as tx:
            rows = [_row(tx, context, name) for name in context.destinations]
        return _destinations.answer(_destinations.read(rows))


def _row(tx: Transaction, context: WebContext, name: str) -> dict[str, Any]:
    away = context.away().get(name)
    return {
        "name": name,
        "kind": context.kinds.get(name, "dimse"),
        "next_due": outbox.next_due(tx, name),
        "reason": overview.why_put_off(tx, name),
        "silent_since": away.since if away else None,
        "next_try": away.next_try if away else None,
    }
