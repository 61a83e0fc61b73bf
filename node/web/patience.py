"""How long the node waits for whoever asks slowly: neither a head nor a body may take for ever.

A slow answer costs an open connection and nothing else (``dicomweb.streams``). What is stored over
the web has a limit of its own: silence, not length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0
"""From connecting, or from its first byte, to the end of the head of a request."""
BODY_S = 60.0
"""From there to the end of a body that is not stored: none is longer than some kilobytes."""


class Impatient(H11Protocol):
    """Closes connections on which no request comes, or none comes to its end.

    h11 limits how long a head may be, which httptools does not.
    """

    head_s = HEAD_S
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering:
            self._end()
        elif self._limit is None:  # the first bytes of another head
            self._begin()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _begin(self) -> None:
        self._limit = self.loop.call_later(self.head_s, self._give_up)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _give_up(self) -> None:
        self._limit = None
        if not self._is_answering and not self.transport.is_closing():
            self.transport.abort()


class TooSlow(Exception):
    """A body did not come to its end in time."""


class PromptBodies:
    """Answers 408 to requests whose bodies take longer than ``body_s``; not those ``but`` below."""

    def __init__(self, app: ASGIApp, but: Collection[str], body_s: float = BODY_S) -> None:
        self._app = app
        self._but = tuple(but)
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._but):
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._body_s)
        has_begun = False

        async def note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, body.receive, note)
        except TooSlow:
            if not has_begun:
                sentence = "the request did not come to its end in time"
                answer = JSONResponse({"error": sentence}, 408, {"Connection": "close"})
                await answer(scope, receive, send)


class _Body:
    """A body as it comes; once it is whole, nothing hurries."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._ends = asyncio.get_running_loop().time() + seconds
        self._is_whole = False

    async def receive(self) -> Message:
        """Raises TooSlow."""
        if self._is_whole:
            return await self._receive()
        left = self._ends - asyncio.get_running_loop().time()
        try:
            message: Any = await asyncio.wait_for(self._receive(), max(left, 0))
        except TimeoutError as error:
            raise TooSlow from error
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message  # type: ignore[no-any-return]
