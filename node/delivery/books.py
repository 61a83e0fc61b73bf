"""The books of a courier: what became of each delivery, entered in the ledger."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from node import statuses
from node.clock import Clock
from node.delivery import backoff, retractions
from node.delivery.decisions import Decisions
from node.delivery.kinds import OF_KIND, STAND_INS
from node.delivery.profile import BEING_MADE, DANGLING
from node.dimse.scu.answers import SendOutcome, SendResult, describe, is_duplicate
from storage import abilities, ledger, outbox, result_commitments, selection
from storage.database import Transaction
from storage.kinds import ObjectKind
from storage.records import Delivery

log: structlog.stdlib.BoundLogger = structlog.get_logger()

FOUND = "the destination has it: it came through before, and its answer was lost"
FORMS_WAIT = timedelta(seconds=60)
"""What waits for a further form is woken when there is one; else it is looked at again."""
PARTS_WAIT = timedelta(seconds=5)
"""How long what refers to objects that are under way is put off."""


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
class Settlement:
    """What is to be recorded of one delivery."""

    delivery: Delivery
    result: SendResult
    in_doubt: bool = False
    """Whether it may have come through, at this attempt or an earlier one."""
    was_offered: bool = True
    """Else the destination was away before it could be: it waits, and that is no attempt."""

    @staticmethod
    def of(delivery: Delivery, result: SendResult | None, lost: str) -> Settlement:
        """Of what was not begun, what it waits for is recorded: ``lost``."""
        if result is None:
            waits = SendResult(None, SendOutcome.TRANSIENT, lost or "no answer")
            return Settlement(delivery, waits, delivery.in_doubt, was_offered=False)
        return Settlement(delivery, result, delivery.in_doubt or result.in_doubt)


class Books:
    """Of one destination; every method is part of a transaction of its caller's."""

    def __init__(
        self,
        destination: str,
        clock: Clock,
        chance: random.Random,
        effort: Effort = USUAL,
        asks_commitment: bool = False,
        retraction: str = "",
    ) -> None:
        self._destination = destination
        self._clock = clock
        self._chance = chance
        self._effort = effort
        self._asks_commitment = asks_commitment
        self._retraction = retraction
        self._log = log.bind(destination=destination)

    # --- what was decided -------------------------------------------------------------------------

    def enter_decisions(self, tx: Transaction, decided: Decisions) -> None:
        """What is not sent, or not now, and the forms that are wanted for it."""
        now = self._clock()
        selection.leave_out(tx, decided.left_out, now)
        for delivery_id, reason in decided.unserved.items():
            outbox.failed(tx, delivery_id, now, None, reason)
        for reason, ids in _by_reason(decided.waits).items():
            pause = FORMS_WAIT if reason == BEING_MADE else PARTS_WAIT
            outbox.give_back(tx, ids, now, now + pause, reason)
        for job_id, kinds in decided.wanted.items():
            self._want(tx, job_id, kinds, now)
        for job_id in selection.jobs_of(tx, decided.left_out):
            self._take_back(tx, job_id, now)

    def _want(
        self, tx: Transaction, job_id: int, kinds: Collection[ObjectKind], now: datetime
    ) -> None:
        names = ", ".join(sorted(OF_KIND[kind].name for kind in kinds))
        reason = f"destination {self._destination} needs further forms: {names}"
        if ledger.want_forms(tx, job_id, kinds, now, reason):
            self._log.info("further_forms_wanted", job=job_id, forms=names)

    # --- what was answered ------------------------------------------------------------------------

    def enter(
        self, tx: Transaction, settlements: Sequence[Settlement], not_before: datetime | None
    ) -> None:
        """not_before: when what could not be offered is due again; None: at once."""
        for settlement in settlements:
            if settlement.was_offered:
                self._enter(tx, settlement)
        waiting = [one for one in settlements if not one.was_offered]
        if waiting:
            now = self._clock()
            ids = [one.delivery.id for one in waiting]
            reason = f"waits: {waiting[0].result.reason}"
            outbox.give_back(tx, ids, now, not_before or now, reason)

    def _enter(self, tx: Transaction, settlement: Settlement) -> None:
        now, delivery, result = self._clock(), settlement.delivery, settlement.result
        if result.is_stored or is_duplicate(result):
            how = FOUND if result.status is None else ""
            outbox.sent(tx, delivery.id, now, result.status or statuses.SUCCESS, how)
            selection.reconsider_above(tx, delivery, DANGLING, now)
            if self._asks_commitment:
                result_commitments.owe(tx, delivery.id, now)
        elif result.outcome is not SendOutcome.TRANSIENT:
            self._refused(tx, delivery, result, now)
        elif delivery.attempts >= self._effort.max_attempts:
            reason = f"given up after {delivery.attempts} attempts: {result.reason}"
            outbox.failed(tx, delivery.id, now, result.status, reason)
            self._reconsider(tx, delivery, now)
        else:
            again = now + backoff.pause(delivery.attempts, self._chance)
            doubt = result.status is None and settlement.in_doubt
            outbox.retry_later(tx, delivery.id, now, again, result.status, result.reason, doubt)
        self._take_back(tx, delivery.job_id, now)

    def _take_back(self, tx: Transaction, job_id: int, now: datetime) -> None:
        """What the job has taken the place of, where that is wanted and due."""
        if self._retraction:
            retractions.enter_due(tx, job_id, self._destination, self._retraction, now)

    def _refused(
        self, tx: Transaction, delivery: Delivery, result: SendResult, now: datetime
    ) -> None:
        """A SOP class that is not taken after all is left out; an object that is not, an alarm."""
        if result.outcome is SendOutcome.NOT_ACCEPTED:
            abilities.forget(tx, self._destination)
            selection.leave_out(tx, {delivery.id: result.reason}, now)
        elif result.status == statuses.SOP_CLASS_NOT_SUPPORTED:
            known = abilities.get(tx, self._destination)
            if known is not None:
                abilities.put(tx, known.without(delivery.object.sop_class_uid))
            selection.leave_out(tx, {delivery.id: result.reason}, now)
        else:
            outbox.failed(tx, delivery.id, now, result.status, result.reason)
        self._reconsider(tx, delivery, now)

    def _reconsider(self, tx: Transaction, delivery: Delivery, now: datetime) -> None:
        """What had given way to it stands in for it now."""
        kinds = set(STAND_INS)
        if delivery.object.kind is ObjectKind.LABEL_MAP:
            kinds |= {ObjectKind.SEGMENTATION, ObjectKind.REPORT}
        selection.reconsider(tx, delivery, kinds, now)

    # --- the log ----------------------------------------------------------------------------------

    def log_decisions(self, decided: Decisions) -> None:
        if decided.left_out:
            self._log.info("objects_left_out", objects=len(decided.left_out))

    def log_line(self, settlement: Settlement) -> None:
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


def _by_reason(reasons: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for delivery_id, reason in reasons.items():
        found.setdefault(reason, []).append(delivery_id)
    return found


def _loggable(result: SendResult) -> str:
    """The reason for the log: without the peer's Error Comment, which may quote the object."""
    return result.reason if result.status is None else describe(result.status)
