"""C-MOVE SCP (PS3.4 C.4.2): instances go to a third party, by associations of the node's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom.presentation import build_context

from node.dimse.borrowed import Lane, borrowed
from node.dimse.errors import PeerUnavailable
from node.dimse.loan import NotLent
from node.dimse.scu.line import Unfinished, line_over
from node.dimse.scu.parcels import MAX_CONTEXTS
from node.dimse.scu.sender import Peer, Timeouts, accepted_pairs, associated
from node.dimse.services.retrieving import Retrieval
from node.dimse.services.sending import Contexts, send_all
from node.dimse.wire.commands import Move
from node.retrieve import transcode
from storage.holdings import Held

Kind = tuple[str, str]
"""SOP class and transfer syntax."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where it goes, and on whose behalf."""

    peer: Peer
    move: Move
    timeouts: Timeouts


def move(retrieval: Retrieval, to: Destination, lane: Lane) -> int:
    """Send what is meant and answer over the lane; the last status.

    Raises
    ------
    NotLent
        Who has asked is gone.
    """
    for kinds in batches(retrieval.plan.kinds):
        _Batch(retrieval, to, lane, kinds).send()
        if retrieval.is_cancelled():
            break
    return retrieval.end()


def batches(kinds: frozenset[Kind]) -> Iterator[frozenset[Kind]]:
    """The kinds, parted where one association would need too many contexts."""
    batch: set[Kind] = set()
    needed: set[Kind] = set()
    for kind in sorted(kinds):
        more = needed | set(pairs_of(kind))
        if len(more) > MAX_CONTEXTS:
            yield frozenset(batch)
            batch, more = set(), set(pairs_of(kind))
        batch.add(kind)
        needed = more
    if batch:
        yield frozenset(batch)


def pairs_of(kind: Kind) -> tuple[Kind, ...]:
    """The contexts that would do for a kind, its own first."""
    sop_class, stored = kind
    return tuple((sop_class, syntax) for syntax in transcode.syntaxes_of(stored))


class _Batch:
    """What goes over one association."""

    def __init__(
        self,
        retrieval: Retrieval,
        to: Destination,
        lane: Lane,
        kinds: frozenset[Kind],
    ) -> None:
        self._retrieval = retrieval
        self._to = to
        self._lane = lane
        self._kinds = kinds
        self._settled = 0
        """The id of the last instance that is settled."""

    def send(self) -> None:
        """Settle all of them, unless it is cancelled.

        Each association settles one at least: a file that ends early takes no other with it.

        Raises
        ------
        NotLent
        """
        while self._is_any_left():
            try:
                self._associate()
                return
            except Unfinished as error:  # that one is settled, the next association takes the rest
                self._look_for_requestor(error)
            except PeerUnavailable as error:
                self._give_up(error)
                return

    def _is_any_left(self) -> bool:
        return not self._retrieval.is_cancelled() and next(self._left(), None) is not None

    def _give_up(self, error: PeerUnavailable) -> None:
        self._look_for_requestor(error)
        self._retrieval.log.warning(
            "move_destination_failed", destination=self._to.peer.name, reason=error.reason
        )
        for held in self._left():
            self._look_for_requestor(error)
            self._settle(held, None)

    def _look_for_requestor(self, error: Exception) -> None:
        """Where who asked is gone, it is no fault of the destination. Raises NotLent."""
        if not self._lane.is_open:
            raise NotLent from error

    def _associate(self) -> None:
        pairs = dict.fromkeys(pair for kind in sorted(self._kinds) for pair in pairs_of(kind))
        contexts = [build_context(UID(sop_class), UID(syntax)) for sop_class, syntax in pairs]
        to = self._to
        with associated(to.peer, contexts, to.timeouts) as association:
            usable = Contexts(accepted_pairs(association))
            with (
                borrowed(self._lane, to.timeouts.response_s) as asker,
                line_over(
                    association, to.peer.name, to.timeouts.response_s, asker.is_there, to.move
                ) as line,
            ):
                send_all(self._retrieval, self._left(), usable, line, self._settle, asker.look)

    def _left(self) -> Iterator[Held]:
        for held in self._retrieval.holdings.instances(self._retrieval.plan, self._settled):
            if (held.sop_class_uid, held.transfer_syntax_uid) in self._kinds:
                yield held

    def _settle(self, held: Held, status: int | None) -> None:
        self._settled = held.id
        self._retrieval.settle(held, status)
