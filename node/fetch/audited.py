"""What came from an archive at somebody's wish, for the audit trail."""

from __future__ import annotations

from dataclasses import dataclass

from node.audit.events import Actor, Subject, Transferred
from node.audit.trail import NO_TRAIL, Trail


@dataclass(frozen=True, slots=True)
class FetchTeller:
    """Tells of one source."""

    trail: Trail = NO_TRAIL
    source: str = ""
    own_ae_title: str = ""

    def came(self, study_instance_uid: str, asked_by: str) -> None:
        """Instances of a study have come."""
        node = Actor(self.own_ae_title, is_ae=True)
        subject = Subject(study_instance_uid)
        self.trail.record(
            Transferred(Actor(self.source), node, (subject,), Actor(asked_by or "unknown"))
        )
