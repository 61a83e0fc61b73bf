"""The client side of Retrieve (PS3.4 C.4.2, C.4.3): have a peer send what it holds.

By C-GET the instances come over the same association, straight into a ``Receiver``; by C-MOVE the
peer sends them to whoever it knows under an AE title. How long it takes is not limited: only how
long nothing is heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context, build_role

from node import statuses
from node.dimse import contexts
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu import caller
from node.dimse.scu.parcels import MAX_CONTEXTS
from node.dimse.scu.query import CANCELLED, PENDING
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts, associated
from node.dimse.scu.suboperations import Answered, SubOperations
from node.dimse.wire.upper_layer import DATA_TRANSFER
from node.errors import NodeError
from node.receive.reception import Receiver

STUDY_ROOT_GET, PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.1.2"

SOME_FAILED = 0xB000
"""Of the sub-operations. PS3.4 Table C.4-2, C.4-3."""

MEANINGS = (
    (SOME_FAILED, SOME_FAILED, "some sub-operations failed"),
    (CANCELLED, CANCELLED, "cancelled"),
    (0x0122, 0x0122, "SOP class not supported"),
    (0x0124, 0x0124, "not authorised"),
    (0xA701, 0xA701, "out of resources: matches not counted"),
    (0xA702, 0xA702, "no sub-operation succeeded"),
    (0xA801, 0xA801, "move destination unknown"),
    (0xA900, 0xA900, "the identifier is not understood"),
    (0xC000, 0xCFFF, "unable to process"),
)
"""Of the last answer's status, from first to last. PS3.4 Table C.4-2, C.4-3, PS3.7 Annex C."""

LOOK_S = 0.5
"""So often it is looked whether to go on waiting."""
CANCEL_S = 10.0
"""How long a peer may take to end what was cancelled, before the association is aborted."""
MOST_CLASSES = 60
"""SOP classes of one association; each has contexts for several transfer syntaxes."""
MOST_SYNTAXES = 40
"""Of one context: DCMTK aborts at more than 50."""
_USUAL = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    *(f"1.2.840.10008.1.2.4.{one}" for one in (70, 90, 80, 50, 57, 91, 81, 51, 201, 202, 203)),
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.1.99",
)
"""In which most instances are kept: each gets a context of its own before others do."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one request asks for: a series, or some of its instances."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...] = ()
    """Empty: the whole series."""
    patient_id: str = ""
    """Needed where a peer knows Patient Root alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended, in the peer's words. Counts that it did not give are 0."""

    status: int
    completed: int = 0
    failed: int = 0
    warnings: int = 0
    comment: str = ""

    @property
    def is_refused(self) -> bool:
        """The peer did nothing of it."""
        is_failure = self.status not in (statuses.SUCCESS, CANCELLED, SOME_FAILED)
        return is_failure and not (self.completed or self.warnings)

    def in_words(self) -> str:
        told = (text for first, last, text in MEANINGS if first <= self.status <= last)
        words = "".join(f", {text}" for text in told)
        said = f": {self.comment}" if self.comment else ""
        counts = f"{self.completed + self.warnings} sent, {self.failed} failed"
        return f"0x{self.status:04X}{words} ({counts}){said}"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told, and asked, while a peer sends."""

    on_answered: Answered = lambda uid, status: None
    """Of C-GET: an instance came."""
    is_cancelled: Callable[[], bool] = lambda: False
    last_came: Callable[[], float] = lambda: 0.0
    """When something came by another way, by the monotonic clock: the peer is at work."""


USUAL_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{one}"
    for one in (
        *("2", "2.1", "4", "4.1", "1", "1.1", "1.2", "1.2.1", "128", "130", "20", "3.1", "6.1"),
        *("7", "7.4", "12.1", "12.2", "13.1.3", "30", "11.1", "66", "66.1", "66.4", "88.11"),
        *("88.22", "88.33", "88.34", "88.59", "88.67", "104.1", "481.1", "481.2", "481.3"),
        *("481.5", "9.1.1", "77.1.4"),
    )
)
"""What is proposed for instances whose SOP class a peer does not tell."""


class NotServed(NodeError):
    """The peer does not take such requests at all."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"{peer} takes no such request to send")


