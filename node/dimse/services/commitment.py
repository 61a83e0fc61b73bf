"""Storage Commitment Push Model, on both sides (PS3.4 J).

As SCP: a request is a committed row before it is answered; ``node.delivery`` checks the instances
and sends the report that is owed. As SCU: the node asks destinations to commit to its results;
their reports come over any association.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context

from node import statuses
from node.clock import Clock
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts, associated
from node.dimse.services import requests, serving
from node.dimse.services.event_reports import EventReport
from node.dimse.services.requests import Answer, Operation, Refusal, Request
from node.statuses import general
from storage import commitment_requests, result_commitments
from storage.commitment_requests import TransactionUIDTaken
from storage.database import Database
from storage.records import CheckedReference, Reference

log: structlog.stdlib.BoundLogger = structlog.get_logger()

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class. PS3.4 J.3.5."""
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The one instance that all transactions of the SOP class are about."""
REQUEST_COMMITMENT = 1
"""Action Type ID. PS3.4 J.3.2.1.1."""
ALL_COMMITTED = 1
"""Event Type ID: request complete. PS3.4 J.3.3.1.1."""
FAILURES_EXIST = 2
"""Event Type ID: request complete, failures exist. PS3.4 J.3.3.1.2."""


_ALL = (
    *requests.ALWAYS,
    *requests.LACKING,
    general(statuses.NO_SUCH_SOP_INSTANCE, "not the well-known SOP instance"),
)
TABLES = {
    Operation.ACTION: (
        *_ALL,
        general(statuses.NO_SUCH_ACTION, "the action type is not 1, Request Storage Commitment"),
        general(
            statuses.INVALID_ARGUMENT_VALUE, "the Transaction UID is in use for other instances"
        ),
    ),
    Operation.EVENT_REPORT: (
        *_ALL,
        general(statuses.NO_SUCH_EVENT_TYPE, "the event type is neither 1 nor 2"),
        general(statuses.INVALID_ARGUMENT_VALUE, "the node has no such transaction"),
    ),
}


class CommitmentService:
    """Takes requests as SCP, and reports on the node's own requests as SCU."""

    sop_class_uid = STORAGE_COMMITMENT
    tables = TABLES

    def __init__(
        self, database: Database, clock: Clock, on_request: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_request = on_request

    def serve(self, request: Request) -> Answer:
        if request.sop_instance_uid != WELL_KNOWN_INSTANCE:
            raise Refusal(statuses.NO_SUCH_SOP_INSTANCE, "Not the well-known SOP instance")
        if request.operation is Operation.ACTION:
            self._take_request(request)
        else:
            self._take_report(request)
        return Answer()

    def _take_request(self, request: Request) -> None:
        if request.type_id != REQUEST_COMMITMENT:
            raise Refusal(statuses.NO_SUCH_ACTION, "No such action type")
        transaction_uid = requests.require_uid(
            requests.required(request.dataset, "TransactionUID"), "TransactionUID"
        )
        wanted = requests.listed(request, "ReferencedSOPSequence")
        try:
            with self._database.write() as tx:
                commitment_requests.enter(
                    tx,
                    transaction_uid,
                    request.calling_ae,
                    request.host,
                    request.association,
                    wanted,
                    self._clock(),
                )
        except TransactionUIDTaken as error:
            comment = "Transaction UID is in use for other instances"
            raise Refusal(statuses.INVALID_ARGUMENT_VALUE, comment) from error
        log.info(
            "commitment_requested",
            association=request.association,
            calling_ae=request.calling_ae,
            instances=len(wanted),
        )
        self._on_request()

    def _take_report(self, request: Request) -> None:
        if request.type_id not in (ALL_COMMITTED, FAILURES_EXIST):
            raise Refusal(statuses.NO_SUCH_EVENT_TYPE, "No such event type")
        data = request.dataset
        transaction_uid = requests.require_uid(
            requests.required(data, "TransactionUID"), "TransactionUID"
        )
        committed = [
            requests.reference_of(one) for one in request.lists.get("ReferencedSOPSequence", ())
        ]
        failed = {
            requests.reference_of(one): one.failure_reason or statuses.PROCESSING_FAILURE
            for one in request.lists.get("FailedSOPSequence", ())
        }
        with self._database.write() as tx:
            settled = result_commitments.settle(
                tx, transaction_uid, committed, failed, self._clock()
            )
        if settled is None:
            raise Refusal(statuses.INVALID_ARGUMENT_VALUE, "No such transaction")
        line = log.warning if failed else log.info
        line(
            "commitment_reported",
            association=request.association,
            calling_ae=request.calling_ae,
            committed=len(committed),
            refused=len(failed),
        )


# --- as SCP: the report ---------------------------------------------------------------------------


def report_of(transaction_uid: str, checked: Sequence[CheckedReference]) -> EventReport:
    """The N-EVENT-REPORT of a request whose instances were all looked at. PS3.4 J.3.3.1."""
    good = [one.reference for one in checked if not one.failure]
    bad = [one for one in checked if one.failure]
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    if good:
        dataset.ReferencedSOPSequence = DicomSequence([_item(one) for one in good])
    if bad:
        dataset.FailedSOPSequence = DicomSequence(
            [_item(one.reference, one.failure) for one in bad]
        )
    return EventReport(
        STORAGE_COMMITMENT,
        WELL_KNOWN_INSTANCE,
        FAILURES_EXIST if bad else ALL_COMMITTED,
        dataset,
    )


def send_report(peer: Peer, report: EventReport, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> int:
    """Report over a new association, as its SCP by role selection; the status that is answered.

    Raises
    ------
    PeerUnavailable
    """
    role = build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
    contexts = [build_context(STORAGE_COMMITMENT)]
    with associated(peer, contexts, timeouts, [role]) as association:
        status, _ = association.send_n_event_report(
            report.dataset, report.event_type, report.sop_class_uid, report.sop_instance_uid
        )
        return _status(status, peer)


# --- as SCU: the request --------------------------------------------------------------------------


def request_commitment(
    peer: Peer,
    transaction_uid: str,
    wanted: Sequence[Reference],
    service: CommitmentService,
    linger_s: float = 0.0,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> int:
    """Ask a peer to commit to instances; the status that is answered.

    Its report may come over this association within ``linger_s``, or over one that it opens.

    Raises
    ------
    PeerUnavailable
    """
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    dataset.ReferencedSOPSequence = DicomSequence([_item(one) for one in wanted])
    contexts = [build_context(STORAGE_COMMITMENT)]
    came = threading.Event()

    def take(event: evt.Event) -> tuple[Dataset, Dataset | None]:
        answer = serving.serve_over(event, Operation.EVENT_REPORT, service, peer.ae_title)
        came.set()
        return answer

    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    with associated(peer, contexts, timeouts, handlers=handlers) as association:
        status, _ = association.send_n_action(
            dataset, REQUEST_COMMITMENT, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
        )
        code = _status(status, peer)
        if code == statuses.SUCCESS:
            came.wait(linger_s)
        return code


def _status(answer: Dataset, peer: Peer) -> int:
    code = answer.get("Status")
    if code is None:
        reason = "no answer: the association was aborted or lost"
        raise PeerUnavailable(peer.name, PeerFault.ABORTED, reason)
    return int(code)


def _item(reference: Reference, failure: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if failure is not None:
        item.FailureReason = failure
    return item
