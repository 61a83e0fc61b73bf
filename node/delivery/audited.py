"""What left for a destination, for the audit trail, metrics and traces: once for each study and
round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.audit.events import Actor, Exported, Outcome, Subject, Transferred
from node.audit.tally import StudyTally
from node.audit.trail import Trail
from node.config.destinations import AnyDestination, DimseDestinationSettings
from node.delivery.books import Settlement
from node.observe.passages import Passage, Passed, Stage
from storage import audit
from storage.audit import JobWay
from storage.database import Database

Told = Callable[[Sequence[Settlement], datetime], None]
"""Takes what was recorded of deliveries, and when. Raises DatabaseUnavailable."""


def untold(settlements: Sequence[Settlement], at: datetime) -> None:
    """Of a part that is tried on its own."""


@dataclass(frozen=True, slots=True)
class DeliveryTeller:
    """Tells of one destination."""

    trail: Trail
    passed: Passed
    database: Database
    to: AnyDestination
    own_ae_title: str

    def __call__(self, settlements: Sequence[Settlement], at: datetime) -> None:
        offered = [one for one in settlements if one.was_offered]
        if not offered:
            return
        with self.database.read() as tx:
            ways = audit.ways_of_jobs(tx, {one.delivery.job_id for one in offered})
        for is_stored in (True, False):
            alike = [one for one in offered if one.result.is_stored is is_stored]
            if subjects := _subjects(alike, ways):
                self._tell(subjects, is_stored)
        for one in offered:
            way = ways.get(one.delivery.job_id)
            if one.result.is_stored and way and way.finished_at:
                uid, job = way.study_instance_uid, one.delivery.job_id
                self.passed(Passage(Stage.DELIVERED, way.finished_at, at, uid, job))

    def _tell(self, subjects: tuple[Subject, ...], is_stored: bool) -> None:
        node = Actor(self.own_ae_title, is_ae=True)
        outcome = Outcome.SUCCESS if is_stored else Outcome.MINOR_FAILURE
        reason = "" if is_stored else "not taken"
        if self.to.kind == "folder":
            self.trail.record(Exported(node, self.to.name, subjects, outcome, reason))
            return
        receiver = Actor(self.to.name)
        if isinstance(self.to, DimseDestinationSettings):
            receiver = Actor(self.to.ae_title, self.to.host, is_ae=True)
        sent = Transferred(
            node, receiver, subjects, is_received=False, outcome=outcome, reason=reason
        )
        self.trail.record(sent)


def _subjects(settlements: Sequence[Settlement], ways: Mapping[int, JobWay]) -> tuple[Subject, ...]:
    tally = StudyTally()
    for one in settlements:
        way = ways.get(one.delivery.job_id)
        if way is not None:
            tally.add(way.study_instance_uid, one.delivery.object.sop_class_uid)
    return tally.subjects()
