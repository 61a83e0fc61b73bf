"""What left for a destination, for the audit trail: one event for each study and round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.audit.events import Actor, Exported, Outcome, Transferred
from node.audit.tally import StudyTally
from node.audit.trail import Trail
from node.config.destinations import AnyDestination, DimseDestinationSettings
from node.delivery.books import Settlement
from storage import audit
from storage.database import Database

Told = Callable[[Sequence[Settlement]], None]
"""Takes what was recorded of deliveries. Raises DatabaseUnavailable."""


def untold(settlements: Sequence[Settlement]) -> None:
    """Of a part that is tried on its own."""


def teller(trail: Trail, database: Database, to: AnyDestination, own_ae_title: str) -> Told:
    """Tells of one destination."""
    node = Actor(own_ae_title, is_ae=True)
    if isinstance(to, DimseDestinationSettings):
        receiver = Actor(to.ae_title, to.host, is_ae=True)
    else:
        receiver = Actor(to.name)
    is_export = to.kind == "folder"

    def tell(settlements: Sequence[Settlement]) -> None:
        offered = [one for one in settlements if one.was_offered]
        if not offered:
            return
        with database.read() as tx:
            studies = audit.studies_of_jobs(tx, {one.delivery.job_id for one in offered})
        for is_stored in (True, False):
            tally = StudyTally()
            for one in offered:
                uid = studies.get(one.delivery.job_id, "")
                if uid and one.result.is_stored is is_stored:
                    tally.add(uid, one.delivery.object.sop_class_uid)
            subjects = tally.subjects()
            outcome = Outcome.SUCCESS if is_stored else Outcome.MINOR_FAILURE
            reason = "" if is_stored else "not taken"
            if subjects and is_export:
                trail.record(Exported(node, to.name, subjects, outcome, reason))
            elif subjects:
                trail.record(
                    Transferred(
                        node,
                        receiver,
                        subjects,
                        is_received=False,
                        outcome=outcome,
                        reason=reason,
                    )
                )

    return tell
