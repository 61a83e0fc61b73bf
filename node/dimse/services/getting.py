"""C-GET SCP (PS3.4 C.4.3): instances go back over the association that asked for them."""

from __future__ import annotations

from collections.abc import Iterable

from pynetdicom.presentation import PresentationContext

from node.dimse.borrowed import Lane, borrowed
from node.dimse.services.retrieving import Retrieval
from node.dimse.services.sending import Contexts, send_all


def return_contexts(accepted: Iterable[PresentationContext]) -> Contexts:
    """The contexts over which the peer takes instances: by role selection. PS3.7 D.3.3.4."""
    return Contexts(
        {
            (str(one.abstract_syntax), str(one.transfer_syntax[0])): one.context_id or 0
            for one in accepted
            if one.as_scu
        }
    )


def get(retrieval: Retrieval, contexts: Contexts, lane: Lane, answer_timeout_s: float) -> int:
    """Send what is meant and answer; the last status.

    Raises
    ------
    NotLent
        The association ended before.
    """
    instances = retrieval.holdings.instances(retrieval.plan)
    with borrowed(lane, answer_timeout_s) as line:
        send_all(retrieval, instances, contexts, line, retrieval.settle, line.take)
        return retrieval.end()
