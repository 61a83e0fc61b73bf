"""All pages, a module each."""

from __future__ import annotations

from fastapi import APIRouter

from node.web.api.changing import Changes
from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.pages import alarms, audit, fetch, jobs, previews, studies, with_login
from node.web.viewer.own import routes as look


def routes(context: WebContext, render: Render) -> APIRouter:
    router = APIRouter()
    changes = Changes(context)
    router.include_router(studies.routes(context, render))
    router.include_router(alarms.routes(context, render, changes))
    router.include_router(jobs.routes(context, render, changes))
    router.include_router(fetch.routes(context, render, changes))
    router.include_router(audit.routes(context, render))
    router.include_router(previews.routes(context))
    router.include_router(look.routes(context, render))
    router.include_router(with_login.routes(context, render))
    return router
