"""uvicorn, as the node runs it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from node.dimse.tls import ServerTls
from node.web.behind import Behind
from node.web.patience import Impatient

CLOCK_S = 1.0
"""How old the Date of an answer may be. RFC 9110 6.6.1 counts in seconds."""


def configured(
    app: FastAPI, tls: ServerTls | None, proxies: Sequence[str], most_connections: int
) -> uvicorn.Config:
    """What ``node.web.server.WebServer`` is told, as uvicorn wants it."""
    return uvicorn.Config(
        Behind(app, proxies, only=tls is None) if proxies else app,
        ssl_context_factory=None if tls is None else lambda config, usual: _shown_by(tls),
        proxy_headers=False,  # else this machine's were believed
        log_config=None,
        access_log=False,
        server_header=False,
        http=Impatient.limited(most_connections),
        reset_contextvars=True,  # what one request may see is nothing to the next
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=2,
    )


class Running(uvicorn.Server):
    """uvicorn's, which looks ten times a second whether it is to end; this one is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._is_told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            timer = self._loop.call_later(CLOCK_S, self._is_told.set)
            await self._is_told.wait()
            timer.cancel()
            self._is_told.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; who still has not taken his answer is cut off then."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # only then their sockets are closed

    def end(self) -> None:
        """Let running answers end. From any thread."""
        self.should_exit = True
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(self._is_told.set)


def _shown_by(tls: ServerTls) -> ssl.SSLContext:
    """A context that shows each connection the certificate that is there when it begins."""

    def current() -> ssl.SSLContext:
        context = tls.context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def show(connection: ssl.SSLObject, name: str | None, of: ssl.SSLContext) -> None:
        connection.context = current()

    listening = current()
    listening.sni_callback = show
    return listening
