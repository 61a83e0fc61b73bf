"""Who may associate with the node."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from node.config.dimse import PeerSettings
from node.dimse.tls import PeerCertificate
from node.dimse.wire.negotiation import UserIdentity
from node.dimse.wire.rejections import (
    CALLING_AE_UNKNOWN,
    CERTIFICATE_NOT_BOUND,
    LIMIT_EXCEEDED,
    PEER_LIMIT_EXCEEDED,
    Rejection,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an association request asks for and says of its sender."""

    contexts: int = 0
    """Presentation contexts proposed."""
    identity: UserIdentity | None = None


@dataclass(frozen=True, slots=True)
class Recognised:
    """Who asks: a peer of the settings, a stranger that is let in (None), or a rejection."""

    peer: PeerSettings | None = None
    rejection: Rejection | None = None


def within_limits(
    taken: Sequence[str], host: str, most: int, most_per_host: int
) -> Rejection | None:
    """Decide on one more association beside those from the hosts ``taken``; 0: no limit a host."""
    if len(taken) >= most:
        return LIMIT_EXCEEDED
    if most_per_host and taken.count(host) >= most_per_host:
        return PEER_LIMIT_EXCEEDED
    return None


def recognise(
    peers: Sequence[PeerSettings],
    calling_ae: str,
    host: str,
    certificate: PeerCertificate | None = None,
    accept_any: bool = False,
) -> Recognised:
    """Decide on a calling AE title, with the host and the certificate where a peer names them.

    With ``accept_any`` others than the peers are let in too, also under a peer's title; a title
    that is bound to a certificate never comes without it. Host names are looked up at every call: a
    modality may change its address.
    """
    named = [peer for peer in peers if peer.ae_title.strip() == calling_ae]
    here = [peer for peer in named if not peer.host or _is_address_of(peer.host, host)]
    for peer in here:
        if _bears(certificate, peer):
            return Recognised(peer)
    if accept_any and not any(peer.certificate for peer in named):
        return Recognised()
    return Recognised(rejection=CERTIFICATE_NOT_BOUND if here else CALLING_AE_UNKNOWN)


def _bears(certificate: PeerCertificate | None, peer: PeerSettings) -> bool:
    if not peer.certificate:
        return True
    return certificate is not None and certificate.is_named(peer.certificate)


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
