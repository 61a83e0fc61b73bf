"""TCP connections become associations here: the listener, its limits, and the wiring of each one.

This is the seam to pynetdicom's server classes; what is decided about an association is decided by
the ``Owner``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from socketserver import TCPServer
from typing import Any, Protocol

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.dimse import contexts
from node.dimse.admission import Peer, Rejection
from node.dimse.lane import InstanceLane
from node.dimse.pdus import PduReader
from node.dimse.receive import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Receiver
from node.dimse.session import Session

SPARE_CONNECTIONS = 64
"""Connections beyond the association limit that may wait for their rejection."""
SHUT_S = 1.0
"""How long the thread of a shut socket may take to notice."""


@dataclass(frozen=True, slots=True)
class DimseSettings:
    """How the server listens, whom it lets in, and its limits."""

    ae_title: str
    host: str = "127.0.0.1"
    port: int = 11112
    accept_any_peer: bool = True
    peers: tuple[Peer, ...] = ()
    require_called_ae_title: bool = False
    max_associations: int = 64
    max_pdu_bytes: int = 131_072
    network_timeout_s: float = 60
    negotiation_timeout_s: float = 15
    """From the TCP connection to the A-ASSOCIATE-RQ: the ARTIM timer of PS3.8 9.1.5."""
    min_free_bytes: int = 0


class Owner(Protocol):
    """Decides about the associations of a listener. Called from their threads."""

    def open_session(self, host: str) -> Session:
        """A connection was accepted."""

    def receiver_for(self, session: Session) -> Receiver:
        """Where the session's instances go."""

    def admit(self, session: Session) -> Rejection | None:
        """Decide on an association request; without a rejection its place is taken."""

    def close_session(self, session: Session, how: str) -> None:
        """The session is over; may be called more than once."""


class Listener(ThreadedAssociationServer):
    """pynetdicom's server with our connections in it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: Owner, ae: AE, settings: DimseSettings) -> None:
        self.owner = owner
        self.settings = settings
        super().__init__(
            ae,
            (settings.host, settings.port),
            settings.ae_title,
            ae.supported_contexts,
            request_handler=_Connection,
        )

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Beyond the limit and its spare connections nothing is even negotiated."""
        return len(self.active_associations) < self.settings.max_associations + SPARE_CONNECTIONS

    def shutdown(self) -> None:
        """Stop accepting and free the port. (The base class assumes a list kept by the AE.)"""
        TCPServer.shutdown(self)
        self.server_close()

    def abort_all(self, timeout_s: float) -> None:
        """A-ABORT to every peer still there; sockets that do not close in time are shut."""
        associations = self.active_associations
        for association in associations:
            if association.is_established:
                association.abort(block=False)
        _wait_for_ends(associations, timeout_s)
        for association in associations:
            connection = association.dul.socket
            if connection is not None and connection.socket is not None:
                connection._shutdown_socket()
        _wait_for_ends(associations, SHUT_S)
        for association in associations:
            association.dul.kill_dul()


def _wait_for_ends(associations: Sequence[Association], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and any(one.dul.is_alive() for one in associations):
        time.sleep(0.01)


class _Connection(RequestHandler):
    """Wires one TCP connection: its session, its lane, its handlers."""

    server: Listener

    def _create_association(self) -> Association:
        owner, settings = self.server.owner, self.server.settings
        association = super()._create_association()
        session = owner.open_session(str(self.client_address[0]))
        reader = PduReader(self.request, settings.max_pdu_bytes, settings.network_timeout_s)
        lane = InstanceLane(
            association,
            owner.receiver_for(session),
            session,
            reader,
            on_end=lambda how: owner.close_session(session, how),
        )
        _replace_dul(association, lane)
        association.bind(evt.EVT_REQUESTED, lambda event: _negotiate(owner, session, event.assoc))
        association.bind(evt.EVT_RELEASED, lambda _: owner.close_session(session, "released"))
        association.bind(evt.EVT_ABORTED, lambda _: owner.close_session(session, "aborted"))
        return association


def _replace_dul(association: Association, lane: InstanceLane) -> None:
    """Put our upper layer thread in the place of the one that pynetdicom made (not yet started)."""
    made = association.dul
    lane.socket = made.socket
    lane.event_queue = made.event_queue  # it holds Evt5, transport connection indication
    lane.artim_timer.timeout = made.artim_timer.timeout
    lane._idle_timer.timeout = made._idle_timer.timeout
    association.dul = lane


def _negotiate(owner: Owner, session: Session, association: Association) -> None:
    """Reject, or name the contexts to accept, before pynetdicom answers the request."""
    request = association.requestor.primitive
    if not isinstance(request, A_ASSOCIATE):
        return  # the peer aborted before it asked
    session.identify(str(request.calling_ae_title).strip(), str(request.called_ae_title).strip())
    rejection = owner.admit(session)
    if rejection is None:
        proposed = request.presentation_context_definition_list
        association.acceptor.supported_contexts = contexts.supported(proposed)
        session.log.info("association_accepted")
        return
    session.log.warning("association_rejected", reason=rejection.reason)
    association.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
    association.kill()


def application_entity(settings: DimseSettings) -> AE:
    ae = AE(ae_title=settings.ae_title)
    ae.maximum_pdu_size = settings.max_pdu_bytes
    # Counted by the server itself, which also knows whom it lets in while it drains.
    ae.maximum_associations = settings.max_associations + SPARE_CONNECTIONS + 1
    ae.network_timeout = settings.network_timeout_s
    ae.acse_timeout = settings.negotiation_timeout_s
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.add_supported_context(contexts.VERIFICATION)
    return ae
