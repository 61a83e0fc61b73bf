"""``GET /events``: server-sent events (HTML 9.2), one whenever something has changed.

They name topics, nothing of what is in them: the page asks for that as whoever looks at it. The
stream ends with the session, and when a client does not take what it is sent.
"""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from node.web.access.roles import Role, Who, needs, who
from node.web.access.sessions import BACKGROUND
from node.web.live.watch import Listener, Regular, TooMany, Watch
from node.web.routers import Router
from storage.errors import StorageError

PATH = "/events"
SIGN_OF_LIFE_S = 20.0
"""So often an idle stream says that it is there, and looks whether the session goes on."""
PATIENCE_S = 20.0
"""A client that takes nothing for so long is let go."""
AGAIN_MS = 3000
"""When a page asks for the stream again after it broke."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


def routes(watch: Watch) -> Router:
    router = Router(include_in_schema=False)

    @router.get(PATH, dependencies=[needs(Role.VIEWER)])
    async def events(request: Request) -> Response:
        listener = Listener() if who(request).restriction.any_of is None else Regular()
        try:
            watch.listen(listener)
        except TooMany as error:
            raise HTTPException(503, "too many pages are open at once") from error
        return _Stream(request, watch, listener)

    return router


class _Stream(Response):
    """Sends until the client, its session or the server ends."""

    def __init__(self, request: Request, watch: Watch, listener: Listener) -> None:
        super().__init__()
        self._request, self._watch, self._listener = request, watch, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            told = asyncio.create_task(self._tell(send))
            gone = asyncio.create_task(_is_gone(receive))
            _, pending = await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
            for one in pending:
                one.cancel()
            await asyncio.gather(told, gone, return_exceptions=True)
        finally:
            self._watch.leave(self._listener)

    async def _tell(self, send: Send) -> None:
        clock = asyncio.get_running_loop()
        text, rests_until = f"retry: {AGAIN_MS}\n\n", clock.time() + self._watch.rest_s()
        while True:
            body = {"type": "http.response.body", "body": text.encode(), "more_body": True}
            await asyncio.wait_for(send(body), PATIENCE_S)
            topics = await self._listener.changes(SIGN_OF_LIFE_S, rests_until)
            if not await self._goes_on():
                await send({"type": "http.response.body", "body": b"event: over\ndata:\n\n"})
                return
            said = " ".join(sorted(topics))
            if topics:
                rests_until = clock.time() + self._watch.rest_s()
            text = f"event: revision\ndata: {said}\n\n" if topics else ": here\n\n"

    async def _goes_on(self) -> bool:
        """Whether the session does; a stream is no sign that somebody sits there."""
        headers = [*self._request.scope["headers"], (BACKGROUND.lower().encode(), b"1")]
        asked = Request({**self._request.scope, "headers": headers})
        before: Who = who(self._request)
        try:
            now: Who = await self._request.app.state.access.identify(asked)
        except StorageError:
            return True  # nobody can tell at the moment
        return now.role is before.role and now.name == before.name


async def _is_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
