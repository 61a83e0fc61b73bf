"""The association server: Verification and Storage SCP (PS3.4 A and B).

It owns the port, the threads of the associations and their limits. What becomes of an instance
is decided in ``receive``; the data phase runs in ``lane``.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from socketserver import TCPServer
from typing import Any

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.dimse import admission, contexts, library
from node.dimse.admission import Peer, Rejection
from node.dimse.errors import CannotListen
from node.dimse.lane import InstanceLane
from node.dimse.pdus import PduReader
from node.dimse.receive import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    QuarantineSink,
    Receiver,
    RecordSink,
)
from node.dimse.session import AssociationInfo, Session
from storage.instances import InstanceStore
from storage.records import InstanceRecord

__all__ = ["AssociationInfo", "AssociationServer", "DimseSettings", "Peer"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()

StudiesSink = Callable[[frozenset[str]], None]
"""Takes the study instance UIDs that an association brought, when it is over."""

SPARE_CONNECTIONS = 64
"""Connections beyond the association limit that may wait for their rejection."""
ABORT_S = 2.0
"""How long an aborted association may take to close before its socket is shut."""


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


class AssociationServer:
    """Listens, negotiates, receives. All callbacks are called from association threads."""

    def __init__(
        self,
        settings: DimseSettings,
        store: InstanceStore,
        sink: RecordSink,
        on_released: StudiesSink | None = None,
        on_quarantined: QuarantineSink | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._store = store
        self._sink = sink
        self._on_released = on_released or (lambda studies: None)
        self._on_quarantined = on_quarantined or (lambda key, reason, calling_ae: None)
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._draining = False
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use; the real one where the settings say 0."""
        return int(self._listening().server_address[1])

    def start(self) -> None:
        """Listen.

        Raises
        ------
        CannotListen
            The address or port cannot be had; the message says what to do.
        """
        library.prepare()
        settings = self._settings
        try:
            self._server = _Server(self, _application_entity(settings), settings)
        except OSError as error:
            raise CannotListen(_advice(settings, error)) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="dimse-listener", daemon=True
        )
        self._thread.start()
        log.info("listening", ae_title=settings.ae_title, host=settings.host, port=self.port)

    def associations(self) -> list[AssociationInfo]:
        """The live associations, oldest first."""
        return [session.info() for session in self._live()]

    def open_studies(self) -> set[str]:
        """The study instance UIDs that live associations have brought."""
        return {uid for session in self._live() for uid in session.studies()}

    def drain(self, timeout_s: float) -> None:
        """Reject new associations, let live ones end, abort what is left, and stop listening."""
        self._draining = True
        deadline = time.monotonic() + timeout_s
        while self._live() and time.monotonic() < deadline:
            time.sleep(0.02)
        server = self._listening()
        left = self._live()
        if left:
            log.warning("associations_aborted_by_shutdown", count=len(left))
        server.shutdown()
        server.abort_all(ABORT_S)
        if self._thread is not None:
            self._thread.join()
        log.info("listening_ended", aborted=len(left))

    # --- called by the connections ----------------------------------------------------------------

    def open_session(self, host: str) -> Session:
        session = Session(host, self._clock())
        with self._lock:
            self._sessions[session.id] = session
        return session

    def receiver_for(self, session: Session) -> Receiver:
        """A receiver that notes the studies of an association before the sink has them."""

        def sink(record: InstanceRecord) -> None:
            session.touch(record.attributes.study_instance_uid)
            self._sink(record)

        return Receiver(
            self._store, sink, self._on_quarantined, self._clock, self._settings.min_free_bytes
        )

    def admit(self, session: Session) -> Rejection | None:
        """Decide on an association request; without a rejection its place is taken."""
        settings = self._settings
        if not settings.accept_any_peer and not admission.is_known(
            settings.peers, session.calling_ae, session.host
        ):
            return admission.CALLING_AE_UNKNOWN
        if settings.require_called_ae_title and session.called_ae != settings.ae_title.strip():
            return admission.CALLED_AE_UNKNOWN
        with self._lock:
            if self._draining:
                return admission.SHUTTING_DOWN
            taken = sum(other.accepted and not other.ended for other in self._sessions.values())
            if taken >= settings.max_associations:
                return admission.LIMIT_EXCEEDED
            session.accepted = True
        return None

    def close_session(self, session: Session, how: str) -> None:
        """An association is over; only the first call for a session counts."""
        if not session.end(how):
            return
        studies = session.studies()
        if session.accepted:
            info = session.info()
            log_line = session.log.info if how == "released" else session.log.warning
            log_line(f"association_{how}", instances=info.instances, refused=info.refused)
        try:
            if studies:
                self._on_released(studies)
        except Exception as error:
            session.log.error("on_released_fault", error=type(error).__name__, exc_info=True)
        finally:
            with self._lock:
                self._sessions.pop(session.id, None)

    def _live(self) -> list[Session]:
        with self._lock:
            return [session for session in self._sessions.values() if session.accepted]

    def _listening(self) -> _Server:
        if self._server is None:
            raise RuntimeError("the association server was not started")
        return self._server


class _Server(ThreadedAssociationServer):
    """pynetdicom's server with our connections in it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: AssociationServer, ae: AE, settings: DimseSettings) -> None:
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
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and any(a.dul.is_alive() for a in associations):
            time.sleep(0.01)
        for association in associations:
            connection = association.dul.socket
            if connection is not None and connection.socket is not None:
                connection._shutdown_socket()
            association.dul.kill_dul()


class _Connection(RequestHandler):
    """Wires one TCP connection: its session, its lane, its handlers."""

    server: _Server

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
            on_end=lambda: owner.close_session(session, "lost"),
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


def _negotiate(owner: AssociationServer, session: Session, association: Association) -> None:
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


def _application_entity(settings: DimseSettings) -> AE:
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


def _advice(settings: DimseSettings, error: OSError) -> str:
    where = f"cannot listen on {settings.host}:{settings.port}: "
    if error.errno == errno.EADDRINUSE:
        return where + "another program has the port; stop it, or choose another dimse.port"
    if error.errno == errno.EACCES:
        return where + "ports below 1024 need a privilege; choose dimse.port = 11112 or higher"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return where + 'this machine has no such address; set dimse.host, "0.0.0.0" for all'
    return where + str(error.strerror or error)
