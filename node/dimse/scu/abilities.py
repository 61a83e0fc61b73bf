"""What a peer takes, as it says itself when an association is negotiated (PS3.8 9.3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.uid import UID
from pynetdicom.presentation import build_context

from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.parcels import MAX_CONTEXTS
from node.dimse.scu.sender import (
    DEFAULT_TIMEOUTS,
    Peer,
    Timeouts,
    accepted_pairs,
    associated,
)


def accepted(
    pairs: Sequence[tuple[str, str]], peer: Peer, timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> frozenset[tuple[str, str]]:
    """Those pairs of SOP class and transfer syntax that the peer accepts; nothing is sent.

    Raises
    ------
    PeerUnavailable
    """
    found: set[tuple[str, str]] = set()
    for first in range(0, len(pairs), MAX_CONTEXTS):
        part = pairs[first : first + MAX_CONTEXTS]
        contexts = [build_context(UID(sop_class), UID(syntax)) for sop_class, syntax in part]
        try:
            with associated(peer, contexts, timeouts) as association:
                found.update(accepted_pairs(association))
        except PeerUnavailable as error:
            if error.fault is not PeerFault.NO_CONTEXT:
                raise
    return frozenset(found)
