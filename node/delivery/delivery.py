"""From the outbox to the destinations: one courier for each destination.

Only bytes that the ledger vouches for leave. Every answer becomes a row; an answer that cannot be
recorded because the database is away is kept and recorded before anything else is sent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

import structlog

from node.clock import Clock
from node.delivery import known
from node.delivery.audited import Told, untold
from node.delivery.backoff import Circuit
from node.delivery.books import FOUND, USUAL, Books, Effort, Settlement
from node.delivery.decisions import Decider, Decisions
from node.delivery.pace import Pace
from node.delivery.profile import AUTO, Wish
from node.delivery.targets.port import Target
from node.dimse.errors import PeerUnavailable, Unaskable
from node.dimse.scu.answers import SendOutcome, SendResult
from storage import abilities, events, outbox
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable
from storage.files.blobs import Blob, sha256_of
from storage.files.port import Results
from storage.records import Delivery, Level, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CLAIMED_AT_ONCE = 500
PARTS_FIRST = "for what it refers to"


class Courier:
    """Delivers to one destination: ``deliver_once`` is its step, for one thread.

    target: the destination; its name is that of the rules and of the outbox.
    asks_commitment: whether it is asked to commit to what it was sent.
    pace: how much goes there in a minute; left out: as much as it takes.
    wish: what the settings want to be sent there.
    retraction: by which title superseded results are taken back there; empty for not at all.
    told: takes what was recorded, for the audit trail.
    """

    def __init__(
        self,
        target: Target,
        database: Database,
        results: Results,
        clock: Clock,
        chance: random.Random | None = None,
        asks_commitment: bool = False,
        effort: Effort = USUAL,
        pace: Pace | None = None,
        wish: Wish = AUTO,
        retraction: str = "",
        told: Told = untold,
    ) -> None:
        self._told = told
        self.circuit = Circuit()
        self._target = target
        self._effort = effort
        self._pace = pace or Pace()
        self._database = database
        self._results = results
        self._clock = clock
        self._chance = chance or random.Random()
        self._decider = Decider(target, wish, database, results, clock)
        self._books = Books(target.name, clock, self._chance, effort, asks_commitment, retraction)
        self._decided = Decisions()
        self._unrecorded: list[Settlement] = []
        self._untold: list[tuple[Sequence[Settlement], datetime]] = []
        self._claim_is_open = False
        self._is_acquainted = False
        self._fault: Exception | None = None
        self._log = log.bind(destination=target.name)

    def deliver_once(self) -> bool:
        """One round: record, probe, or send some jobs' due objects. False when there was nothing.

        Raises
        ------
        DatabaseUnavailable
        Exception
            What went wrong here while sending; what was claimed is recorded before, and due again.
        """
        self._record()
        self._raise_fault()
        self._raise_alarm()
        if not self._may_associate():
            return False
        most = self._pace.allows(self._clock(), CLAIMED_AT_ONCE)
        if not most:
            return False
        claimed = self._claim(most)
        if not claimed:
            self._acquaint()
            return False
        self._deliver(claimed)
        self._record()
        self._raise_fault()
        return True

    def is_settled(self, tx: Transaction) -> bool:
        """Whether nothing is owed there, now or later, and nothing is to be said of it."""
        is_busy = self._unrecorded or self._untold or self._fault or not self._decided.is_empty
        if is_busy or self.circuit.down_since is not None:
            return False
        return outbox.next_due(tx, self._target.name) is None

    def _acquaint(self) -> None:
        """Ask once what it takes, so that no job makes forms that nobody needs."""
        if self._is_acquainted:
            return
        self._is_acquainted = True
        with self._database.read() as tx:
            if abilities.get(tx, self._target.name) is not None:
                return
        try:
            known.up_to_date(self._database, self._target, self._clock())
        except PeerUnavailable as error:
            self._log.info("destination_not_asked", reason=error.reason)

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _claim(self, most: int = CLAIMED_AT_ONCE) -> list[Delivery]:
        """The next jobs' due objects. A claim whose answer was lost may have been committed."""
        doubtful, self._claim_is_open = self._claim_is_open, True
        with self._database.write() as tx:
            if doubtful:
                outbox.release_sending(tx, self._clock(), self._target.name)
            claimed = outbox.claim(
                tx, self._target.name, self._clock(), most, self._effort.jobs_at_once
            )
        self._claim_is_open = False
        return claimed

    # --- the claimed objects ----------------------------------------------------------------------

    def _deliver(self, claimed: Sequence[Delivery]) -> None:
        """Send what is sound and taken; something to be recorded of every delivery, whatever
        happens."""
        settled: dict[int, SendResult] = {}
        lost = ""
        try:
            self._check(claimed, settled)
            self._find(_unsettled(claimed, settled), settled)
            self._decided = self._decide(claimed, settled)
            self._send(self._decided, settled)
        except PeerUnavailable as error:
            lost = error.reason
            self._association_failed(error)
        except DatabaseUnavailable as error:
            self._fault, lost = error, "the database was away"
        except Exception as error:  # noqa: BLE001  border: claimed deliveries must not stay in "sending"
            self._fault = error  # raised once what was claimed is given back
            lost = f"internal fault ({type(error).__name__})"
            for one in _unsettled(self._decided.goes or claimed, settled)[:1]:
                settled[one.id] = SendResult(None, SendOutcome.TRANSIENT, lost, in_doubt=True)
        self._unrecorded = [
            Settlement.of(one, settled.get(one.id), lost or PARTS_FIRST)
            for one in claimed
            if not self._decided.settles(one.id)
        ]

    def _check(self, claimed: Sequence[Delivery], settled: dict[int, SendResult]) -> None:
        for delivery in claimed:
            fault = self._fault_of(delivery)
            if fault:
                settled[delivery.id] = SendResult(None, SendOutcome.REFUSED, fault)

    def _decide(self, claimed: Sequence[Delivery], settled: dict[int, SendResult]) -> Decisions:
        there = [one for one, result in settled.items() if result.is_stored]
        return self._decider.decide(claimed, there, settled.keys() - set(there))

    def _fault_of(self, delivery: Delivery) -> str:
        """Why an object must not leave; empty when its bytes are those of the ledger."""
        found = self._blob(delivery)
        try:
            if sha256_of(found) == delivery.object.sha256:
                return ""
        except FileNotFoundError:
            return "the result file is missing"
        return "the result file was changed: its SHA-256 is not the one in the ledger"

    def _blob(self, delivery: Delivery) -> Blob:
        return Blob(self._results.blobs, delivery.object.key)

    def _find(self, deliveries: Sequence[Delivery], settled: dict[int, SendResult]) -> None:
        """Ask the destination for what may have come through before: that is not sent again."""
        doubtful = [one for one in deliveries if one.in_doubt]
        if not doubtful:
            return
        objects = [self._blob(one) for one in doubtful]
        try:
            found = self._target.held(objects)
        except Unaskable as error:
            self._log.warning("objects_sent_again", objects=len(doubtful), reason=str(error))
            return
        for index in found:
            settled[doubtful[index].id] = SendResult(None, SendOutcome.STORED, FOUND)

    def _send(self, decided: Decisions, settled: dict[int, SendResult]) -> None:
        """Offer each once all that it refers to is there; in one association, where there is such
        a thing and nothing is refused."""
        left = _unsettled(decided.goes, settled)
        while left:
            before = len(settled)
            self._offer(left, decided, settled)
            self._association_worked()
            if len(settled) == before:
                return
            left = [one for one in _unsettled(left, settled) if decided.may_go(one, settled)]

    def _offer(
        self, deliveries: Sequence[Delivery], decided: Decisions, settled: dict[int, SendResult]
    ) -> None:
        def take(index: int, result: SendResult) -> None:
            settled[deliveries[index].id] = result
            self._pace.spend(1, deliveries[index].object.size_bytes)

        def wanted(index: int) -> bool:
            return decided.may_go(deliveries[index], settled)

        objects = [self._blob(one) for one in deliveries]
        self._target.send(objects, take, wanted)

    # --- the books --------------------------------------------------------------------------------

    def _record(self) -> None:
        """The decisions go first: what is refused may bring back what was left out for it."""
        at_once = self._effort.recorded_at_once
        while self._unrecorded or not self._decided.is_empty:
            part = self._unrecorded[:at_once]
            with self._database.write() as tx:
                self._books.enter_decisions(tx, self._decided)
                self._books.enter(tx, part, self.circuit.probe_at)
            self._books.log_decisions(self._decided)
            self._decided = Decisions()
            self._unrecorded = self._unrecorded[at_once:]
            self._untold.append((part, self._clock()))
            for settlement in part:
                self._books.log_line(settlement)
        self._tell()

    def _tell(self) -> None:
        """Each part once: where the database is away now, in the next round."""
        while self._untold:
            self._told(*self._untold[0])
            self._untold.pop(0)

    # --- the destination's state ------------------------------------------------------------------

    def _may_associate(self) -> bool:
        """True unless the circuit is open; then a probe, at back-off pace, has to close it."""
        circuit = self.circuit
        if circuit.is_left_alone(self._clock()):
            return False
        if not circuit.is_open:
            return True
        if circuit.probe_at is not None and self._clock() < circuit.probe_at:
            return False
        with self._database.read() as tx:
            if outbox.next_due(tx, self._target.name) is None:
                return False
        try:
            self._target.probe()
        except PeerUnavailable as error:
            self._association_failed(error)
            self._raise_alarm()
            return False
        self._association_worked()
        return True

    def _association_failed(self, error: PeerUnavailable) -> None:
        again = self.circuit.failed(self._clock(), self._chance, error.reason, error.retry_after_s)
        self._log.warning(
            "destination_unavailable", reason=error.reason, next_attempt=again.isoformat()
        )

    def _association_worked(self) -> None:
        down_since = self.circuit.down_since
        if self.circuit.worked():
            self._note(Level.INFO, "down", "up", "answers again")
        if down_since is not None:
            self._log.info("destination_available", down_since=down_since.isoformat())

    def _raise_alarm(self) -> None:
        since = self.circuit.down_since
        if since is not None and self.circuit.alarm_is_due(self._clock()):
            what = f"does not answer since {since:%Y-%m-%d %H:%M}: {self.circuit.why}"
            self._note(Level.ALARM, "up", "down", what)
            self.circuit.alarmed = True

    def _note(self, level: Level, before: str, after: str, what: str) -> None:
        reason = f"destination {self._target.name} {what}"
        with self._database.write() as tx:
            events.record(tx, self._clock(), level, Topic.NODE, 0, before, after, reason)


def _unsettled(deliveries: Sequence[Delivery], settled: dict[int, SendResult]) -> list[Delivery]:
    """In the order of sending: the first is the one that was under way."""
    return [one for one in deliveries if one.id not in settled]
