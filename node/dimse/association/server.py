"""The association server: Verification and Storage SCP (PS3.4 A and B).

It owns the port, the threads of the associations and their limits. What becomes of an instance
is decided in ``receive``; the data phase runs in ``lane``.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from node.audit.events import Refused, Subject
from node.audit.looks import REFUSED_AGAIN_S, Once
from node.audit.trail import NO_TRAIL, Trail
from node.clock import Clock, system_clock
from node.config.dimse import MIB
from node.dimse import library
from node.dimse.association import admission
from node.dimse.association.admission import Claim
from node.dimse.association.connections import Listener, application_entity
from node.dimse.association.identity import Users
from node.dimse.association.limits import provide_files
from node.dimse.entity import Entity
from node.dimse.errors import CannotListen, ListenerEnded
from node.dimse.rights import rights_of
from node.dimse.services.composite import Composite
from node.dimse.services.event_reports import OpenAssociations
from node.dimse.services.requests import Service
from node.dimse.session import AssociationInfo, Session
from node.dimse.tls import PeerCertificate, ServerTls, TlsFiles
from node.dimse.wire import rejections
from node.dimse.wire.negotiation import USER_NAME_AND_PASSCODE
from node.dimse.wire.rejections import Rejection
from node.receive.reception import QuarantineSink, Receiver, RecordSink
from storage.errors import DatabaseUnavailable
from storage.files.port import Instances
from storage.records import InstanceRecord

__all__ = ["AssociationInfo", "AssociationServer", "Entity"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Overseer(Protocol):
    """Knows the associations of several servers together."""

    def take_place(self, session: Session) -> Rejection | None:
        """Whether one more may be accepted."""

    def touched(self, session: Session, study_instance_uid: str) -> None:
        """An association brings the first instance of a study; it is not stored before this."""

    def left(self, session: Session) -> None:
        """An association that had a place is over."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Sockets that listen already, and belong to somebody else."""

    plain: socket.socket
    secure: socket.socket | None = None


ABORT_S = 2.0
"""How long an aborted association may take to close before its socket is shut."""


