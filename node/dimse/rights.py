"""What a peer may: bring instances, query, retrieve, and where to have them sent.

Decided once an association, when its request is accepted; kept with the session. C-ECHO is
everybody's who is let in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.config.dimse import DimseSettings, PeerSettings


class Right(StrEnum):
    """In the words of the settings."""

    STORE = "store"
    """C-STORE, and what goes with it: storage commitment, MPPS, instance availability."""
    QUERY = "query"
    RETRIEVE = "retrieve"
    """C-GET and C-MOVE."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Of one peer. Without words of its own: none."""

    may: frozenset[Right] = frozenset()
    retrieve_to: frozenset[str] | None = None
    """The AE titles that C-MOVE may send to; None: whoever has an address."""

    def allow(self, right: Right) -> bool:
        return right in self.may

    def allow_sending_to(self, ae_title: str) -> bool:
        """Whether C-MOVE may send to an AE title, once that is known to have an address."""
        if not self.allow(Right.RETRIEVE):
            return False
        return self.retrieve_to is None or ae_title.strip() in self.retrieve_to


NONE = Rights()
ALL = Rights(frozenset(Right))


def rights_of(peer: PeerSettings | None, dimse: DimseSettings) -> Rights:
    """What the settings give to a peer; None: to one that is not in them."""
    if peer is None:
        return Rights(frozenset(map(Right, dimse.strangers_may)))
    to = None if peer.retrieve_to is None else frozenset(map(str.strip, peer.retrieve_to))
    return Rights(frozenset(map(Right, peer.may)), to)
