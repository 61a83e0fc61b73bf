"""Runs the web application in a thread of the node's process."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from node.dimse.tls import ServerTls
from node.errors import NodeError
from node.web.behind import Behind
from node.web.patience import MOST_CONNECTIONS, Impatient

START_S = 10.0
STOP_S = 5.0


CLOCK_S = 1.0
"""How old the Date of an answer may be. RFC 9110 6.6.1 counts in seconds."""


class CannotServe(NodeError):
    """The HTTP port cannot be had, or nothing answers on it; the message says what to do."""


class WebServer:
    """Serves an application on a host and port; port 0 takes a free one.

    tls: what is shown to whoever connects; without, nothing is encrypted.
    proxies: addresses and networks whose X-Forwarded-For and -Proto are believed; without ``tls``
    nobody else beyond this machine is answered then. most_connections: open at once.
    """

    def __init__(
        self,
        app: FastAPI,
        host: str,
        port: int,
        tls: ServerTls | None = None,
        proxies: Sequence[str] = (),
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
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
        self._server = _Server(config)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The real port, once started."""
        return self._port

    def start(self) -> None:
        """Serve; requests are answered when this returns.

        Raises
        ------
        CannotServe
        """
        self._socket = self._listen()
        self._port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="http", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise CannotServe("the web server did not start: see the log")
            time.sleep(0.01)

    def stop(self) -> None:
        """Let running answers end, then free the port."""
        self._server.end()
        if self._thread is not None:
            self._thread.join(timeout=STOP_S)
        if self._socket is not None:
            self._socket.close()

    @property
    def scheme(self) -> str:
        return "https" if self._server.config.is_ssl else "http"

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listening = socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            raise CannotServe(
                f"http.port {self._port} on {self._host} cannot be had ({error.strerror}): choose"
                " another, or 0 for a free one"
            ) from error
        # Connections inherit it: else an answer's body waits 40 ms for a client that has its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening


def provide_files(connections: int) -> None:
    """Let this process open so many files more, as far as the system grants them: idle connections
    take none of those that images, the database and modalities need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited:
        return
    wanted = soft + connections
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (wanted if hard == unlimited else min(wanted, hard), hard)
    )


class _Server(uvicorn.Server):
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
