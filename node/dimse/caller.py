"""pynetdicom as requestor, with our connections in it, and an ear for what PACSs really answer."""

from __future__ import annotations

import select
import ssl
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AddressInformation, AssociationSocket

from node.dimse.association_pdus import plain
from node.dimse.pdus import A_ASSOCIATE_RJ, HEADER_BYTES, P_DATA_TF, PduFault
from node.dimse.wakeups import Pause


def rejection_of(association: Association) -> bytes:
    """Result, source and reason of an A-ASSOCIATE-RJ, as they came."""
    return association.dul.rejection if isinstance(association.dul, _Dul) else b""


def fault_of(association: Association) -> str:
    """Why an answer could not be read; empty where all could."""
    return association.dul.fault if isinstance(association.dul, _Dul) else ""


class _Connection(AssociationSocket):
    """pynetdicom's socket, closed also where the connection failed, and of any number."""

    @property
    def ready(self) -> bool:
        """Whether something can be read. (select() takes no descriptor above 1023.)"""
        connected = self.socket
        if connected is None or not self._is_connected:
            return False
        if isinstance(connected, ssl.SSLSocket) and connected.pending():
            return True  # decrypted already: the socket itself may be silent
        poll = select.poll()
        try:
            poll.register(connected, select.POLLIN)
        except ValueError:  # closed meanwhile
            self.event_queue.put("Evt17")
            return False
        return bool(poll.poll(0))

    def _shutdown_socket(self) -> None:
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()


class _Dul(DULServiceProvider):
    """pynetdicom's upper layer thread; it understands answers that pynetdicom does not."""

    fault = ""
    rejection = b""

    def _decode_pdu(self, bytestream: bytearray) -> Any:
        kind, body = bytestream[0], bytes(bytestream[HEADER_BYTES:])
        if kind == A_ASSOCIATE_RJ:
            self.rejection = body[1:4]
        if kind != P_DATA_TF:
            try:
                bytestream = bytearray(plain(kind, body))
            except PduFault as fault:
                self.fault = str(fault)
                raise
        return super()._decode_pdu(bytestream)


class Caller(AE):
    """pynetdicom's application entity with our connections in it."""

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: Any
    ) -> AssociationSocket:
        assoc._reactor_checkpoint = Pause(assoc.is_alive)  # before the reactor starts
        made, assoc.dul = assoc.dul, _Dul(assoc)
        assoc.dul.artim_timer.timeout = made.artim_timer.timeout
        assoc.dul._idle_timer.timeout = made._idle_timer.timeout
        connection = _Connection(assoc, address=address)
        connection.tls_args = tls_args
        return connection
