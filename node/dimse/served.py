"""An accepted association whose C-GETs and C-MOVEs are served by the node, not by pynetdicom.

pynetdicom's services hold whole data sets, decoded, and look round every millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_GET, C_MOVE

from node.dimse.wakeups import Held

Operation = type[C_GET] | type[C_MOVE]
Serve = Callable[[Any, int], None]
"""Takes a request and its context's id; returns when the last answer is given."""


class _Served(Held):
    """Some requests do not reach pynetdicom's services."""

    _served: dict[Operation, Serve]

    def _serve_request(self, msg: Any, context_id: int) -> None:
        serve = self._served.get(type(msg))
        if serve is None or not msg.is_valid_request:
            super()._serve_request(msg, context_id)
            return
        serve(msg, context_id)
        self.dimse.cancel_req.pop(msg.MessageID, None)


def serve_retrieves(association: Association, operation: Operation, serve: Serve) -> None:
    """Let requests of an operation be served so; before the association's thread starts."""
    vars(association).setdefault("_served", {})[operation] = serve
    association.__class__ = _Served
