"""Asks a destination to commit to the results that it was sent (PS3.4 J, as SCU).

Its reports come to the association server, or over the association that asked.
"""

from __future__ import annotations

import random
from datetime import timedelta

import structlog

from node import statuses
from node.clock import Clock
from node.delivery import backoff
from node.dimse.errors import PeerUnavailable
from node.dimse.scu.sender import DEFAULT_TIMEOUTS, Peer, Timeouts
from node.dimse.services import commitment
from node.dimse.services.commitment import CommitmentService
from node.identity import new_uid
from storage import result_commitments
from storage.database import Database
from storage.records import ResultToCommit

log: structlog.stdlib.BoundLogger = structlog.get_logger()

LINGER_S = 1.0
"""How long a destination's report is waited for on the association that asked."""
ASK_AGAIN_AFTER = timedelta(hours=24)
"""Some archives commit once a night."""


class CommitmentAsker:
    """Asks one destination: ``ask_once`` is its step, for one thread."""

    def __init__(
        self,
        peer: Peer,
        database: Database,
        service: CommitmentService,
        clock: Clock,
        linger_s: float = LINGER_S,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        chance: random.Random | None = None,
    ) -> None:
        self._peer = peer
        self._database = database
        self._service = service
        self._clock = clock
        self._linger_s = linger_s
        self._timeouts = timeouts
        self._chance = chance or random.Random()
        self._log = log.bind(destination=peer.name)

    def ask_once(self) -> bool:
        """Ask for what is due, in one transaction. False when there was nothing.

        Raises
        ------
        DatabaseUnavailable
        """
        transaction_uid = new_uid()
        with self._database.write() as tx:
            due = result_commitments.claim(tx, self._peer.name, transaction_uid, self._clock())
        if not due:
            return False
        reason = self._ask(transaction_uid, due)
        now = self._clock()
        attempts = max(one.attempts for one in due) + 1
        again = now + (backoff.pause(attempts, self._chance) if reason else ASK_AGAIN_AFTER)
        with self._database.write() as tx:
            result_commitments.ask_later(tx, transaction_uid, again, was_asked=not reason)
        if reason:
            self._log.warning("commitment_not_requested", objects=len(due), reason=reason)
        else:
            self._log.info("commitment_requested_of_peer", objects=len(due))
        return True

    def _ask(self, transaction_uid: str, due: list[ResultToCommit]) -> str:
        """Why the destination could not be asked; empty when it was."""
        try:
            status = commitment.request_commitment(
                self._peer,
                transaction_uid,
                [one.reference for one in due],
                self._service,
                self._linger_s,
                self._timeouts,
            )
        except PeerUnavailable as error:
            return error.reason
        return "" if status == statuses.SUCCESS else f"refused with 0x{status:04X}"
