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
        with queue.mutex:  # who has queued them may take them back: ``drop_ready``
            waiting = queue.queue
            while waiting and isinstance(waiting[0], bytes) and len(ready) < AT_ONCE_BYTES:
                ready += waiting.popleft()
        if not ready:
            return False
        if self.socket is not None and self.state_machine.current_state == DATA_TRANSFER:
            self.socket.send(bytes(ready))
        self._look_at_peer()
        return True

    def drop_ready(self) -> int:
        """Take back what is encoded and not sent yet: how many messages. From any thread."""
        queue: Any = self.to_provider_queue
        with queue.mutex:
            kept = [one for one in queue.queue if not isinstance(one, bytes)]
            dropped = len(queue.queue) - len(kept)
            queue.queue.clear()
            queue.queue.extend(kept)
        return int(dropped)

    def _look_at_peer(self) -> None:
        """Between answers: does the peer say that it wants no more?"""
