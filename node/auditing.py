"""From the settings to the audit trail's parts: the journal, the spool, and the repositories."""

from __future__ import annotations

import functools
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from node.audit import handing_over
from node.audit.events import Actor, AuditEvent, Started, Stopped, Transferred
from node.audit.handing_over import HandingOver
from node.audit.journal import Journal
from node.audit.message import Source
from node.audit.sinks.file import FileSink
from node.audit.sinks.port import Sink
from node.audit.sinks.tls import TlsSink
from node.audit.sinks.udp import UdpSink
from node.audit.spooler import Spool, Spooler, SpoolFull
from node.clock import Clock
from node.config.audit import AuditSettings, SyslogSettings
from node.config.dimse import MIB
from node.config.settings import Settings
from node.dimse.tls import TlsFiles, client_context
from node.loop import Loop
from node.observe.durations import Timings
from node.observe.health import Health
from storage.database import Database
from storage.errors import DatabaseUnavailable

SPOOL_S = 0.5
"""How long events lie in a journal."""
HAND_OVER_S = 2.0
BATCH_S = 120.0
"""How long a repository may take for a batch."""


def sinks(audit: AuditSettings) -> list[Sink]:
    """Where the trail is handed over to, beside the database.

    Raises
    ------
    SettingsError
        A file for TLS is missing or no PEM file.
    """
    found: list[Sink] = []
    if audit.file is not None:
        found.append(FileSink(audit.file.path, audit.file.max_mb * MIB, audit.file.keep))
    return found + [_syslog(one) for one in audit.syslog]


def _syslog(one: SyslogSettings) -> Sink:
    if one.transport == "udp":
        return UdpSink(one.name, one.host, one.port)
    context = functools.partial(client_context, files_of(one))
    context()
    return TlsSink(one.name, one.host, one.port, one.tls_name or one.host, context)


def files_of(one: SyslogSettings) -> TlsFiles:
    return TlsFiles(one.certificate, one.key, one.ca, one.key_password_file)


class Auditing:
    """All of it, for one node."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        health: Health,
        clock: Clock,
        timings: Timings,
    ) -> None:
        self._timings = timings
        audit = settings.audit
        found = sinks(audit)
        self._database = database
        self._names = tuple(one.name for one in found)
        self.trail = Journal(settings.audit_dir, clock)
        node = Actor(settings.node.ae_title, socket.gethostname(), is_ae=True)
        keep = timedelta(days=audit.keep_days) if audit.keep_days else None
        self._spooler = Spooler(
            database,
            Spool(settings.audit_dir, self._names, audit.max_waiting, keep),
            node,
            Source(settings.node.ae_title, audit.site),
            clock,
            self._wake,
            self._time,
        )
        self._handing: list[tuple[HandingOver, Loop]] = []
        for number, sink in enumerate(found, 1):
            heartbeat = health.part(f"audit to {sink.name}", works_s=BATCH_S)
            made = HandingOver(database, sink, number, clock, heartbeat)
            self._handing.append((made, Loop(made.step, heartbeat, HAND_OVER_S)))
        self._spooling = Loop(self._spooler.step, health.part("audit trail"), SPOOL_S)

    @property
    def loops(self) -> Sequence[Loop]:
        return (self._spooling, *(loop for _, loop in self._handing))

    def start(self) -> None:
        """The node is about to listen."""
        with self._database.write() as tx:
            handing_over.begin(tx, self._names)
        self.trail.record(Started())

    def stop(self) -> None:
        """The node has ended, and the loops: what it told is in the database, and where somebody
        takes it, there."""
        self.trail.record(Stopped())
        self.trail.close()
        with suppress(DatabaseUnavailable, SpoolFull):  # else the next start finds the journal
            self._spooler.drain()
            for handing, _ in self._handing:
                while not handing.is_away and handing.step():
                    pass

    def _time(self, event: AuditEvent) -> None:
        """Retrieves are timed where they are served, which may be another process."""
        if isinstance(event, Transferred) and event.seconds:
            operation = "C-MOVE" if event.requestor else "C-GET"
            self._timings.retrieves.observe(operation, event.seconds)

    def _wake(self) -> None:
        for _, loop in self._handing:
            loop.wake()
