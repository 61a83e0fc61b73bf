"""Runs the web application in a thread of the node's process."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn
from fastapi import FastAPI

from node.errors import NodeError

START_S = 10.0


class CannotServe(NodeError):
    """The HTTP port cannot be had; the message says what to do."""


class WebServer:
    """Serves an application on a host and port; port 0 takes a free one."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=2, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The real port, once started."""
        return int(self._socket.getsockname()[1]) if self._socket else self._port

    def start(self) -> None:
        """Serve.

        Raises
        ------
        CannotServe
        """
        try:
            self._socket = socket.create_server((self._host, self._port))
        except OSError as error:
            raise CannotServe(
                f"http.port {self._port} on {self._host} cannot be had ({error.strerror}): choose"
                " another, or 0 for a free one"
            ) from error
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="http", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._socket is not None:
            self._socket.close()
