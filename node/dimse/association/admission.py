"""Who may associate with the node, and with which words the others are turned away."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from node.dimse.association.identity import UserIdentity
from node.dimse.tls import PeerCertificate

REJECTED_PERMANENT = 0x01
REJECTED_TRANSIENT = 0x02
BY_SERVICE_USER = 0x01
BY_ACSE_PROVIDER = 0x02
BY_PRESENTATION_PROVIDER = 0x03


@dataclass(frozen=True, slots=True)
class Peer:
    """A sender that is let in. Without a host: from anywhere."""

    ae_title: str
    host: str = ""
    certificate: str = ""
    """A fingerprint or a subject (``tls``): only over TLS and with this certificate."""


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
PEER_LIMIT_EXCEEDED = Rejection(
    REJECTED_TRANSIENT,
    BY_PRESENTATION_PROVIDER,
    0x02,
    "local limit exceeded: associations of one host",
)
CONGESTED = Rejection(
    REJECTED_TRANSIENT,
    BY_PRESENTATION_PROVIDER,
    0x01,
    "temporary congestion: too many requests at once",
)
FAULT = Rejection(REJECTED_TRANSIENT, BY_ACSE_PROVIDER, 0x01, "a fault of this node")
CALLING_AE_BLANK = Rejection(REJECTED_PERMANENT, BY_SERVICE_USER, 0x03, "calling AE title is blank")
CALLED_AE_BLANK = Rejection(REJECTED_PERMANENT, BY_SERVICE_USER, 0x07, "called AE title is blank")
APPLICATION_CONTEXT_UNKNOWN = Rejection(
    REJECTED_PERMANENT, BY_SERVICE_USER, 0x02, "application context name is not DICOM's"
)
VERSION_NOT_SUPPORTED = Rejection(
    REJECTED_PERMANENT, BY_ACSE_PROVIDER, 0x02, "protocol version 1 is not offered"
)
NO_CONTEXT = Rejection(
    REJECTED_PERMANENT, BY_ACSE_PROVIDER, 0x01, "no presentation context with an odd id"
)
REQUEST_UNREADABLE = Rejection(
    REJECTED_PERMANENT, BY_ACSE_PROVIDER, 0x01, "items lie about their lengths"
)
TOO_MANY_CONTEXTS = Rejection(
    REJECTED_PERMANENT,
    BY_PRESENTATION_PROVIDER,
    0x02,
    "more presentation contexts than dimse.max_contexts",
)
CERTIFICATE_NOT_BOUND = Rejection(
    REJECTED_PERMANENT,
    BY_SERVICE_USER,
    0x03,
    "calling AE title is bound to another certificate",
)
USER_UNKNOWN = Rejection(
    REJECTED_TRANSIENT, BY_ACSE_PROVIDER, 0x01, "user identity missing or not verified"
)
"""PS3.7 D.3.3.7 names no reason of its own, so that nothing is told to whoever guesses."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an association request asks for and says of its sender."""

    contexts: int = 0
    """Presentation contexts proposed."""
    identity: UserIdentity | None = None


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
    peers: Sequence[Peer],
    calling_ae: str,
    host: str,
    certificate: PeerCertificate | None = None,
    accept_any: bool = False,
) -> Rejection | None:
    """Decide on a calling AE title, with the host and the certificate where a peer names them.

    With ``accept_any`` titles that no peer has are let in too; a title that is bound to a
    certificate never comes without it. Host names are looked up at every call: a modality may
    change its address.
    """
    named = [peer for peer in peers if peer.ae_title.strip() == calling_ae]
    bound = any(peer.certificate for peer in named)
    if accept_any and not bound:
        return None
    here = [peer for peer in named if not peer.host or _is_address_of(peer.host, host)]
    if any(_bears(certificate, peer) for peer in here):
        return None
    return CERTIFICATE_NOT_BOUND if here else CALLING_AE_UNKNOWN


def _bears(certificate: PeerCertificate | None, peer: Peer) -> bool:
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
