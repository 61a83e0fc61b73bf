"""Where what happened is told. Nobody who tells waits for a database or a repository."""

from __future__ import annotations

from typing import Protocol

from node.audit.events import AuditEvent


class Trail(Protocol):
    """Keeps events."""

    def record(self, event: AuditEvent) -> None:
        """The event is kept once this returns, whatever becomes of this process. May be called
        from any thread, and fails never: what cannot be kept is counted and told as an alarm."""
        ...


class NoTrail:
    """Keeps nothing: for a part that is tried on its own."""

    def record(self, event: AuditEvent) -> None:
        pass


NO_TRAIL: Trail = NoTrail()
