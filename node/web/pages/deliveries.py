"""Where results go: each destination with what waits and why, what it takes, and a test."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from node.web.access.roles import Role, needs
from node.web.api.acts import Acts, person
from node.web.api.changing import Changes
from node.web.context import Away, WebContext
from node.web.frame.render import Render
from node.web.prospects import Prospect
from node.web.routers import Router
from node.wishes import DestinationTried
from storage import abilities, outbox, overview, standing
from storage.abilities import KnownAbilities
from storage.database import Transaction
from storage.records import DeliveryState
from storage.standing import Alike

_OPERATOR = [needs(Role.OPERATOR)]


@dataclass(frozen=True, slots=True)
class Tried:
    """How a destination answered when a person last asked."""

    at: datetime
    found: DestinationTried


@dataclass(frozen=True, slots=True)
class DestinationShown:
    """A destination with all that the page says of it."""

    name: str
    kind: str
    numbers: Mapping[DeliveryState, int]
    open_ones: tuple[Alike, ...]
    next_due: datetime | None
    reason: str
    away: Away | None
    able: KnownAbilities | None
    prospects: tuple[Prospect, ...]
    tried: Tried | None


class _Tests:
    """The last test of each destination, for as long as the node runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, Tried] = {}

    def keep(self, found: DestinationTried) -> None:
        with self._lock:
            self._found[found.name] = Tried(datetime.now(UTC), found)

    def of(self, name: str) -> Tried | None:
        with self._lock:
            return self._found.get(name)


def routes(context: WebContext, render: Render, changes: Changes) -> Router:
    router = Router(default_response_class=HTMLResponse, include_in_schema=False)
    acts, tests = Acts(context, changes), _Tests()

    @router.get("/deliveries", dependencies=[needs(Role.VIEWER)])
    def page(request: Request) -> HTMLResponse:
        with context.database.look() as tx:
            found = [_shown(tx, context, name, tests) for name in context.destinations]
        return render(request, "deliveries.html", destinations=found)

    @router.post("/deliveries/{name}/try", dependencies=_OPERATOR)
    def try_destination(name: str) -> RedirectResponse:
        tests.keep(acts.try_destination(name))
        return RedirectResponse("/deliveries", 303)

    @router.post("/deliveries/{name}/retry", dependencies=_OPERATOR)
    def retry(request: Request, name: str) -> RedirectResponse:
        acts.send_again(name, person(request))
        return RedirectResponse("/deliveries", 303)

    return router


def _shown(tx: Transaction, context: WebContext, name: str, tests: _Tests) -> DestinationShown:
    able = abilities.get(tx, name)
    return DestinationShown(
        name=name,
        kind=context.kinds.get(name, "dimse"),
        numbers=context.shared.get(("standing", name), lambda: standing.numbers(tx, name)),
        open_ones=tuple(standing.open_ones(tx, name)),
        next_due=outbox.next_due(tx, name),
        reason=overview.why_put_off(tx, name),
        away=context.away().get(name),
        able=able,
        prospects=tuple(context.expected(able)) if able else (),
        tried=tests.of(name),
    )
