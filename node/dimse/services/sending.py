"""Sub-operations, one after another (PS3.7 9.1.3.1): the next file is open before it is its turn.

While the peer stores one instance, the next is opened, and decompressed where that has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import NamedTuple, Protocol

from pydicom.uid import UID

from node.dimse.scu.answers import SendOutcome, classify, describe
from node.dimse.scu.line import Unfinished
from node.dimse.services.retrieving import Retrieval
from node.dimse.wire.commands import StoreAnswer
from node.retrieve import transcode
from node.retrieve.encoded import Encoded
from node.retrieve.transcode import NotEncodable
from storage.files.archive import Archive
from storage.holdings import Held

Settle = Callable[[Held, int | None], None]
"""One is over, with the status that was answered; None: nothing was sent."""


class Outlet(Protocol):
    """Where C-STOREs go."""

    def begin(
        self, context_id: int, sop_class_uid: str, sop_instance_uid: str, data_set: Encoded
    ) -> None:
        """Send one; all of it is on its way afterwards."""

    def finish(self) -> StoreAnswer:
        """Its answer."""


class Contexts:
    """The presentation contexts over which instances can go, by SOP class and transfer syntax."""

    def __init__(self, accepted: dict[tuple[str, str], int]) -> None:
        self._accepted = accepted
        self._chosen: dict[tuple[str, str], tuple[int, str] | None] = {}

    def choose(self, held: Held) -> tuple[int, str] | None:
        """The context for an instance with its transfer syntax, unchanged where that can be."""
        kind = (held.sop_class_uid, held.transfer_syntax_uid)
        if kind not in self._chosen:
            self._chosen[kind] = self._choose(*kind)
        return self._chosen[kind]

    def _choose(self, sop_class: str, stored: str) -> tuple[int, str] | None:
        for syntax in transcode.syntaxes_of(stored):
            found = self._accepted.get((sop_class, syntax))
            if found is not None:
                return found, syntax
        return None


class _Prepared(NamedTuple):
    """An instance that can be sent; without a data set, why it cannot."""

    held: Held
    context_id: int = 0
    data_set: Encoded | None = None
    reason: str = ""


def send_all(
    retrieval: Retrieval,
    instances: Iterator[Held],
    contexts: Contexts,
    outlet: Outlet,
    settle: Settle,
    look: Callable[[], None],
) -> None:
    """Send instances and settle each, until a C-CANCEL.

    look: called before each: takes what has come meanwhile.

    Raises
    ------
    Unfinished
        A file ended early: it is settled, and the association is of no more use.
    """
    prepared = _prepared(retrieval.archive, instances, contexts)
    try:
        current = next(prepared, None)
        while current is not None:
            look()
            if retrieval.is_cancelled():
                return
            current = _send(current, prepared, retrieval, outlet, settle)
    finally:
        prepared.close()


def _send(
    one: _Prepared,
    prepared: Iterator[_Prepared],
    retrieval: Retrieval,
    outlet: Outlet,
    settle: Settle,
) -> _Prepared | None:
    """Send one; the next, which was prepared meanwhile."""
    held = one.held
    if one.data_set is None:
        # The log names the row of the index, not the UID.
        retrieval.log.warning("sub_operation_failed", instance=held.id, reason=one.reason)
        settle(held, None)
        return next(prepared, None)
    try:
        outlet.begin(one.context_id, held.sop_class_uid, held.sop_instance_uid, one.data_set)
    except Unfinished as error:
        retrieval.log.warning("sub_operation_failed", instance=held.id, reason=str(error))
        settle(held, None)
        raise
    try:
        return next(prepared, None)
    finally:  # what is on its way is counted, whatever became of the next
        _finish(held, retrieval, outlet, settle)


def _finish(held: Held, retrieval: Retrieval, outlet: Outlet, settle: Settle) -> None:
    answer = outlet.finish()
    if classify(answer.status) not in (SendOutcome.STORED, SendOutcome.WARNING):
        reason = describe(answer.status)
        retrieval.log.warning("sub_operation_refused", instance=held.id, reason=reason)
    settle(held, answer.status)


def _prepared(
    archive: Archive, instances: Iterator[Held], contexts: Contexts
) -> Generator[_Prepared, None, None]:
    """Each is closed when the next is asked for."""
    for held in instances:
        chosen = contexts.choose(held)
        if chosen is None:
            yield _Prepared(held, reason=_not_accepted(held))
            continue
        context_id, syntax = chosen
        with ExitStack() as stack:
            try:
                source = archive.blob(held)
                data_set = stack.enter_context(
                    transcode.encoded(source, held.transfer_syntax_uid, syntax)
                )
            except (OSError, NotEncodable) as error:
                ready = _Prepared(held, reason=_why(error))
            else:
                ready = _Prepared(held, context_id, data_set)
            yield ready


def _not_accepted(held: Held) -> str:
    sop_class, syntax = UID(held.sop_class_uid), UID(held.transfer_syntax_uid)
    return f"the peer accepts no presentation context for {sop_class.name} in {syntax.name}"


def _why(error: Exception) -> str:
    """An error in words that name no patient."""
    if isinstance(error, OSError):
        return f"the file cannot be read ({error.strerror or type(error).__name__})"
    return f"it cannot be decoded: {error}"
