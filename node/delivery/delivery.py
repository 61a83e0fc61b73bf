"""From the outbox to the destinations: one courier for each destination.

Only bytes that the ledger vouches for leave. Every answer becomes a row; an answer that cannot be
recorded because the database is away is kept and recorded before anything else is sent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from node import statuses
from node.clock import Clock
from node.delivery import backoff
from node.delivery.backoff import Circuit
from node.delivery.pace import Pace
from node.delivery.targets.port import Target
from node.dimse.errors import PeerUnavailable, Unaskable
from node.dimse.scu.answers import SendOutcome, SendResult, describe
from storage import events, outbox, result_commitments
from storage.blobs import Blob, sha256_of
from storage.database import Database, Transaction
from storage.port import Results
from storage.records import Delivery, Level, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CLAIMED_AT_ONCE = 500
FOUND = "the destination has it: it came through before, and its answer was lost"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a courier takes on at a time, and when it gives up."""

    jobs_at_once: int = 10
    """So many share a claim and an association; what is more urgent waits for these at most."""
    recorded_at_once: int = 100
    """So many answers are entered in one transaction: others write too."""
    max_attempts: int = backoff.MAX_ATTEMPTS


USUAL = Effort()


@dataclass(frozen=True, slots=True)
class _Settlement:
    """What is to be recorded of one delivery."""

    delivery: Delivery
    result: SendResult
    in_doubt: bool = False
    """Whether it may have come through, at this attempt or an earlier one."""
    was_offered: bool = True
    """Else the destination was away before it could be: it waits, and that is no attempt."""


