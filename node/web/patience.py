"""How long the node waits for whoever asks slowly: neither a head nor a body may take for ever, and
connections that wait are not more than there is room for.

A slow answer costs an open connection and nothing else (``dicomweb.streams``). What is stored over
the web has a limit of its own: silence, not length.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Any, ClassVar

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0
"""From connecting, or from its first byte, to the end of the head of a request."""
MOST_REFUSED = 16
"""Connections beside them, each of which is told so when it asks."""
RETRY_AFTER_S = 5
BODY_S = 60.0
"""From there to the end of a body that is not stored: none is longer than some kilobytes."""


LATE = "the head of the request did not come to its end in time"
FULL = "too many connections are open at once (http.max_connections): try again in a moment"


class Impatient(H11Protocol):
    """Closes connections on which no request comes, or none comes to its end.

    h11 limits how long a head may be, which httptools does not.
    """

    head_s = HEAD_S
    most: ClassVar[int]
    _limit: asyncio.TimerHandle | None = None
    _since = 0.0
    _has_begun = False
    """Something of a head has come."""
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        if len(self.connections) > self.most:
            self._make_room()
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, FULL)
            return
        super().data_received(data)
        self._has_begun = not self._is_answering
        if self._is_answering:
            self._end()
        elif self._limit is None:  # the first bytes of another head
            self._begin()

    @classmethod
    def limited(cls, most: int) -> type[Impatient]:
        """For a server that has so many connections at once."""
        return type(cls.__name__, (cls,), {"most": most})

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _waits(self) -> bool:
        """For the head of a request, or for its body: nobody answers."""
        if self.transport.is_closing():
            return False
        return not self._is_answering or (self.cycle.more_body and not self.cycle.response_started)

    def _make_room(self) -> None:
        """Who has waited longest without having asked gives way; where all are being answered, who
        comes now is refused."""
        others = sorted(self._others(), key=lambda one: one._since)
        waiting = [one for one in others if one._waits and not one._is_refused]
        if waiting:
            waiting[0]._give_way()
            return
        self._is_refused = True
        refused = [one for one in others if one._is_refused]
        if len(refused) >= MOST_REFUSED:
            refused[0].transport.abort()

    def _others(self) -> Iterator[Impatient]:
        for one in self.connections:
            if isinstance(one, Impatient) and one is not self:
                yield one

    def _give_way(self) -> None:
        if self._has_begun or self._is_answering:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, FULL)
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Say why, beside what the application would; it is told that nobody listens any more."""
        body = json.dumps({"error": sentence}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: {RETRY_AFTER_S}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _begin(self) -> None:
        self._limit = self.loop.call_later(self.head_s, self._give_up)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _give_up(self) -> None:
        self._limit = None
        if self._is_answering or self.transport.is_closing():
            return
        if self._has_begun:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, LATE)
        else:
            self.transport.abort()


class TooSlow(Exception):
    """A body did not come to its end in time."""


class PromptBodies:
    """Answers 408 to requests whose bodies take longer than ``body_s``; not those ``but`` below."""

    def __init__(self, app: ASGIApp, but: Collection[str], body_s: float | None = None) -> None:
        self._app = app
        self._but = tuple(but)
        self._body_s = BODY_S if body_s is None else body_s

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
