"""The JSON API and /health: every route, in the order of the OpenAPI document.

What changes something wants the header ``X-Wetread: 1``. Every answer has a shape in
``node.web.shapes``; one that is not what was asked for is a ``Refused``.
"""

from __future__ import annotations

from node.web.access.roles import PUBLIC, Role, needs
from node.web.api import (
    acting,
    alarms,
    corrections,
    destinations,
    fetches,
    health,
    history,
    notes,
    retention,
    retry,
    studies,
)
from node.web.api.changing import Changes
from node.web.api.refusing import ALWAYS
from node.web.context import WebContext
from node.web.routers import Router


def routes(context: WebContext) -> Router:
    everything = Router()
    everything.take(_watched(context))
    everything.take(_read_and_changed(context))
    return everything


def _watched(context: WebContext) -> Router:
    """What a probe asks for: it does not log in."""
    router = Router(responses=ALWAYS, dependencies=[needs(PUBLIC)])
    health.add(router, context)
    return router


def _read_and_changed(context: WebContext) -> Router:
    """What changes something names a role of its own besides."""
    router = Router(responses=ALWAYS, dependencies=[needs(Role.VIEWER)])
    changes = Changes(context)
    studies.add(router, context)
    history.add(router, context)
    destinations.add(router, context)
    alarms.add(router, context, changes)
    retry.add(router, context, changes)
    acting.add(router, context, changes)
    notes.add(router, context, changes)
    corrections.add(router, changes)
    retention.add(router, context, changes)
    fetches.add(router, context, changes)
    return router
