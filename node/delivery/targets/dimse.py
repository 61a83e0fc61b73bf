"""A destination that results are sent to by C-STORE, and asked by C-FIND for what it has."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.delivery.targets.port import SYNTAXES, Abilities, Sink, Telling, Wanted, every
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu import abilities, finder, sender
from node.dimse.scu.answers import SendOutcome, SendResult
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts
from storage.files.blobs import Blob


@dataclass(frozen=True, slots=True)
class DimseTarget:
    """``peer``: its name is that of the rules and of the outbox."""

    peer: Peer
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    @property
    def name(self) -> str:
        return self.peer.name

    def abilities(self, sop_classes: Iterable[str]) -> Abilities:
        pairs = [(sop_class, syntax) for sop_class in sop_classes for syntax in SYNTAXES]
        return Abilities(Telling.THESE, abilities.accepted(pairs, self.peer, self.timeouts))

    def send(self, objects: Sequence[Blob], take: Sink, wanted: Wanted = every) -> None:
        """What is compressed goes decompressed where it is taken in no other way."""
        settled: set[int] = set()

        def note(index: int, result: SendResult) -> None:
            settled.add(index)
            take(index, result)

        def still_wanted(index: int) -> bool:
            if not wanted(index):
                settled.add(index)  # it is not under way
                return False
            return True

        how = sender.How(still_wanted, decompress=True)
        try:
            sender.send(objects, self.peer, note, self.timeouts, how)
        except PeerUnavailable as error:
            if error.was_established:
                _doubt(len(objects), settled, take, error.reason)
            raise

    def held(self, objects: Sequence[Blob]) -> frozenset[int]:
        return finder.held(objects, self.peer, self.timeouts)

    def probe(self) -> float:
        started = time.monotonic()
        try:
            return sender.echo(self.peer, self.timeouts)
        except PeerUnavailable as error:
            if error.fault is not PeerFault.NO_CONTEXT:
                raise
            return time.monotonic() - started  # it answers, if not to a C-ECHO


def _doubt(count: int, settled: set[int], take: Sink, reason: str) -> None:
    """Of an association that ended early: the first object without an answer was under way."""
    under_way = next((index for index in range(count) if index not in settled), None)
    if under_way is not None:
        take(under_way, SendResult(None, SendOutcome.TRANSIENT, reason, in_doubt=True))
