"""What is owed to peers that asked for storage commitment: look at every instance, then report.

Only what lies on disk with the bytes that were received, or made here, is committed to. The report
goes over the association that brought the request while it is open, else over a new one to the
requestor; it is tried again, with growing pauses, for three days.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from node import statuses
from node.clock import Clock
from node.delivery import backoff
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.answers import SendOutcome, classify
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts
from node.dimse.services import commitment
from node.dimse.services.event_reports import Associations, EventReport
from storage import announcements, commitment_requests
from storage.announcements import NewAnnouncement
from storage.database import Database, Transaction
from storage.files.archive import Archive
from storage.files.blobs import sha256_of
from storage.files.port import Blobs, Instances
from storage.records import (
    AnnouncementKind,
    CheckedReference,
    CommitmentRequest,
    CommitmentState,
    Reference,
    StepStatus,
    StoredInstance,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RECHECK_S = 2.0
RELEASE_GRACE_S = 0.5
"""How long a requestor that only asks may take to release, before its association is used."""
INDEX_WAIT_S = 300.0
"""How long an instance that is stored may take to come into the index."""
SAME_ASSOCIATION_S = 30.0

PeerOf = Callable[[str, str], Peer | None]
"""Gives where a requestor (AE title, host it came from) takes reports; None when nobody knows."""


class CommitmentReporter:
    """Checks and reports: ``step`` for one thread, and one more thread for each requestor.

    stopping: set by whoever ends the thread; no more reports are begun.
    """

    def __init__(
        self,
        database: Database,
        store: Instances,
        results: Blobs,
        open_associations: Associations,
        peer_of: PeerOf,
        clock: Clock,
        missing_wait_s: float = 0.0,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        chance: random.Random | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._archive = Archive(store.blobs, results)
        self._open_associations = open_associations
        self._peer_of = peer_of
        self._clock = clock
        self._missing_wait = timedelta(seconds=missing_wait_s)
        self._timeouts = timeouts
        self._chance = chance or random.Random()
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._fault: Exception | None = None

    def step(self) -> None:
        """Check and report what is due.

        Raises
        ------
        DatabaseUnavailable
        Exception
            What went wrong in a thread that reports, since the last step.
        """
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        self.check_due()
        self._start_reports()

    def is_settled(self, tx: Transaction) -> bool:
        """Whether nothing is owed to anybody, now or later."""
        with self._lock:
            is_busy = bool(self._busy) or self._fault is not None
        return not is_busy and not commitment_requests.is_any_open(tx)

    # --- looking ----------------------------------------------------------------------------------

    def check_due(self) -> int:
        """Look at the instances of every request that is due; gives how many were settled.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._database.read() as tx:
            due = commitment_requests.due(tx, CommitmentState.RECEIVED, self._clock())
        return sum(self._check(request) for request in due)

    def _check(self, request: CommitmentRequest) -> bool:
        """Bytes are read once: when all instances are there, or are waited for no longer."""
        with self._database.read() as tx:
            absent = commitment_requests.not_indexed(tx, request.id)
        now = self._clock()
        waits_until = request.received_at + self._wait_for(absent)
        if absent and now < waits_until:
            again = min(waits_until, now + timedelta(seconds=RECHECK_S))
            with self._database.write() as tx:
                commitment_requests.check_later(tx, request.id, again)
            return False
        findings = self._look_at_all(request)
        now = self._clock()
        due = max(now, request.received_at + timedelta(seconds=RELEASE_GRACE_S))
        with self._database.write() as tx:
            commitment_requests.checked(tx, request.id, now, findings, due)
            self._announce(tx, request, [one.reference for one in findings], now)
        self._log_findings(request, findings)
        return True

    def _look_at_all(self, request: CommitmentRequest) -> list[CheckedReference]:
        with self._database.read() as tx:
            asked = [one.reference for one in commitment_requests.references_of(tx, request.id)]
            uids = sorted({one.sop_instance_uid for one in asked})
            stored = commitment_requests.stored_instances(tx, uids)
        return [
            CheckedReference(one, self._failure_of(one, stored.get(one.sop_instance_uid)))
            for one in asked
        ]

    def _failure_of(self, asked: Reference, stored: StoredInstance | None) -> int:
        """The Failure Reason of an instance, 0 for none. PS3.3 C.14.1.1."""
        if stored is None:
            return statuses.NO_SUCH_SOP_INSTANCE
        if stored.sop_class_uid != asked.sop_class_uid:
            return statuses.CLASS_INSTANCE_CONFLICT
        if self._is_whole(stored):
            return 0
        is_there = self._archive.blob(stored).exists()
        return statuses.PROCESSING_FAILURE if is_there else statuses.NO_SUCH_SOP_INSTANCE

    def _is_whole(self, stored: StoredInstance) -> bool:
        if not stored.own:
            return self._store.verify(stored.key, stored.sha256)
        try:
            return sha256_of(self._archive.blob(stored)) == stored.sha256
        except OSError:
            return False

    def _wait_for(self, absent: Sequence[str]) -> timedelta:
        """Longer where instances lie in the store already and only the index is behind."""
        store = self._store
        if any(store.blobs.exists(store.key_of(uid)) for uid in absent):
            return timedelta(seconds=INDEX_WAIT_S)
        return self._missing_wait

    def _announce(
        self, tx: Transaction, request: CommitmentRequest, asked: Sequence[Reference], at: datetime
    ) -> None:
        """What a sender asks about it has sent: the studies concerned are to have it all."""
        studies = commitment_requests.studies_of(tx, request.id)
        uid = request.transaction_uid
        if not studies or announcements.find(tx, AnnouncementKind.COMMITMENT, uid) is not None:
            return
        announced = NewAnnouncement(
            AnnouncementKind.COMMITMENT,
            uid,
            request.requestor_ae,
            StepStatus.COMPLETED,
            tuple(studies),
            tuple(asked),
            {},
        )
        announcements.enter(tx, announced, at)

    def _log_findings(
        self, request: CommitmentRequest, findings: Sequence[CheckedReference]
    ) -> None:
        bad = sum(bool(one.failure) for one in findings)
        line = log.warning if bad else log.info
        line(
            "commitment_checked",
            association=request.association,
            requestor=request.requestor_ae,
            instances=len(findings),
            failures=bad,
        )

    # --- reporting --------------------------------------------------------------------------------

    def _start_reports(self) -> None:
        """A requestor that is slow or away keeps only its own reports waiting."""
        with self._database.read() as tx:
            due = commitment_requests.due(tx, CommitmentState.CHECKED, self._clock())
        for requestor in dict.fromkeys(request.requestor_ae for request in due):
            with self._lock:
                if requestor in self._busy:
                    continue
                self._busy.add(requestor)
            members = [request for request in due if request.requestor_ae == requestor]
            threading.Thread(
                target=self._report_all, args=(requestor, members), name="report", daemon=True
            ).start()

    def _report_all(self, requestor: str, requests: Sequence[CommitmentRequest]) -> None:
        try:
            for request in requests:
                if self.stopping.is_set() or not self.report(request):
                    return
        except Exception as error:  # noqa: BLE001  border of the thread: the next step raises it
            self._fault = error
        finally:
            with self._lock:
                self._busy.discard(requestor)

    def report(self, request: CommitmentRequest) -> bool:
        """Send the report of one request; false when it did not get through.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._database.read() as tx:
            request = commitment_requests.get(tx, request.id)
            checked = commitment_requests.references_of(tx, request.id)
        if request.state is not CommitmentState.CHECKED:
            return True  # reported meanwhile, or asked again
        report = commitment.report_of(request.transaction_uid, checked)
        try:
            status = self._send(request, report)
        except PeerUnavailable as error:
            self._try_again(request, error.reason)
            return False
        return self._record(request, status)

    def _send(self, request: CommitmentRequest, report: EventReport) -> int:
        there = self._open_associations
        peer = self._peer_of(request.requestor_ae, request.host)
        others = [] if peer else there.of_peer(request.requestor_ae, request.host)
        for name in dict.fromkeys([request.association, *others]):
            if not there.is_open(name):
                continue
            try:
                return there.report(name, report, SAME_ASSOCIATION_S)
            except PeerUnavailable as error:
                log.info("report_not_over_same_association", reason=error.reason)
        if peer is None:
            raise PeerUnavailable(
                request.requestor_ae, PeerFault.UNREACHABLE,
                f"nobody knows where {request.requestor_ae} takes reports: give it a [[peers]]"
                " table with host and port",
            )  # fmt: skip
        return commitment.send_report(peer, report, self._timeouts)

    def _record(self, request: CommitmentRequest, status: int) -> bool:
        outcome = classify(status)
        if outcome is SendOutcome.TRANSIENT:
            self._try_again(request, f"answered 0x{status:04X}")
            return False
        with self._database.write() as tx:
            if outcome in (SendOutcome.STORED, SendOutcome.WARNING):
                commitment_requests.reported(tx, request.id, self._clock())
            else:
                reason = f"{request.requestor_ae} does not take the report (0x{status:04X})"
                commitment_requests.failed(tx, request.id, self._clock(), reason)
        log.info("commitment_reported_to_peer", requestor=request.requestor_ae, status=status)
        return True

    def _try_again(self, request: CommitmentRequest, reason: str) -> None:
        now = self._clock()
        attempts = request.attempts + 1
        with self._database.write() as tx:
            if attempts >= backoff.MAX_ATTEMPTS:
                why = f"commitment report given up after {attempts} attempts: {reason}"
                commitment_requests.failed(tx, request.id, now, why)
            else:
                again = now + backoff.pause(attempts, self._chance)
                commitment_requests.report_later(tx, request.id, again, reason)
        log.warning(
            "commitment_report_waits",
            requestor=request.requestor_ae,
            attempts=attempts,
            reason=reason,
        )
