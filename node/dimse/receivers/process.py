"""A receiver process: an association server of its own on the node's listening socket.

It writes instances to the store as the node itself would, and answers for them; the node then hears
of each over a link and enters it into the index. Limits that hold for all processes together, and
what is open, are asked of and told to the node.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog

from node.audit.journal import Journal
from node.audit.trail import NO_TRAIL
from node.clock import system_clock
from node.dimse.association.server import AssociationServer, Listening
from node.dimse.entity import Entity
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.receivers.link import Link, LinkLost
from node.dimse.services import offered
from node.dimse.services.event_reports import EventReport
from node.dimse.services.offered import Means
from node.dimse.session import AssociationInfo, Session
from node.dimse.wire import rejections
from node.dimse.wire.rejections import Rejection
from node.errors import NodeError
from storage.database import join_database
from storage.errors import DatabaseUnavailable, StorageError
from storage.files.archive import Archive
from storage.files.instances import InstanceStore
from storage.quarantine import Refused
from storage.records import InstanceRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger()

STATUS_S = 0.5
"""How often the node hears of counts."""
PLACE_S = 10.0
"""How long the node may take to decide on an association."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What a receiver process needs. ``name`` is that of its folders in the store."""

    name: str
    entity: Entity
    instances: Path
    quarantine: Path
    sync: bool
    database_url: str
    archive: Archive
    """What the node holds, to be read."""
    prepare: Callable[[str], None]
    """Called first, with the process's name: sets up its log."""
    folder: str = ""
    """Of its own in ``incoming``; its name where empty. One that follows a dead one has another:
    what that had acknowledged is indexed meanwhile."""
    audit: Path | None = None
    """Where its part of the audit trail goes."""


# --- what a receiver process tells ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """It accepts connections; or says why it cannot."""

    fault: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    record: InstanceRecord


@dataclass(frozen=True, slots=True)
class Quarantined:
    refused: Refused


@dataclass(frozen=True, slots=True)
class PlaceWanted:
    """A call: may this association be accepted? Answered with a Rejection or None."""

    session_id: str
    calling_ae: str
    host: str
    is_probe: bool


@dataclass(frozen=True, slots=True)
class Touched:
    """An association brings a study; said before the study's first instance."""

    session_id: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class Left:
    """An association is over."""

    session_id: str


@dataclass(frozen=True, slots=True)
class StatusReport:
    associations: tuple[AssociationInfo, ...]
    stored: int
    refused: int


@dataclass(frozen=True, slots=True)
class ReporterWanted:
    """A storage commitment request was taken: somebody has to look."""


# --- what it is told ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drain:
    timeout_s: float


@dataclass(frozen=True, slots=True)
class IndexState:
    """Whether the index can be written: while not, senders are asked to try again."""

    is_broken: bool


@dataclass(frozen=True, slots=True)
class ReportWanted:
    """A call: send this over an open association. Answered with a status or (fault, reason)."""

    association: str
    report: EventReport
    timeout_s: float


# --- the process ----------------------------------------------------------------------------------


def run(settings: ProcessSettings, connection: Connection, listening: Listening) -> None:
    """The whole life of the process: it ends when it was drained, or when the node is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the node decides, and drains
    settings.prepare(settings.name)
    _ReceiverProcess(settings, connection, listening).run()


class _ReceiverProcess:
    def __init__(
        self, settings: ProcessSettings, connection: Connection, listening: Listening
    ) -> None:
        self._settings = settings
        self._listening = listening
        self._link = Link(connection, self._handle, self._answer)
        self._drain_s: float | None = None
        self._told: StatusReport | None = None
        self._draining = threading.Event()
        self._is_broken = False

    def run(self) -> None:
        threading.Thread(target=self._serve_link, name="link", daemon=True).start()
        try:
            self._server = self._make_server()
            self._server.start()
        except (StorageError, NodeError, OSError) as error:
            self._link.send(Ready(f"{type(error).__name__}: {error}"))
            return
        gc.freeze()  # as in the node itself: what is there now stays
        self._link.send(Ready())
        while not self._draining.wait(STATUS_S):
            self._tell_status()
        self._server.drain(self._drain_s or 0.0)
        self._tell_status()

    def _make_server(self) -> AssociationServer:
        settings = self._settings
        store = InstanceStore(
            settings.instances, settings.quarantine, settings.sync, settings.folder or settings.name
        )
        store.lock()
        database = join_database(settings.database_url)
        means = Means(
            database, system_clock, settings.archive, settings.entity, self._wake_reporter
        )
        return AssociationServer(
            settings.entity,
            store,
            sink=self._store,
            on_quarantined=lambda refused: self._tell(Quarantined(refused)),
            services=offered.services(means),
            composites=offered.composites(means),
            listening=self._listening,
            overseer=self,
            trail=Journal(settings.audit) if settings.audit else NO_TRAIL,
        )

    def _serve_link(self) -> None:
        self._link.serve()
        os._exit(0 if self._draining.is_set() else 1)  # the node is gone: nobody indexes

    # --- the overseer of its server ---------------------------------------------------------------

    def take_place(self, session: Session) -> Rejection | None:
        wanted = PlaceWanted(session.id, session.calling_ae, session.host, session.is_probe)
        try:
            rejection: Rejection | None = self._link.call(wanted, PLACE_S)
        except LinkLost:
            with suppress(DatabaseUnavailable):
                self.left(session)  # should it be answered yet
            return rejections.LIMIT_EXCEEDED
        return rejection

    def touched(self, session: Session, study_instance_uid: str) -> None:
        self._tell(Touched(session.id, study_instance_uid))

    def left(self, session: Session) -> None:
        self._tell(Left(session.id))

    # --- telling ----------------------------------------------------------------------------------

    def _store(self, record: InstanceRecord) -> None:
        if self._is_broken:
            raise DatabaseUnavailable("the index cannot be written at the moment")
        self._tell(Stored(record))

    def _wake_reporter(self) -> None:
        self._tell(ReporterWanted())

    def _tell(self, message: Any) -> None:
        try:
            self._link.send(message)
        except LinkLost as error:
            raise DatabaseUnavailable("the node is gone") from error

    def _tell_status(self) -> None:
        stored, refused = self._server.counts()
        associations = tuple(self._server.associations())
        report = StatusReport(associations, stored, refused)
        if report == self._told:
            return
        try:
            self._link.send(report)
            self._told = report
        except LinkLost:
            self._draining.set()

    # --- being told -------------------------------------------------------------------------------

    def _handle(self, message: Any) -> None:
        if isinstance(message, Drain):
            self._drain_s = message.timeout_s
            self._draining.set()
        elif isinstance(message, IndexState):
            self._is_broken = message.is_broken

    def _answer(self, message: Any) -> Any:
        if not isinstance(message, ReportWanted):
            return None
        there = self._server.open_associations
        try:
            return there.report(message.association, message.report, message.timeout_s)
        except PeerUnavailable as error:
            return error.fault, error.reason
        except Exception as error:  # border: the node waits for an answer
            log.exception("report_fault")
            return PeerFault.ABORTED, type(error).__name__


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that several processes accept from: whoever is free takes the next connection.

    Raises
    ------
    OSError
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
        made.setblocking(False)  # who comes second to a connection must not wait for the next
    except BaseException:
        made.close()
        raise
    return made
