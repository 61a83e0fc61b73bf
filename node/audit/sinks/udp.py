"""Syslog by UDP (RFC 5426): a message a datagram. Nobody says whether it arrived."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from node.audit.sinks import syslog
from node.audit.sinks.port import RepositoryAway
from storage.audit import KeptMessage

ANSWER_S = 0.1
"""So long it is waited for word that nobody listens (ICMP)."""


@dataclass(frozen=True, slots=True)
class UdpSink:
    """What the network loses is lost; that nobody listens is noticed where the network says so."""

    name: str
    host: str
    port: int
    own_host: str = field(default_factory=syslog.host_name)

    def send(self, messages: Sequence[KeptMessage]) -> None:
        """See ``Sink``."""
        self._send([syslog.line(one, self.own_host) for one in messages])

    def probe(self) -> float:
        """See ``Sink``. An empty datagram asks whether anybody listens."""
        began = time.monotonic()
        self._send([b""])
        return time.monotonic() - began

    def _send(self, datagrams: Sequence[bytes]) -> None:
        try:
            family, kind, _, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind) as made:
                made.connect(address)
                for one in datagrams:
                    made.send(one)
                _listen_for_refusal(made)
        except OSError as error:
            raise RepositoryAway(error.strerror or type(error).__name__) from error


def _listen_for_refusal(made: socket.socket) -> None:
    made.settimeout(ANSWER_S)
    try:
        made.recv(1)
    except TimeoutError:
        return
