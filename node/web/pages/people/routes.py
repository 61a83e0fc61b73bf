"""The pages that are there only where people log in."""

from __future__ import annotations

from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.pages.people import app_passwords, login, login_elsewhere, password, sessions, users
from node.web.routers import Router


def routes(context: WebContext, render: Render) -> Router:
    router = Router()
    if context.logins is not None:
        for module in (login, login_elsewhere, password, users, sessions, app_passwords):
            router.take(module.routes(context.logins, context, render))
    return router
