"""C-GET SCP (PS3.4 C.4.3): instances go back over the association that asked for them."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

from node.dimse.borrowed import BorrowedLane, Lane, borrowed
from node.dimse.scu.answers import SendOutcome, classify, describe
from node.dimse.services.retrieving import CANCELLED, Retrieval
from node.retrieve import transcode
from node.retrieve.transcode import NotEncodable
from storage.holdings import Held


class ReturnContexts:
    """The contexts over which the peer takes instances: by role selection. PS3.7 D.3.3.4."""

    def __init__(self, accepted: Iterable[PresentationContext]) -> None:
        self._by_pair = {
            (str(one.abstract_syntax), str(one.transfer_syntax[0])): one.context_id or 0
            for one in accepted
            if one.as_scu
        }

    def choose(self, held: Held) -> tuple[int, str] | None:
        """The context for an instance with its transfer syntax, unchanged where that can be."""
        for syntax in transcode.syntaxes_of(held.transfer_syntax_uid):
            found = self._by_pair.get((held.sop_class_uid, syntax))
            if found is not None:
                return found, syntax
        return None


def get(retrieval: Retrieval, contexts: ReturnContexts, lane: Lane, answer_timeout_s: float) -> int:
    """Send what is meant and answer; the last status.

    Raises
    ------
    NotLent
        The association ended before.
    """
    with borrowed(lane, answer_timeout_s) as line:
        for held in retrieval.holdings.instances(retrieval.plan):
            line.take()
            if retrieval.is_cancelled():
                retrieval.answers.end(CANCELLED, retrieval.tally)
                return CANCELLED
            _send(held, retrieval, contexts, line)
        status = retrieval.tally.final_status()
        retrieval.answers.end(status, retrieval.tally)
        return status


def _send(held: Held, retrieval: Retrieval, contexts: ReturnContexts, line: BorrowedLane) -> None:
    chosen = contexts.choose(held)
    if chosen is None:
        retrieval.fail(held, not_accepted(held))
        return
    context_id, syntax = chosen
    try:
        with transcode.encoded(
            retrieval.archive.blob(held), held.transfer_syntax_uid, syntax
        ) as data_set:
            answer = line.store(context_id, held.sop_class_uid, held.sop_instance_uid, data_set)
    except (OSError, NotEncodable) as error:
        retrieval.fail(held, why(error))
        return
    if classify(answer.status) not in (SendOutcome.STORED, SendOutcome.WARNING):
        retrieval.log.warning(
            "sub_operation_refused", instance=held.id, reason=describe(answer.status)
        )
    retrieval.settle(held, answer.status)


def not_accepted(held: Held) -> str:
    """Why an instance cannot go."""
    sop_class, syntax = UID(held.sop_class_uid), UID(held.transfer_syntax_uid)
    return f"the peer accepts no presentation context for {sop_class.name} in {syntax.name}"


def why(error: Exception) -> str:
    """An error in words that name no patient."""
    if isinstance(error, OSError):
        return f"the file cannot be read ({error.strerror or type(error).__name__})"
    return f"it cannot be decoded: {error}"