class AssociationServer:
    """Listens, negotiates, receives. All callbacks are called from association threads."""

    def __init__(
        self,
        entity: Entity,
        store: Instances,
        sink: RecordSink,
        on_quarantined: QuarantineSink | None = None,
        clock: Clock = system_clock,
        services: Sequence[Service] = (),
        composites: Sequence[Composite] = (),
        listening: Listening | None = None,
        overseer: Overseer | None = None,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self.trail = trail
        self._refusal_is_new = Once(REFUSED_AGAIN_S).is_new
        self.services, self.composites = services, composites
        self._given = listening
        self._overseer = overseer
        self.open_associations = OpenAssociations()
        self._entity, self._settings = entity, entity.dimse
        self._title = entity.ae_title.strip()
        self._store = store
        self._sink = sink
        self._on_quarantined = on_quarantined or (lambda refused: None)
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._stored = self._refused = 0  # by associations that are over
        self._draining = False
        self._server: Listener | None = None
        self._secure: Listener | None = None
        self._threads: list[threading.Thread] = []
        tls, identity = self._settings.tls, self._settings.identity
        self._tls = ServerTls(TlsFiles.shown_by(tls)) if tls else None
        self._users = Users(identity.users_file) if identity else None
        self._requires_user = identity is not None and identity.required

    @property
    def port(self) -> int:
        """The port in use; the real one where the settings say 0."""
        return int(self._listening().server_address[1])

    @property
    def tls_port(self) -> int:
        """The port in use for TLS; 0 where there is none."""
        return int(self._secure.server_address[1]) if self._secure else 0

    def start(self) -> None:
        """Listen.

        Raises
        ------
        CannotListen
            The address or port cannot be had, or too few files; the message says what to do.
        """
        library.prepare()
        settings = self._settings
        provide_files(settings.max_associations)
        given = self._given
        if settings.tls is not None:
            self._secure = self._listen(
                settings.tls_host,
                settings.tls.port,
                tls=self._tls,
                given=given.secure if given else None,
            )
        try:
            self._server = self._listen(
                settings.plain_host,
                settings.port,
                probe_only=settings.is_tls_only,
                given=given.plain if given else None,
            )
        except CannotListen:
            if self._secure is not None:
                self._secure.server_close()
            raise
        for listener in self._listeners():
            thread = threading.Thread(
                target=listener.serve_forever, name="dimse-listener", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        log.info(
            "listening",
            ae_title=self._entity.ae_title,
            host=settings.host,
            port=self.port,
            tls_port=self.tls_port,
        )

    def prove(self) -> None:
        """Raise RuntimeError when a listener's thread has ended."""
        open_to_all = all(listener.entrance.is_alive() for listener in self._listeners())
        if not (open_to_all and all(thread.is_alive() for thread in self._threads)):
            raise ListenerEnded("a listener has ended; restart the node")

    def associations(self) -> list[AssociationInfo]:
        """The live associations, oldest first."""
        return [session.info() for session in self._live()]

    def counts(self) -> tuple[int, int]:
        """How many instances were stored and refused since the start."""
        with self._lock:
            live = [session.info() for session in self._sessions.values()]
            stored = self._stored + sum(one.instances for one in live)
            return stored, self._refused + sum(one.refused for one in live)

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
        left = self._live()
        if left:
            log.warning("associations_aborted_by_shutdown", count=len(left))
        for listener in self._listeners():
            listener.shutdown()
            listener.abort_all(ABORT_S)
        for thread in self._threads:
            thread.join()
        log.info("listening_ended", aborted=len(left))

    # --- called by the connections ----------------------------------------------------------------

    def open_session(self, host: str, certificate: PeerCertificate | None = None) -> Session:
        session = Session(host, self._clock(), certificate, self.trail)
        with self._lock:
            self._sessions[session.id] = session
        return session

    def receiver_for(self, session: Session) -> Receiver:
        """A receiver that notes the studies of an association before the sink has them."""

        def sink(record: InstanceRecord) -> None:
            found = record.attributes
            study_instance_uid = found.study_instance_uid
            if session.touch(study_instance_uid):
                session.tell_what_it_begins(Subject(study_instance_uid, *_whose(record)))
                if self._overseer is not None:
                    self._overseer.touched(session, study_instance_uid)
            self._sink(record)
            session.brought.add(study_instance_uid, found.sop_class_uid, *_whose(record))

        return Receiver(
            self._store,
            sink,
            self._on_quarantined,
            self._clock,
            self._entity.min_free_mb * MIB,
            self._settings.max_instance_bytes,
        )

    def admit(self, session: Session, claim: Claim, probe_only: bool) -> Rejection | None:
        """Decide on an association request; without a rejection its place is taken."""
        probe = self._entity.probe_ae_title
        session.is_probe = bool(probe) and session.calling_ae == probe
        if not session.is_probe:
            if probe_only:
                return rejections.CALLING_AE_UNKNOWN
            rejection = self._recognise(session, claim)
            if rejection is not None:
                return rejection
        with self._lock:
            rejection = self._take_place(session)
        if rejection is None and self._overseer is not None:
            rejection = self._overseer.take_place(session)
            session.accepted = rejection is None
        return rejection

    def tell_refusal(self, session: Session, rejection: Rejection) -> None:
        """Who is not let in is told; who comes at a bad time is not."""
        key = (session.calling_ae, session.host, rejection)
        if rejection.result == rejections.REJECTED_PERMANENT and self._refusal_is_new(key):
            refused = Refused(session.peer, "association", rejection.reason, is_node=True)
            self.trail.record(refused)

    def _recognise(self, session: Session, claim: Claim) -> Rejection | None:
        settings = self._settings
        found = admission.recognise(
            self._entity.peers,
            session.calling_ae,
            session.host,
            session.certificate,
            settings.accept_any_peer,
        )
        if found.rejection is not None:
            return found.rejection
        session.rights = rights_of(found.peer, settings)
        if settings.require_called_ae_title and session.called_ae != self._title:
            return rejections.CALLED_AE_UNKNOWN
        if claim.contexts > settings.max_contexts:
            return rejections.TOO_MANY_CONTEXTS
        return self._identify(session, claim)

    def _identify(self, session: Session, claim: Claim) -> Rejection | None:
        if self._users is None:
            return None
        if claim.identity is None or claim.identity.kind != USER_NAME_AND_PASSCODE:
            return rejections.USER_UNKNOWN if self._requires_user else None
        session.is_verified = self._users.knows(claim.identity)
        return None if session.is_verified else rejections.USER_UNKNOWN

    def _take_place(self, session: Session) -> Rejection | None:
        if self._draining:
            return rejections.SHUTTING_DOWN
        taken = [
            other.host
            for other in self._sessions.values()
            if other.accepted and not other.ended and not other.is_probe
        ]
        rejection = None
        if not session.is_probe:
            settings = self._settings
            rejection = admission.within_limits(
                taken, session.host, settings.max_associations, settings.max_associations_per_peer
            )
        session.accepted = rejection is None
        return rejection

    def close_session(self, session: Session, how: str) -> None:
        """An association is over; only the first call for a session counts."""
        if not session.end(how):
            return
        self.open_associations.remove(session.id)
        if session.accepted:
            session.tell_what_it_brought()
            info = session.info()
            log_line = session.log_of_course if how == "released" else session.log.warning
            log_line(f"association_{how}", instances=info.instances, refused=info.refused)
        try:
            self._leave(session)
        finally:
            with self._lock:
                self._sessions.pop(session.id, None)
                total = session.info()
                self._stored += total.instances
                self._refused += total.refused

    def _leave(self, session: Session) -> None:
        if self._overseer is None or not session.accepted:
            return
        try:
            self._overseer.left(session)
        except DatabaseUnavailable:
            session.log.warning("end_not_told", reason="the node is gone")

    def _live(self) -> list[Session]:
        with self._lock:
            return [session for session in self._sessions.values() if session.accepted]

    def _listen(
        self,
        host: str,
        port: int,
        tls: ServerTls | None = None,
        probe_only: bool = False,
        given: socket.socket | None = None,
    ) -> Listener:
        ae = application_entity(self._entity)
        try:
            return Listener(self, ae, self._entity, (host, port), tls, probe_only, given)
        except OSError as error:
            raise CannotListen(advice(host, port, error)) from error

    def _listeners(self) -> list[Listener]:
        return [one for one in (self._server, self._secure) if one is not None]

    def _listening(self) -> Listener:
        if self._server is None:
            raise RuntimeError("the association server was not started")
        return self._server


def _whose(record: InstanceRecord) -> tuple[str, str]:
    """Patient ID and name, as they came."""
    header = record.attributes.study
    return str(header.get("PatientID", "") or ""), str(header.get("PatientName", "") or "")


def advice(host: str, port: int, error: OSError) -> str:
    """What to do about an address that cannot be listened on."""
    where = f"cannot listen on {host}:{port}: "
    if error.errno == errno.EADDRINUSE:
        return where + "another program has the port; stop it, or choose another dimse.port"
    if error.errno == errno.EACCES:
        return where + "ports below 1024 need a privilege; choose dimse.port = 11112 or higher"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return where + 'this machine has no such address; set dimse.host, "0.0.0.0" for all'
    return where + str(error.strerror or error)
