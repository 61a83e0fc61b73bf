"""Measures how soon answers begin, by route, and how long whole retrieves take: until their last
part is handed over."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.observe.durations import OTHER, Timings
from node.web.audited import WHOLE, route_of

WADO = "WADO-RS"


class Timed:
    """Stands around the application."""

    def __init__(self, app: ASGIApp, timings: Timings) -> None:
        self._app = app
        self._timings = timings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                label = route_of(scope) or OTHER
                self._timings.answers.observe(label, time.monotonic() - began)
            elif status == 200 and not message.get("more_body") and route_of(scope) in WHOLE:
                self._timings.retrieves.observe(WADO, time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, note)
