"""Sends bodies in pieces, as fast as the client reads: never more than one of them in memory.

Pieces are read in the threads of the room, one at a time; between them nobody waits in a thread,
so a slow client keeps an open file and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, TypeVar

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from node.errors import NodeError
from storage.errors import StorageError
from storage.files.port import Readable

log = structlog.get_logger(__name__)

PIECE = 256 * 1024
"""Bytes that are read and sent at a time: with larger ones others wait longer for their turn."""
AT_ONCE = 1 << 20
"""Shorter bodies are read before they are sent, and sent as one."""

Pieces = Generator[bytes, None, None]
T = TypeVar("T")


def file_pieces(source: Readable, start: int = 0, length: int | None = None) -> Pieces:
    """The bytes of a file, or some of them. Raises FileNotFoundError, OSError."""
    with source.open("rb") as file:
        if start:
            file.seek(start)
        while piece := file.read(PIECE if length is None else min(PIECE, length)):
            length = None if length is None else length - len(piece)
            yield piece
            if length == 0 or len(piece) < PIECE:
                return


def gathered(pieces: Iterable[bytes]) -> Pieces:
    """Small pieces put together, so that each sending is worth it; only the last is shorter
    than PIECE."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


class Streamed(Response):
    """An answer whose body is read while it is sent.

    The first piece is read at once, where errors still can be answered; mostly it is the whole. An
    error that comes later breaks the connection off, so that nobody takes a part for the whole.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        slots: Executor,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(None, status, headers)
        self._pieces = gathered(pieces)
        self._slots = slots
        self._ready = list(_first(self._pieces))
        self._is_whole = sum(map(len, self._ready)) < AT_ONCE
        if "Content-Length" not in (headers or ()):
            del self.headers["Content-Length"]
            if self._is_whole:
                self.headers["Content-Length"] = str(sum(map(len, self._ready)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        if self._is_whole:
            await send(_body(b"".join(self._ready), more=False))
        else:
            await self._send_pieces(receive, send)

    async def _send_pieces(self, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(_departure(receive))
        try:
            piece = self._ready.pop(0)
            while piece and not left.done():
                await send(_body(piece, more=True))
                piece = self._ready.pop(0) if self._ready else await self._next()
            await send(_body(b"", more=False))
        except (OSError, NodeError, StorageError) as error:
            log.warning("dicomweb_broken_off", error=type(error).__name__)
        finally:
            left.cancel()
            self._slots.submit(self._pieces.close)

    async def _next(self) -> bytes:
        return await in_slot(self._slots, next, self._pieces, b"")


async def in_slot(slots: Executor, answer: Callable[..., T], *given: Any) -> T:
    """What runs in a thread of these sees the same studies as the request (``access.sight``)."""
    run = copy_context().run
    return await asyncio.get_running_loop().run_in_executor(slots, run, answer, *given)


def _first(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """So many that there are AT_ONCE, or all."""
    size = 0
    while size < AT_ONCE and (piece := next(pieces, b"")):
        size += len(piece)
        yield piece


def _body(piece: bytes, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": more}


async def _departure(receive: Receive) -> None:
    """Ends when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
