"""Syslog over TLS (RFC 5425): messages with their length before them.

Syslog has no answers. So each batch has a connection of its own, which is closed as TLS wants it:
the repository closes its side only once it has read all. What was not closed so is handed over
again, on the next connection.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from node.audit.sinks import syslog
from node.audit.sinks.port import RepositoryAway
from node.audit.sinks.secure import SecureLine
from node.errors import SettingsError
from storage.audit import KeptMessage

CONNECT_S = 10.0
CLOSE_S = 30.0
"""How long the repository may take to read a batch."""


@dataclass(frozen=True, slots=True)
class TlsSink:
    """``context`` is made anew for each connection: certificates change while the node runs."""

    name: str
    host: str
    port: int
    server_name: str
    context: Callable[[], ssl.SSLContext]
    own_host: str = field(default_factory=syslog.host_name)

    def send(self, messages: Sequence[KeptMessage]) -> None:
        """See ``Sink``."""
        lines = [syslog.line(one, self.own_host) for one in messages]
        self._send(b"".join(b"%d %b" % (len(one), one) for one in lines))

    def probe(self) -> float:
        """See ``Sink``."""
        began = time.monotonic()
        self._send(b"")
        return time.monotonic() - began

    def _send(self, framed: bytes) -> None:
        """Over a connection that is closed in order on both sides.

        Raises
        ------
        RepositoryAway
        """
        try:
            context = self.context()
            with socket.create_connection((self.host, self.port), CONNECT_S) as plain:
                line = SecureLine(plain, context, self.server_name)
                plain.settimeout(CLOSE_S)
                line.send(framed)
                line.close()
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not accepted: {error.verify_message}"
            raise RepositoryAway(reason) from error
        except SettingsError as error:
            raise RepositoryAway(str(error)) from error
        except OSError as error:
            raise RepositoryAway(_reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).replace("_", " ").lower()
    return error.strerror or "no answer in time"
