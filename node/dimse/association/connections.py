"""TCP connections become associations here: the listener, its limits, and the wiring of each one.

This is the seam to pynetdicom's server classes; what is decided about an association is decided by
the ``Owner``.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, UserIdentityNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.audit.trail import Trail
from node.dimse import contexts, tls
from node.dimse.association.admission import Claim
from node.dimse.association.entrance import Arrival, Entrance, Terms
from node.dimse.association.lane import InstanceLane
from node.dimse.association.refusals import Refusals
from node.dimse.entity import Entity
from node.dimse.rights import Right
from node.dimse.services import composite, retrieve_tables, serving
from node.dimse.services.composite import Composite
from node.dimse.services.event_reports import OpenAssociations
from node.dimse.services.requests import Service
from node.dimse.session import Session
from node.dimse.tls import PeerCertificate, ServerTls
from node.dimse.wakeups import Checkpoint, WakingQueue, hold_by
from node.dimse.wire import rejections
from node.dimse.wire.negotiation import AssociationRequest
from node.dimse.wire.pdus import PduReader
from node.dimse.wire.rejections import Rejection
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.receive.reception import Receiver

ACCEPT_PAUSE_S = 0.1
"""When no connection can be accepted: how long until the next try."""
SHUT_S = 1.0
"""How long the thread of a shut socket may take to notice."""


class Owner(Protocol):
    """Decides about the associations of a listener. Called from their threads."""

    @property
    def services(self) -> Sequence[Service]:
        """What it serves of DIMSE-N."""

    @property
    def composites(self) -> Sequence[Composite]:
        """What it serves of DIMSE-C beside C-ECHO and C-STORE."""

    @property
    def open_associations(self) -> OpenAssociations:
        """Where its associations are kept for reports."""

    def open_session(self, host: str, certificate: PeerCertificate | None) -> Session:
        """A connection was accepted."""

    def receiver_for(self, session: Session) -> Receiver:
        """Where the session's instances go."""

    def admit(self, session: Session, claim: Claim, probe_only: bool) -> Rejection | None:
        """Decide on an association request; without a rejection its place is taken."""

    def close_session(self, session: Session, how: str) -> None:
        """The session is over; may be called more than once."""

    @property
    def trail(self) -> Trail:
        """Where is told who was refused."""

    def tell_refusal(self, session: Session, rejection: Rejection) -> None:
        """An association was rejected."""


