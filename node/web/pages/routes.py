"""All pages, a module each."""

from __future__ import annotations

from fastapi import APIRouter

from node.web.api.changing import Changes
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.pages import (
    alarms,
    analyzers,
    audit,
    deliveries,
    fetch,
    gaps,
    jobs,
    previews,
    quarantine,
    rules,
    settings,
    studies,
    study,
    upload,
)
from node.web.pages.people import routes as people
from node.web.viewer.own import routes as look


def routes(context: WebContext, render: Render) -> APIRouter:
    router = APIRouter()
    changes = Changes(context)
    router.include_router(studies.routes(context, render))
    router.include_router(study.routes(context, render, changes))
    router.include_router(alarms.routes(context, render, changes))
    router.include_router(jobs.routes(context, render, changes))
    router.include_router(deliveries.routes(context, render, changes))
    router.include_router(quarantine.routes(context, render, changes))
    router.include_router(gaps.routes(context, render))
    router.include_router(rules.routes(context, render))
    router.include_router(analyzers.routes(context, render))
    router.include_router(upload.routes(context, render))
    router.include_router(settings.routes(context, render))
    router.include_router(fetch.routes(context, render, changes))
    router.include_router(audit.routes(context, render))
    router.include_router(previews.routes(context))
    router.include_router(look.routes(context, render))
    router.include_router(people.routes(context, render))
    return router
