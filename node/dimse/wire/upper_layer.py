"""What our two upper layer threads, of acceptors and of requestors, have in common."""

from __future__ import annotations

from pynetdicom.dul import DULServiceProvider

AWAITING_ANSWER = "Sta3"
DATA_TRANSFER = "Sta6"
AWAITING_CLOSE = "Sta13"
"""States of PS3.8 Table 9-1 to 9-5, as pynetdicom names them."""
CONNECTION_CLOSED = "Evt17"
INVALID_PDU = "Evt19"
"""Events of PS3.8 Table 9-10."""


class UpperLayer(DULServiceProvider):
    """pynetdicom's upper layer thread; after an abort it sends nothing any more."""

    def _process_recv_primitive(self) -> bool:
        """What was to be sent when the association was aborted goes nowhere any more."""
        if self.state_machine.current_state == AWAITING_CLOSE:
            while not self.to_provider_queue.empty():
                self.to_provider_queue.get(False)
            return False
        sending: bool = super()._process_recv_primitive()
        return sending
