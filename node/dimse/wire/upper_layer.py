"""What our two upper layer threads, of acceptors and of requestors, have in common."""

from __future__ import annotations

from typing import Any

from pynetdicom.dul import DULServiceProvider

AWAITING_ANSWER = "Sta3"
DATA_TRANSFER = "Sta6"
AWAITING_CLOSE = "Sta13"
"""States of PS3.8 Table 9-1 to 9-5, as pynetdicom names them."""
CONNECTION_CLOSED = "Evt17"
INVALID_PDU = "Evt19"
"""Events of PS3.8 Table 9-10."""
AT_ONCE_BYTES = 256 * 1024


class UpperLayer(DULServiceProvider):
    """pynetdicom's upper layer thread; after an abort it sends nothing any more."""

    def _process_recv_primitive(self) -> bool:
        """What was to be sent when the association was aborted goes nowhere any more."""
        if self.state_machine.current_state == AWAITING_CLOSE:
            while not self.to_provider_queue.empty():
                self.to_provider_queue.get(False)
            return False
        if self._send_ready():
            return True
        sending: bool = super()._process_recv_primitive()
        return sending

    def _send_ready(self) -> bool:
        """PDUs that are encoded stand in the queue as bytes: what of them is next goes at once."""
        queue: Any = self.to_provider_queue
        ready = bytearray()
        while queue.queue and isinstance(queue.queue[0], bytes) and len(ready) < AT_ONCE_BYTES:
            ready += queue.get(False)
        if not ready:
            return False
        if self.socket is not None and self.state_machine.current_state == DATA_TRANSFER:
            self.socket.send(bytes(ready))
        return True