class Courier:
    """Delivers to one destination: ``deliver_once`` is its step, for one thread.

    target: the destination; its name is that of the rules and of the outbox.
    asks_commitment: whether it is asked to commit to what it was sent.
    pace: how much goes there in a minute; left out: as much as it takes.
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
    ) -> None:
        self.circuit = Circuit()
        self._target = target
        self._asks_commitment = asks_commitment
        self._effort = effort
        self._pace = pace or Pace()
        self._database = database
        self._results = results
        self._clock = clock
        self._chance = chance or random.Random()
        self._unrecorded: list[_Settlement] = []
        self._claim_is_open = False
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
            return False
        self._unrecorded = self._deliver(claimed)
        self._record()
        self._raise_fault()
        return True

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

    def _deliver(self, claimed: Sequence[Delivery]) -> list[_Settlement]:
        """Send what is sound; a settlement for every delivery, whatever happens."""
        settled: dict[int, SendResult] = {}
        sound: list[Delivery] = []
        lost = ""
        try:
            for delivery in claimed:
                fault = self._fault_of(delivery)
                if fault:
                    settled[delivery.id] = SendResult(None, SendOutcome.REFUSED, fault)
                else:
                    sound.append(delivery)
            self._find(sound, settled)
            self._send(_unsettled(sound, settled), settled)
        except PeerUnavailable as error:
            lost = error.reason
            self._association_failed(error)
        except Exception as error:  # noqa: BLE001  border: claimed deliveries must not stay in "sending"
            self._fault = error  # raised once what was claimed is given back
            lost = f"internal fault ({type(error).__name__})"
            for one in _unsettled(claimed, settled)[:1]:
                settled[one.id] = SendResult(None, SendOutcome.TRANSIENT, lost, in_doubt=True)
        return [_settlement(one, settled.get(one.id), lost) for one in claimed]

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

    def _send(self, deliveries: Sequence[Delivery], settled: dict[int, SendResult]) -> None:
        if not deliveries:
            return

        def take(index: int, result: SendResult) -> None:
            settled[deliveries[index].id] = result

        objects = [self._blob(one) for one in deliveries]
        self._pace.spend(len(deliveries), sum(one.object.size_bytes for one in deliveries))
        self._target.send(objects, take)
        self._association_worked()

    # --- the books --------------------------------------------------------------------------------

    def _record(self) -> None:
        at_once = self._effort.recorded_at_once
        while self._unrecorded:
            part = self._unrecorded[:at_once]
            with self._database.write() as tx:
                self._enter_all(tx, part)
            self._unrecorded = self._unrecorded[at_once:]
            for settlement in part:
                self._log_line(settlement)

    def _enter_all(self, tx: Transaction, settlements: Sequence[_Settlement]) -> None:
        for settlement in settlements:
            if settlement.was_offered:
                self._enter(tx, settlement)
        waiting = [one for one in settlements if not one.was_offered]
        if waiting:
            now = self._clock()
            ids = [one.delivery.id for one in waiting]
            reason = f"waits: {waiting[0].result.reason}"
            outbox.give_back(tx, ids, now, self.circuit.probe_at or now, reason)

    def _enter(self, tx: Transaction, settlement: _Settlement) -> None:
        now, delivery, result = self._clock(), settlement.delivery, settlement.result
        if result.is_stored or _is_there(result):
            how = FOUND if result.status is None else ""
            outbox.sent(tx, delivery.id, now, result.status or statuses.SUCCESS, how)
            if self._asks_commitment:
                result_commitments.owe(tx, delivery.id, now)
        elif result.outcome is not SendOutcome.TRANSIENT:
            outbox.failed(tx, delivery.id, now, result.status, result.reason)
        elif delivery.attempts >= self._effort.max_attempts:
            reason = f"given up after {delivery.attempts} attempts: {result.reason}"
            outbox.failed(tx, delivery.id, now, result.status, reason)
        else:
            again = now + backoff.pause(delivery.attempts, self._chance)
            doubt = result.status is None and settlement.in_doubt
            outbox.retry_later(tx, delivery.id, now, again, result.status, result.reason, doubt)

    def _log_line(self, settlement: _Settlement) -> None:
        delivery, result = settlement.delivery, settlement.result
        if not settlement.was_offered:
            return  # that the destination is away is said once for all
        line = self._log.info if result.is_stored else self._log.warning
        line(
            "object_sent" if result.is_stored else "object_not_sent",
            job=delivery.job_id,
            kind=delivery.object.kind,
            attempt=delivery.attempts,
            outcome=result.outcome.value,
            reason=_loggable(result),
        )

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
        again = self.circuit.failed(self._clock(), self._chance, error.retry_after_s)
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
            self._note(Level.ALARM, "up", "down", f"does not answer since {since:%Y-%m-%d %H:%M}")
            self.circuit.alarmed = True

    def _note(self, level: Level, before: str, after: str, what: str) -> None:
        reason = f"destination {self._target.name} {what}"
        with self._database.write() as tx:
            events.record(tx, self._clock(), level, Topic.NODE, 0, before, after, reason)


def _settlement(delivery: Delivery, result: SendResult | None, lost: str) -> _Settlement:
    """Of what was not begun, what it waits for is recorded: ``lost``."""
    if result is None:
        waits = SendResult(None, SendOutcome.TRANSIENT, lost or "no answer")
        return _Settlement(delivery, waits, delivery.in_doubt, was_offered=False)
    return _Settlement(delivery, result, delivery.in_doubt or result.in_doubt)


def _unsettled(deliveries: Sequence[Delivery], settled: dict[int, SendResult]) -> list[Delivery]:
    """In the order of sending: the first is the one that was under way."""
    return [one for one in deliveries if one.id not in settled]


def _is_there(result: SendResult) -> bool:
    """A duplicate: the destination has the object, from an attempt whose answer was lost, or from
    before this database was.

    UIDs derive from all that enters an object's bytes, so what has its UID is this object.
    """
    return result.status == statuses.DUPLICATE_SOP_INSTANCE


def _loggable(result: SendResult) -> str:
    """The reason for the log: without the peer's Error Comment, which may quote the object."""
    return result.reason if result.status is None else describe(result.status)
