"""A connection by TLS that knows whether the other side has read all: by how it is closed.

``ssl.SSLSocket.unwrap`` does not tell a fatal alert – the other side did not accept this one's
certificate, which TLS 1.3 says after the handshake – from an orderly close. So the records are
handled here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

_READ_BYTES = 65_536


class NotAccepted(OSError):
    """The other side has ended the connection before it read all."""


class SecureLine:
    """Sends only. Raises OSError, of which ``ssl.SSLError`` is one."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._plain = plain
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=server_name)
        self._until_done(self._tls.do_handshake)

    def send(self, text: bytes) -> None:
        """Hand all of it over to the network."""
        for start in range(0, len(text), _READ_BYTES):
            self._tls.write(text[start : start + _READ_BYTES])
            self._flush()

    def close(self) -> None:
        """Say that this was all, and wait until the other side has read it.

        It then closes TLS too, or the connection, as many do. What it closes with something unread
        is reset.
        """
        self._look_for_alert()
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self._flush()
        while received := self._plain.recv(_READ_BYTES):
            self._came.write(received)
            if self._look_for_alert():
                return

    def _look_for_alert(self) -> bool:
        """Whether the other side has closed TLS. Raises ``ssl.SSLError`` for its alerts."""
        try:
            while self._tls.read(_READ_BYTES):
                pass
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLZeroReturnError:
            return True
        return True

    def _until_done(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
            received = self._plain.recv(_READ_BYTES)
            if not received:
                raise NotAccepted(0, "the connection was closed within the handshake")
            self._came.write(received)

    def _flush(self) -> None:
        if waiting := self._goes.read():
            self._plain.sendall(waiting)