def get(
    orders: Sequence[Order],
    sop_classes: Sequence[str],
    peer: Peer,
    receiver: Receiver,
    watch: Watch,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> Iterator[Outcome]:
    """C-GET order after order over one association; instances go to the receiver as they come.

    Raises
    ------
    NotServed
        The peer has no C-GET.
    PeerUnavailable
    """
    models = [STUDY_ROOT_GET, PATIENT_ROOT_GET]
    classes = list(dict.fromkeys(sop_classes))[:MOST_CLASSES]
    proposed = [build_context(one) for one in models]
    proposed += storage_contexts(classes, MAX_CONTEXTS - len(models))
    roles = [build_role(UID(one), scp_role=True) for one in classes]
    with _associated(peer, proposed, timeouts, roles) as association:
        takes = SubOperations(association, receiver, peer.ae_title, watch.on_answered)
        caller.give_messages_to(association, takes)
        exchange = _Exchange(
            association, peer, watch, timeouts, _accepted(association, models, peer)
        )
        yield from exchange.all(orders, association.send_c_get)


def move(
    orders: Sequence[Order],
    destination_ae: str,
    peer: Peer,
    watch: Watch,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> Iterator[Outcome]:
    """C-MOVE order after order over one association.

    Raises
    ------
    NotServed
        The peer has no C-MOVE.
    PeerUnavailable
    """
    models = [STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE]
    proposed = [build_context(one) for one in models]
    with _associated(peer, proposed, timeouts, []) as association:
        exchange = _Exchange(
            association, peer, watch, timeouts, _accepted(association, models, peer)
        )

        def send(identifier: Dataset, model: str, message_id: int) -> object:
            return association.send_c_move(identifier, destination_ae, model, message_id)

        yield from exchange.all(orders, send)


def storage_contexts(sop_classes: Sequence[str], most: int) -> list[PresentationContext]:
    """For each SOP class a context for each usual transfer syntax, as far as there is room, and one
    for all others: so a peer can send what it has as it has it."""
    if not sop_classes:
        return []
    syntaxes = [UID(one) for one in _USUAL]
    syntaxes += sorted(contexts.TRANSFER_SYNTAXES.difference(syntaxes))
    alone = max(min(most // len(sop_classes), len(syntaxes)) - 1, 0)
    made = []
    for sop_class in sop_classes:
        made += [build_context(UID(sop_class), one) for one in syntaxes[:alone]]
        made.append(build_context(UID(sop_class), list(syntaxes[alone:][:MOST_SYNTAXES])))
    return made


# --- one request after the other ------------------------------------------------------------------

_Send = Callable[[Dataset, str, int], object]


class _Exchange:
    """Requests and their answers over one association."""

    def __init__(
        self,
        association: Association,
        peer: Peer,
        watch: Watch,
        timeouts: Timeouts,
        model: str,
    ) -> None:
        self._association = association
        self._peer = peer
        self._watch = watch
        self._timeouts = timeouts
        self._model = model

    def all(self, orders: Sequence[Order], send: _Send) -> Iterator[Outcome]:
        for number, order in enumerate(orders):
            if self._watch.is_cancelled():
                return
            yield self._one(order, number % 0xFFFF + 1, send)

    def _one(self, order: Order, message_id: int, send: _Send) -> Outcome:
        association = self._association
        if not self._is_open():
            raise self._lost()
        association.dimse_timeout = LOOK_S
        try:
            send(_identifier(order, self._model), self._model, message_id)
        except RuntimeError as error:
            raise self._lost() from error
        try:
            answer = self._final(message_id)
        finally:
            association._reactor_checkpoint.set()  # held by send()
        return _outcome(answer)

    def _final(self, message_id: int) -> Any:
        """The last answer to a request; C-CANCEL is sent once it is to end."""
        began, cancelled_at = time.monotonic(), 0.0
        while True:
            _, answer = self._association.dimse.get_msg(block=True)
            if answer is not None:
                if answer.Status not in PENDING:
                    return answer
            elif not self._is_open():
                raise self._lost()
            now = time.monotonic()
            if not cancelled_at and self._watch.is_cancelled():
                cancelled_at = now
                self._association.send_c_cancel(message_id, query_model=self._model)
            self._give_up(now, began, cancelled_at)

    def _give_up(self, now: float, began: float, cancelled_at: float) -> None:
        """Raise where the peer is silent for too long."""
        heard = max(began, caller.heard_at(self._association), self._watch.last_came())
        if now - heard > self._timeouts.response_s:
            reason = f"nothing was heard for {self._timeouts.response_s:g} s; association aborted"
        elif cancelled_at and now - cancelled_at > CANCEL_S:
            reason = "it did not end what was cancelled; association aborted"
        else:
            return
        raise PeerUnavailable(self._peer.name, PeerFault.TIMED_OUT, reason, was_established=True)

    def _is_open(self) -> bool:
        dul = self._association.dul
        return dul.is_alive() and dul.state_machine.current_state == DATA_TRANSFER

    def _lost(self) -> PeerUnavailable:
        fault = caller.fault_of(self._association)
        reason = "the association was aborted or the connection lost"
        if fault:
            reason = f"the peer sent what cannot be taken: {fault}; association aborted"
        return PeerUnavailable(self._peer.name, PeerFault.ABORTED, reason, was_established=True)


def _outcome(answer: Any) -> Outcome:
    return Outcome(
        int(answer.Status),
        int(answer.NumberOfCompletedSuboperations or 0),
        int(answer.NumberOfFailedSuboperations or 0),
        int(answer.NumberOfWarningSuboperations or 0),
        str(answer.ErrorComment or ""),
    )


def _identifier(order: Order, model: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE" if order.sop_instance_uids else "SERIES"
    if model in (PATIENT_ROOT_GET, PATIENT_ROOT_MOVE):
        identifier.PatientID = order.patient_id
    identifier.StudyInstanceUID = order.study_instance_uid
    identifier.SeriesInstanceUID = order.series_instance_uid
    if order.sop_instance_uids:
        identifier.SOPInstanceUID = list(order.sop_instance_uids)
    return identifier


@contextmanager
def _associated(
    peer: Peer,
    proposed: list[PresentationContext],
    timeouts: Timeouts,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
) -> Iterator[Association]:
    """Raises NotServed where no context at all is accepted."""
    try:
        with associated(peer, proposed, timeouts, roles) as association:
            yield association
    except PeerUnavailable as error:
        if error.fault is PeerFault.NO_CONTEXT:
            raise NotServed(peer.name) from error
        raise


def _accepted(association: Association, models: Sequence[str], peer: Peer) -> str:
    """Study Root where it is accepted.

    Raises
    ------
    NotServed
    """
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    found = next((one for one in models if one in accepted), None)
    if found is None:
        raise NotServed(peer.name)
    return found
