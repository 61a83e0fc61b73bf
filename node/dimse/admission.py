"""Who may associate with the node, and with which words the others are turned away."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

REJECTED_PERMANENT = 0x01
REJECTED_TRANSIENT = 0x02
BY_SERVICE_USER = 0x01
BY_PRESENTATION_PROVIDER = 0x03


@dataclass(frozen=True, slots=True)
class Peer:
    """A sender that is let in. Without a host: from anywhere."""

    ae_title: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ: result, source and reason. PS3.8 Table 9-21."""

    result: int
    source: int
    diagnostic: int
    reason: str


CALLING_AE_UNKNOWN = Rejection(
    REJECTED_PERMANENT, BY_SERVICE_USER, 0x03, "calling AE title not recognised"
)
CALLED_AE_UNKNOWN = Rejection(
    REJECTED_PERMANENT, BY_SERVICE_USER, 0x07, "called AE title not recognised"
)
SHUTTING_DOWN = Rejection(
    REJECTED_TRANSIENT, BY_PRESENTATION_PROVIDER, 0x01, "temporary congestion: shutting down"
)
LIMIT_EXCEEDED = Rejection(
    REJECTED_TRANSIENT, BY_PRESENTATION_PROVIDER, 0x02, "local limit exceeded"
)


def is_known(peers: Sequence[Peer], calling_ae: str, host: str) -> bool:
    """Whether a calling AE title stands among the peers, with this host where one is named.

    Host names are looked up at every call: a modality may change its address.
    """
    named = [peer for peer in peers if peer.ae_title.strip() == calling_ae]
    return any(not peer.host or _is_address_of(peer.host, host) for peer in named)


def _is_address_of(name: str, host: str) -> bool:
    wanted = _normal(host)
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(_normal(str(entry[4][0])) == wanted for entry in found)


def _normal(host: str) -> str:
    """An address without zone, IPv4-mapped IPv6 as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
