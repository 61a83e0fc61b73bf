"""Runs the web application in a thread of the node's process.

The port is there at once; FastAPI and uvicorn are read when the application is made, behind it.
"""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from node.dimse.tls import ServerTls
from node.errors import NodeError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from node.web.running import Running

START_S = 10.0
STOP_S = 5.0
MOST_CONNECTIONS = 1000
"""Twice as many as pages may listen for events (``live.watch.MOST``): there is room beside them."""


class CannotServe(NodeError):
    """The HTTP port cannot be had, or nothing answers on it; the message says what to do."""


class WebServer:
    """Serves an application on a host and port; port 0 takes a free one.

    make: the application, made by ``start``.
    tls: what is shown to whoever connects; without, nothing is encrypted.
    proxies: addresses and networks whose X-Forwarded-For and -Proto are believed; without ``tls``
    nobody else beyond this machine is answered then. most_connections: open at once.
    """

    def __init__(
        self,
        make: Callable[[], FastAPI],
        host: str,
        port: int,
        tls: ServerTls | None = None,
        proxies: Sequence[str] = (),
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._make = make
        self._host = host
        self._port = port
        self._tls = tls
        self._proxies = proxies
        self._most_connections = most_connections
        self._running: Running | None = None
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The real port, once it listens."""
        return self._port

    @property
    def scheme(self) -> str:
        return "https" if self._tls else "http"

    def listen(self) -> None:
        """Take the port: who connects is answered once it has started.

        Raises
        ------
        CannotServe
        """
        self._socket = self._listening()
        self._port = int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Serve; requests are answered when this returns.

        Raises
        ------
        CannotServe
        """
        from node.web.running import Running, configured

        if self._socket is None:
            self.listen()
        app = self._make()
        config = configured(app, self._tls, self._proxies, self._most_connections)
        self._running = Running(config)
        self._thread = threading.Thread(
            target=self._running.run, args=([self._socket],), name="http", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._running.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise CannotServe("the web server did not start: see the log")
            time.sleep(0.01)

    def stop(self) -> None:
        """Let running answers end, then free the port."""
        if self._running is not None:
            self._running.end()
        if self._thread is not None:
            self._thread.join(timeout=STOP_S)
        if self._socket is not None:
            self._socket.close()

    def _listening(self) -> socket.socket:
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
