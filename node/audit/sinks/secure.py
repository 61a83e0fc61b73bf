"""A connection by TLS that knows whether the other side has read all: by how it is closed.

``ssl.SSLSocket.unwrap`` does not tell a fatal alert – the other side did not accept this one's
certificate, which TLS 1.3 says after the handshake – from an orderly close. So the records are
handled here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

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

        It then ends the connection; that it has closed TLS before says nothing, for it does so too
        when it stops. A connection that is ended with something unread is reset.
        """
        self._look_for_end()
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()
        self._plain.shutdown(socket.SHUT_WR)
        while received := self._plain.recv(_READ_BYTES):
            self._came.write(received)
            self._look_for_alert()

    def _look_for_end(self) -> None:
        """Whoever ends the connection before it is told to has not read all. Raises NotAccepted."""
        patience_s = self._plain.gettimeout()
        self._plain.settimeout(0)
        try:
            received = self._plain.recv(_READ_BYTES)
        except BlockingIOError:
            return
        finally:
            self._plain.settimeout(patience_s)
        self._came.write(received)
        try:
            self._tls.read(_READ_BYTES)
        except ssl.SSLWantReadError:
            if received:
                return
        except ssl.SSLZeroReturnError:
            pass
        raise NotAccepted(0, "it closed the connection before all was said")

    def _look_for_alert(self) -> None:
        """Raises ``ssl.SSLError`` for an alert other than that TLS is closed."""
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while self._tls.read(_READ_BYTES):
                pass

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
