"""What is refused before there is an association: in the log, and in the audit trail."""

from __future__ import annotations

from node.audit.events import Actor, Refused
from node.audit.looks import REFUSED_AGAIN_S, Once
from node.audit.trail import Trail
from node.observe.throttle import ThrottledLog

_REJECTED = "association_rejected"
_TLS = "tls: "


class Refusals(ThrottledLog):
    """Of one listener."""

    def __init__(self, trail: Trail) -> None:
        super().__init__()
        self._trail = trail
        self._once = Once(REFUSED_AGAIN_S)

    def warn(self, event: str, reason: str, host: str, **facts: str) -> None:
        """Log it once in a while; who is not let in, or proves not who he is, is told too."""
        super().warn(event, reason, host, **facts)
        if event != _REJECTED and not reason.startswith(_TLS):
            return
        title = facts.get("calling_ae", "")
        if self._once.is_new((reason, host, title)):
            by = Actor(title, host, is_ae=bool(title))
            self._trail.record(Refused(by, "association", reason, is_node=True))
