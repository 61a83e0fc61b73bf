"""An audit trail that tests look into."""

from __future__ import annotations

from typing import TypeVar

from node.audit.events import AuditEvent

Kind = TypeVar("Kind")


class KeptTrail:
    """Keeps events in the order in which they were told."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Those of one kind."""
        return [one for one in self.events if isinstance(one, kind)]
