"""One association as the node knows it: who, since when, and what it brought."""

from __future__ import annotations

import threading
import traceback
import uuid
from dataclasses import dataclass
from datetime import datetime

import structlog

from node.audit.events import Actor, Refused, Subject, TransferBegun, Transferred
from node.audit.tally import StudyTally
from node.audit.trail import NO_TRAIL, Trail
from node.dimse.rights import NONE, Right, Rights
from node.dimse.tls import PeerCertificate
from node.observe.throttle import ThrottledLog

REFUSALS_EVERY_S = 24 * 3600.0
"""That a peer asks for what it may not is logged so often, for each peer and right."""
_refusals = ThrottledLog(REFUSALS_EVERY_S)


@dataclass(frozen=True, slots=True)
class AssociationInfo:
    """A live association, for the status page."""

    id: str
    calling_ae: str
    called_ae: str
    host: str
    since: datetime
    instances: int
    """Answered with success."""
    refused: int


class Session:
    """What is known of one connection. Filled by its own threads, read by others."""

    def __init__(
        self,
        host: str,
        since: datetime,
        certificate: PeerCertificate | None = None,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.host = host
        self.since = since
        self.certificate = certificate
        """The peer's, where it came over mutual TLS."""
        self.calling_ae = ""
        self.called_ae = ""
        self.accepted = False
        self.is_verified = False
        """The peer's user gave the right passcode."""
        self.rights: Rights = NONE
        """Given when the association's request is accepted."""
        self.agreed: dict[str, bytes] = {}
        """What was answered to SOP class extended negotiation, by SOP class."""
        self.is_probe = False
        """The node's own, which asks whether the listener answers: no limit counts it."""
        self.log: structlog.stdlib.BoundLogger = structlog.get_logger().bind(
            association=self.id, host=host
        )
        self._lock = threading.Lock()
        self._studies: set[str] = set()
        self._instances = 0
        self._refused = 0
        self._ended = ""
        self._denied: set[Right] = set()
        self.trail = trail
        self.brought = StudyTally()
        """What was stored of it, for the audit trail."""

    @property
    def peer(self) -> Actor:
        """Who has called, for the audit trail."""
        return Actor(self.calling_ae, self.host, is_ae=True)

    @property
    def own(self) -> Actor:
        """The node, as it was called."""
        return Actor(self.called_ae, is_ae=True)

    def identify(self, calling_ae: str, called_ae: str) -> None:
        self.calling_ae, self.called_ae = calling_ae, called_ae
        self.log = self.log.bind(calling_ae=calling_ae)

    def may(self, right: Right) -> bool:
        """Whether the peer may; that it asks for what it may not is logged once a day, and told
        once an association."""
        if self.rights.allow(right):
            return True
        if right not in self._denied:
            self._denied.add(right)
            self.trail.record(Refused(self.peer, right.value, "the AE title has not this right"))
        _refusals.warn("not_authorised", right.value, self.host, calling_ae=self.calling_ae)
        return False

    def log_fault(self, operation: str, error: Exception) -> str:
        """Log a fault of our own, and give what the peer is told: the id under which it stands.

        The error's message is left out: it may quote the data set.
        """
        fault_id = uuid.uuid4().hex[:12]
        self.log.error(
            "request_fault",
            operation=operation,
            fault=fault_id,
            error=type(error).__name__,
            traceback="".join(traceback.format_tb(error.__traceback__)),
        )
        return f"Internal fault {fault_id}"

    def log_of_course(self, event: str, **facts: object) -> None:
        """What happens to every association; of the node's own, every few seconds, in detail
        only."""
        line = self.log.debug if self.is_probe else self.log.info
        line(event, **facts)

    def touch(self, study_instance_uid: str) -> bool:
        """Note a study; true for its first instance."""
        with self._lock:
            if study_instance_uid in self._studies:
                return False
            self._studies.add(study_instance_uid)
            return True

    def count(self, success: bool) -> None:
        with self._lock:
            self._instances += success
            self._refused += not success

    def tell_what_it_begins(self, subject: Subject) -> None:
        """Of a study, with its first instance."""
        self.trail.record(TransferBegun(self.peer, self.own, subject))

    def tell_what_it_brought(self) -> None:
        """One event for all its studies; called once, at its end."""
        if subjects := self.brought.subjects():
            self.trail.record(Transferred(self.peer, self.own, subjects))
        if self._refused:
            reason = f"{self._refused} instances were not stored"
            self.trail.record(Refused(self.peer, "C-STORE", reason))

    def end(self, how: str) -> bool:
        """Mark the end; true for the first caller only."""
        with self._lock:
            if self._ended:
                return False
            self._ended = how
            return True

    @property
    def ended(self) -> str:
        return self._ended

    def studies(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._studies)

    def info(self) -> AssociationInfo:
        with self._lock:
            return AssociationInfo(
                self.id,
                self.calling_ae,
                self.called_ae,
                self.host,
                self.since,
                self._instances,
                self._refused,
            )
