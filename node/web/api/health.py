"""``/health`` and ``/metrics``: what watches the node asks for these."""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.responses import Response

from node.config.values import is_local
from node.observe.metrics import CONTENT_TYPE
from node.web.access.roles import who
from node.web.api.refusing import ALWAYS
from node.web.api.sending import as_sent
from node.web.context import WebContext
from node.web.routers import Router
from node.web.shapes.answers import Check, Health


def add(router: Router, context: WebContext) -> None:
    @router.get(
        "/health",
        response_model=Health,
        responses={
            400: ALWAYS[400],
            503: {"model": Health, "description": "A part does not work."},
        },
    )
    async def health(
        request: Request,
    ) -> Response:  # async: answers when all threads wait for a database
        """Whether every part did something that worked in the last minute: 200, or else 503."""
        found = _health(context, _sees_detail(request))
        answer = as_sent(found.model_dump_json().encode())
        answer.status_code = 200 if found.ok else 503
        return answer

    @router.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        person = who(request)
        if person.role is not None and person.restriction.any_of is not None:
            raise HTTPException(403, "metrics count all studies, and you see some only")
        if not _sees_detail(request):
            challenge = {"WWW-Authenticate": 'Basic realm="Wetread", charset="UTF-8"'}
            raise HTTPException(401, "metrics are for this machine, or log in", challenge)
        return Response(context.metrics(), media_type=CONTENT_TYPE)


def _sees_detail(request: Request) -> bool:
    """Whoever asks from this machine, as a probe does, or has logged in."""
    return who(request).role is not None or is_local(request.client.host if request.client else "")


def _health(context: WebContext, in_detail: bool) -> Health:
    report = context.health.report()
    if not in_detail:
        return Health(ok=report.ok, checks=[], survives_power_cut=context.is_synced, notes=[])
    return Health(
        ok=report.ok,
        checks=[Check.model_validate(one) for one in report.checks],
        survives_power_cut=context.is_synced,
        notes=list(context.cautions),
    )
