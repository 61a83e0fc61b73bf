"""C-STORE sub-operations of a C-GET (PS3.4 C.4.3): instances that come over an association which
the node itself has opened.

They go the way of all instances: as they come into a ``Receiver``, which decides what is answered.
"""

from __future__ import annotations

from collections.abc import Callable

from pynetdicom.association import Association

from node.dimse.incoming import IncomingMessages, decode_request
from node.dimse.wire import commands
from node.dimse.wire.commands import C_STORE_RQ, Command
from node.receive.reception import Receiver
from node.receive.statuses import Status

MAX_OTHER_DATA_SET_BYTES = 16 * 1024 * 1024
"""Of a response: a Failed SOP Instance UID List of 250 000."""

Answered = Callable[[str, Status], None]
"""Told the SOP Instance UID of each instance that came, and what was answered."""


class SubOperations:
    """Takes what the peer sends. Of the association's upper layer thread alone."""

    def __init__(
        self,
        association: Association,
        receiver: Receiver,
        source_ae: str,
        on_answered: Answered = lambda uid, status: None,
    ) -> None:
        self._association = association
        self._source_ae = source_ae
        self._on_answered = on_answered
        self._messages = IncomingMessages(
            association, receiver, MAX_OTHER_DATA_SET_BYTES, self._take_command, self._respond
        )

    def take(self, body: memoryview) -> None:
        """The body of a P-DATA-TF.

        Raises
        ------
        PduFault
            The peer breaks the protocol: the association has to be aborted.
        OSError
            An answer could not be sent.
        """
        self._messages.take(body)

    def abandon(self) -> None:
        """The association is over: what came of an instance is deleted."""
        self._messages.abandon()

    def _take_command(self, context_id: int, raw: bytes) -> None:
        request = None if commands.is_response(raw) else decode_request(raw)
        if request is not None and request.field == C_STORE_RQ:
            self._messages.begin(context_id, request, self._source_ae)
        else:
            self._messages.forward(context_id, raw)

    def _respond(self, context_id: int, request: Command, status: Status) -> None:
        """C-STORE-RSP, at once: the upper layer's thread alone writes to the socket."""
        connection = self._association.dul.socket
        if connection is not None and connection.socket is not None:
            answer = commands.response(request, status.code, status.comment)
            longest = int(self._association.acceptor.maximum_length or 0)
            connection.socket.sendall(commands.p_data(context_id, answer, longest))
        self._on_answered(request.sop_instance_uid, status)
