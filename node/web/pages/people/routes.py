"""The pages that are there only where people log in."""

from __future__ import annotations

from fastapi import APIRouter

from node.web.context import WebContext
from node.web.frame.render import Render
from node.web.pages.people import app_passwords, login, login_elsewhere, password, sessions, users


def routes(context: WebContext, render: Render) -> APIRouter:
    router = APIRouter()
    if context.logins is not None:
        for module in (login, login_elsewhere, password, users, sessions, app_passwords):
            router.include_router(module.routes(context.logins, context, render))
    return router