class Listener(ThreadedAssociationServer):
    """pynetdicom's server with our connections in it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        owner: Owner,
        ae: AE,
        entity: Entity,
        address: tuple[str, int],
        tls: ServerTls | None = None,
        probe_only: bool = False,
        given: socket.socket | None = None,
    ) -> None:
        """``given`` listens already, for other processes too."""
        self.owner = owner
        self._given = given
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_ending = False
        self._has_ended = threading.Event()
        self.settings = entity.dimse
        self.probe_only = probe_only
        self.refusals = Refusals(owner.trail)
        self.entrance = Entrance(
            Terms(
                self.settings.negotiation_timeout_s,
                self.begin,
                tls.context if tls else None,
                entity.probe_ae_title,
            ),
            self.refusals,
        )
        super().__init__(
            ae, address, entity.ae_title, ae.supported_contexts, request_handler=_Connection
        )

    def serve_forever(self, poll_interval: float = 0.0) -> None:
        """Until ``shutdown``, which ends the wait: nobody looks round for it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            try:
                while not self._is_ending:
                    if any(key.fileobj is self for key, _ in selector.select()):
                        self._handle_request_noblock()  # type: ignore[attr-defined]  # of socketserver
            finally:
                self._has_ended.set()

    def server_bind(self) -> None:
        """Bind, unless that was done."""
        if self._given is None:
            super().server_bind()
            return
        if self.socket is not None:
            self.socket.close()
        self.socket = self._given
        self.server_address = self.socket.getsockname()

    def get_request(self) -> Any:
        """Accept; out of file descriptors, wait a little instead of trying at full speed."""
        try:
            return super().get_request()
        except BlockingIOError:
            raise  # another process was faster
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
            self.refusals.warn("connection_not_accepted", reason, "")
            time.sleep(ACCEPT_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """What is accepted waits at the entrance until it has asked for an association."""
        self.entrance.take(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that could not be taken. (The base class prints.)"""
        reason = type(sys.exc_info()[1]).__name__
        self.refusals.warn("connection_failed", reason, str(client_address[0]))

    def begin(self, arrival: Arrival) -> None:
        """Make a connection that has asked an association."""
        _Connection(arrival, self)

    def service_actions(self) -> None:
        """Nothing. (The base class runs the garbage collector here, which stops all threads.)"""

    def shutdown(self) -> None:
        """Stop accepting and free the port; once more does nothing."""
        if self._bell < 0:
            return
        self._is_ending = True
        os.eventfd_write(self._bell, 1)
        self._has_ended.wait()
        self.server_close()

    def server_close(self) -> None:
        """Free the port, and close what has not asked yet."""
        super().server_close()
        self.entrance.close()
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1

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
    """Wires one connection that has asked: its session, its lane, its handlers."""

    server: Listener

    def __init__(self, arrival: Arrival, server: Listener) -> None:
        if arrival.request is None:
            raise ValueError("the connection has not asked for an association")
        self._asked = arrival.request
        self._session: Session | None = None
        self._is_settled = False
        super().__init__(arrival.socket, arrival.address, server)

    def handle(self) -> None:
        """Start the association's threads."""
        try:
            super().handle()
        except BaseException:
            if self._session is not None:
                self.server.owner.close_session(self._session, "lost")
            self._is_settled = True  # the entrance hears of it by the exception
            raise

    def _end(self, how: str) -> None:
        if self._session is not None:
            self.server.owner.close_session(self._session, how)
        self._settle()

    def _settle(self) -> None:
        """It is negotiated, or over."""
        if not self._is_settled:
            self._is_settled = True
            self.server.entrance.settled(str(self.client_address[0]))

    def _create_association(self) -> Association:
        owner, settings = self.server.owner, self.server.settings
        association = super()._create_association()
        host = str(self.client_address[0])
        session = self._session = owner.open_session(host, tls.certificate_of(self.request))
        reader = PduReader(self.request, settings.max_pdu_bytes, settings.pdu_timeout_s)
        lane = InstanceLane(
            association, owner.receiver_for(session), session, reader, on_end=self._end
        )
        owner.open_associations.prepare(association)  # before its queues are replaced
        _replace_dul(association, lane)
        lane.ask(self._asked)
        serving.bind(association, session, owner.services)
        composite.bind(association, session, owner.composites)

        def negotiate(event: evt.Event) -> None:
            try:
                _negotiate(self.server, session, event.assoc, self._asked)
            except Exception as error:  # pynetdicom would go on, and accept
                session.log.exception("negotiation_fault", error=type(error).__name__)
                _reject(event.assoc, rejections.FAULT)

        def accepted(event: evt.Event) -> None:
            self._settle()

        association.bind(evt.EVT_REQUESTED, negotiate)
        association.bind(evt.EVT_ESTABLISHED, accepted)
        association.bind(evt.EVT_RELEASED, lambda _: owner.close_session(session, "released"))
        association.bind(
            evt.EVT_ABORTED, lambda _: owner.close_session(session, lane.how or "aborted")
        )
        return association


def _replace_dul(association: Association, lane: InstanceLane) -> None:
    """Put our upper layer thread in the place of the one that pynetdicom made (not yet started)."""
    made = association.dul
    lane.socket = made.socket
    lane.event_queue = made.event_queue  # it holds Evt5, transport connection indication
    lane.artim_timer.timeout = made.artim_timer.timeout
    lane._idle_timer.timeout = made._idle_timer.timeout
    checkpoint = lane.checkpoint = Checkpoint(association.is_alive, lane.patience_s)
    hold_by(association, checkpoint)
    association.dimse.msg_queue = WakingQueue(checkpoint.wake)
    lane.to_user_queue = WakingQueue(checkpoint.wake)
    association.dul = lane


def _negotiate(
    server: Listener, session: Session, association: Association, asked: AssociationRequest
) -> None:
    """Reject, or name the contexts to accept, before pynetdicom answers the request."""
    request = association.requestor.primitive
    if not isinstance(request, A_ASSOCIATE):
        return  # the connection was shut meanwhile
    owner = server.owner
    session.identify(asked.calling_ae, asked.called_ae)
    claim = Claim(asked.contexts, asked.identity)
    rejection = owner.admit(session, claim, server.probe_only)
    if rejection is None:
        if session.is_verified and claim.identity is not None and claim.identity.wants_answer:
            _confirm(association)
        served = {service.sop_class_uid for service in owner.services}
        proposed = request.presentation_context_definition_list
        queried = {uid for one in owner.composites for uid in one.sop_class_uids}
        association.acceptor.supported_contexts = contexts.supported(
            proposed, served, queried, _returned(association, session, proposed)
        )
        owner.open_associations.add(session.id, association, session.calling_ae, session.host)
        session.log_of_course("association_accepted")
        return
    session.log.warning("association_rejected", reason=rejection.reason)
    owner.tell_refusal(session, rejection)
    _reject(association, rejection)


def _returned(
    association: Association, session: Session, proposed: Sequence[PresentationContext]
) -> set[str]:
    """The SOP classes whose instances the peer takes back, as their SCP: only with C-GET."""
    if not session.rights.allow(Right.RETRIEVE):
        return set()
    if all(one.abstract_syntax not in retrieve_tables.GET for one in proposed):
        return set()
    roles = association.requestor.role_selection
    return {str(uid) for uid, role in roles.items() if role.scp_role}


def _reject(association: Association, rejection: Rejection) -> None:
    association.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
    association.kill()


def _confirm(association: Association) -> None:
    """The positive response; empty for user names (PS3.7 D.3.3.7.2)."""
    answer = UserIdentityNegotiation()
    answer.server_response = b""
    association.acceptor.add_negotiation_item(answer)


def application_entity(entity: Entity) -> AE:
    ae = AE(ae_title=entity.ae_title)
    ae.maximum_pdu_size = entity.dimse.max_pdu_bytes
    # Counted by the server itself, which also knows whom it lets in while it drains.
    ae.maximum_associations = sys.maxsize
    ae.network_timeout = entity.dimse.network_timeout_s
    ae.acse_timeout = entity.dimse.negotiation_timeout_s
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.add_supported_context(contexts.VERIFICATION)
    return ae
