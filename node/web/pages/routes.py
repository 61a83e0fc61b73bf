"""All pages, a module each."""

from __future__ import annotations

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
    notes,
    previews,
    quarantine,
    rules,
    settings,
    studies,
    study,
    upload,
)
from node.web.pages.people import routes as people
from node.web.routers import Router
from node.web.viewer.own import routes as look


def routes(context: WebContext, render: Render) -> Router:
    router = Router()
    changes = Changes(context)
    router.take(studies.routes(context, render))
    router.take(study.routes(context, render, changes))
    router.take(notes.routes(context, render, changes))
    router.take(alarms.routes(context, render, changes))
    router.take(jobs.routes(context, render, changes))
    router.take(deliveries.routes(context, render, changes))
    router.take(quarantine.routes(context, render, changes))
    router.take(gaps.routes(context, render))
    router.take(rules.routes(context, render))
    router.take(analyzers.routes(context, render))
    router.take(upload.routes(context, render))
    router.take(settings.routes(context, render))
    router.take(fetch.routes(context, render, changes))
    router.take(audit.routes(context, render))
    router.take(previews.routes(context))
    router.take(look.routes(context, render))
    router.take(people.routes(context, render))
    return router
