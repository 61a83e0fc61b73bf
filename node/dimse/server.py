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

import structlog

from node.clock import Clock, system_clock
from node.dimse import admission, library
from node.dimse.admission import Peer, Rejection
from node.dimse.connections import DimseSettings, Listener, application_entity
from node.dimse.errors import CannotListen
from node.dimse.receive import QuarantineSink, Receiver, RecordSink
from node.dimse.session import AssociationInfo, Session
from storage.instances import InstanceStore
from storage.records import InstanceRecord

__all__ = ["AssociationInfo", "AssociationServer", "DimseSettings", "Peer"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()

StudiesSink = Callable[[frozenset[str]], None]
"""Takes the study instance UIDs that an association brought, when it is over."""

ABORT_S = 2.0
"""How long an aborted association may take to close before its socket is shut."""


class AssociationServer:
    """Listens, negotiates, receives. All callbacks are called from association threads."""

    def __init__(
        self,
        settings: DimseSettings,
        store: InstanceStore,
        sink: RecordSink,
        on_released: StudiesSink | None = None,
        on_quarantined: QuarantineSink | None = None,
        clock: Clock = system_clock,
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
        self._server: Listener | None = None
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
            self._server = Listener(self, application_entity(settings), settings)
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
        if self._server is None:
            return  # it never listened
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

    def _listening(self) -> Listener:
        if self._server is None:
            raise RuntimeError("the association server was not started")
        return self._server


def _advice(settings: DimseSettings, error: OSError) -> str:
    where = f"cannot listen on {settings.host}:{settings.port}: "
    if error.errno == errno.EADDRINUSE:
        return where + "another program has the port; stop it, or choose another dimse.port"
    if error.errno == errno.EACCES:
        return where + "ports below 1024 need a privilege; choose dimse.port = 11112 or higher"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return where + 'this machine has no such address; set dimse.host, "0.0.0.0" for all'
    return where + str(error.strerror or error)
