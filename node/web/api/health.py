"""``/health`` and ``/metrics``: what watches the node asks for these."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from node.observe.metrics import CONTENT_TYPE
from node.web.api.refusing import ALWAYS
from node.web.api.sending import as_sent
from node.web.context import WebContext
from node.web.shapes.answers import Check, Health


def add(router: APIRouter, context: WebContext) -> None:
    @router.get(
        "/health",
        response_model=Health,
        responses={
            400: ALWAYS[400],
            503: {"model": Health, "description": "A part does not work."},
        },
    )
    async def health() -> Response:  # async: answers when all threads wait for a database
        """Whether every part did something that worked in the last minute: 200, or else 503."""
        found = _health(context)
        answer = as_sent(found.model_dump_json().encode())
        answer.status_code = 200 if found.ok else 503
        return answer

    @router.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(context.metrics(), media_type=CONTENT_TYPE)


def _health(context: WebContext) -> Health:
    report = context.health.report()
    return Health(
        ok=report.ok,
        checks=[Check.model_validate(one) for one in report.checks],
        survives_power_cut=context.is_synced,
        notes=list(context.cautions),
    )
