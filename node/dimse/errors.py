"""The errors of DICOM networking."""

from __future__ import annotations

from enum import StrEnum

from node.errors import NodeError


class CannotListen(NodeError):
    """The association server got no port to listen on; the message says what to do."""


class ListenerEnded(NodeError):
    """A thread or process that receives is not there any more."""


class PeerFault(StrEnum):
    """Why no association with a peer came about, or why it ended early."""

    UNREACHABLE = "unreachable"
    """No TCP connection: wrong host or port, peer off, a firewall."""
    REJECTED = "rejected"
    """A-ASSOCIATE-RJ: an AE title is not known there, or the peer is busy (PS3.8 9.3.4)."""
    NO_CONTEXT = "no_context"
    """The peer answered, but accepts none of the presentation contexts."""
    ABORTED = "aborted"
    """The peer aborted, or the connection was lost."""
    TIMED_OUT = "timed_out"


class PeerUnavailable(NodeError):
    """No association with a peer, or one that ended before all was done."""

    def __init__(
        self,
        peer: str,
        fault: PeerFault,
        reason: str,
        was_established: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(f"{peer}: {reason}")
        self.retry_after_s = retry_after_s
        """How long it wants to be left alone, where it has said so."""
        self.was_established = was_established
        self.peer = peer
        self.fault = fault
        self.reason = reason


class Unaskable(NodeError):
    """A peer does not tell what it has; the text says why."""
