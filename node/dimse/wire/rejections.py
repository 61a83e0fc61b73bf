"""The A-ASSOCIATE-RJs that the node gives (PS3.8 9.3.4): each reason with its words."""

from __future__ import annotations

from dataclasses import dataclass

REJECTED_PERMANENT = 0x01
REJECTED_TRANSIENT = 0x02
BY_SERVICE_USER = 0x01
BY_ACSE_PROVIDER = 0x02
BY_PRESENTATION_PROVIDER = 0x03


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
