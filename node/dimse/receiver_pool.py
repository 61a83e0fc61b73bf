"""Several receiver processes behind one port, seen by the node as one association server."""

from __future__ import annotations

import multiprocessing
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from node.dimse import admission
from node.dimse.admission import Rejection
from node.dimse.connections import DimseSettings
from node.dimse.errors import CannotListen, ListenerEnded, PeerFault, PeerUnavailable
from node.dimse.event_reports import EventReport
from node.dimse.limits import provide_files
from node.dimse.link import Link, LinkLost
from node.dimse.places import Places
from node.dimse.receive import QuarantineSink, RecordSink
from node.dimse.receiver_process import (
    Drain,
    IndexState,
    Left,
    PlaceWanted,
    ProcessSettings,
    Quarantined,
    Ready,
    ReporterWanted,
    ReportWanted,
    StatusReport,
    Stored,
    Touched,
    listening_socket,
    run,
)
from node.dimse.server import Listening, advice
from node.dimse.session import AssociationInfo
from storage.errors import DatabaseUnavailable, StoreUnavailable
from storage.records import InstanceRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger()

START_S = 60.0
INBOX = 2000
"""Messages of one receiver that may wait; then it has to."""
RETRY_S = 0.5
RESTART_S = 1.0
SPARE_S = 10.0
"""Beyond the time for draining and for an answer: until the other process counts as hung."""

_spawning = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the node does with what its receiver processes tell; called from their threads."""

    store: RecordSink
    quarantined: QuarantineSink
    wake_reporter: Callable[[], None]
    recover: Callable[[str], object]
    """Indexes what a receiver of this name had acknowledged when it died."""
    fault: Callable[[str], None]


class ReceiverPool:
    """``count`` receiver processes. Has what ``AssociationServer`` has of the node's interest."""

    def __init__(
        self,
        count: int,
        make_settings: Callable[[str], ProcessSettings],
        dimse: DimseSettings,
        callbacks: Callbacks,
    ) -> None:
        self.open_associations = PooledAssociations(self)
        self._dimse = dimse
        self._callbacks = callbacks
        self.places = Places(dimse.max_associations, dimse.max_associations_per_peer)
        self._draining = False
        self._listening: Listening | None = None
        self._receivers = [
            _Receiver(self, make_settings(f"receiver{number}")) for number in range(1, count + 1)
        ]

    @property
    def port(self) -> int:
        """The port in use; the real one where the settings say 0."""
        return int(self.listening.plain.getsockname()[1])

    @property
    def tls_port(self) -> int:
        """The port in use for TLS; 0 where there is none."""
        secure = self.listening.secure
        return int(secure.getsockname()[1]) if secure else 0

    @property
    def listening(self) -> Listening:
        if self._listening is None:
            raise RuntimeError("the receivers were not started")
        return self._listening

    def start(self) -> None:
        """Listen.

        Raises
        ------
        CannotListen
            The address or port cannot be had, too few files, or a process does not start.
        """
        provide_files(self._dimse.max_associations)  # handed down to the processes
        tls = self._dimse.tls
        host = "127.0.0.1" if tls and tls.only else self._dimse.host
        plain = _listen(host, self._dimse.port)
        self._listening = Listening(plain, _listen(tls.host, tls.port) if tls else None)
        for one in self._receivers:
            one.start()
        for one in self._receivers:
            one.wait_until_ready()
        log.info("receivers_listen", processes=len(self._receivers), port=self.port)

    def prove(self) -> None:
        """Raise ListenerEnded when a receiver process is not there."""
        gone = [one.name for one in self._receivers if not one.is_alive()]
        if gone:
            raise ListenerEnded(f"a receiver process has ended: {', '.join(gone)}")

    def associations(self) -> list[AssociationInfo]:
        """The live associations, oldest first; their counts are as of half a second ago."""
        every = [info for one in self._receivers for info in one.status.associations]
        return sorted(every, key=lambda info: info.since)

    def counts(self) -> tuple[int, int]:
        """How many instances were stored and refused since the start."""
        counts = [one.counts() for one in self._receivers]
        return sum(stored for stored, _ in counts), sum(refused for _, refused in counts)

    def open_studies(self) -> set[str]:
        """The study instance UIDs that live associations have brought."""
        return self.places.studies()

    def drain(self, timeout_s: float) -> None:
        """Reject new associations, let live ones end, abort what is left, and stop listening."""
        self._draining = True
        for one in self._receivers:
            one.drain(timeout_s)
        deadline = time.monotonic() + timeout_s + SPARE_S
        for one in self._receivers:
            one.join(max(deadline - time.monotonic(), 0.1))
        if self._listening is not None:
            self._listening.plain.close()
            if self._listening.secure is not None:
                self._listening.secure.close()

    # --- for the receivers ------------------------------------------------------------------------

    @property
    def is_draining(self) -> bool:
        return self._draining

    @property
    def callbacks(self) -> Callbacks:
        return self._callbacks

    def place(self, receiver: str, wanted: PlaceWanted) -> Rejection | None:
        """Decide on an association of a receiver."""
        return admission.SHUTTING_DOWN if self._draining else self.places.take(receiver, wanted)

    def receiver_of(self, session_id: str) -> _Receiver | None:
        name = self.places.receiver_of(session_id)
        return next((one for one in self._receivers if one.name == name), None)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listening_socket(host, port)
    except OSError as error:
        raise CannotListen(advice(host, port, error)) from error


class PooledAssociations:
    """The open associations of all processes, for reports over them."""

    def __init__(self, pool: ReceiverPool) -> None:
        self._pool = pool

    def of_peer(self, calling_ae: str, host: str) -> list[str]:
        """The names of a peer's associations, newest first."""
        return self._pool.places.of_peer(calling_ae, host)

    def is_open(self, name: str) -> bool:
        return bool(self._pool.places.receiver_of(name))

    def report(self, name: str, report: EventReport, timeout_s: float) -> int:
        """Send a report; the status that the peer answers.

        Raises
        ------
        PeerUnavailable
        """
        receiver = self._pool.receiver_of(name)
        if receiver is None:
            raise PeerUnavailable(name, PeerFault.ABORTED, "the association is over")
        try:
            answer = receiver.call(ReportWanted(name, report, timeout_s), timeout_s + SPARE_S)
        except LinkLost as error:
            raise PeerUnavailable(name, PeerFault.ABORTED, "its receiver has ended") from error
        if isinstance(answer, int):
            return answer
        fault, reason = answer
        raise PeerUnavailable(name, fault, reason)


_NOTHING = StatusReport((), 0, 0)


class _Receiver:
    """One process and the thread that listens to it; started again when it dies."""

    def __init__(self, pool: ReceiverPool, settings: ProcessSettings) -> None:
        self.name = settings.name
        self.status = _NOTHING
        self._before = (0, 0)  # counted by processes that ended
        self._pool = pool
        self._settings = settings
        self._ready: Ready | None = None
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._process: Any = None
        self._link: Link | None = None
        self._inbox: queue.Queue[Any] = queue.Queue(INBOX)

    def start(self) -> None:
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Raise CannotListen when the process does not come to receive."""
        self._is_ready.wait(START_S)
        if self._ready is None or self._ready.fault:
            why = self._ready.fault if self._ready else "it did not start in time"
            raise CannotListen(f"{self.name}: {why}; see its log")

    def is_alive(self) -> bool:
        return self._process is not None and bool(self._process.is_alive())

    def counts(self) -> tuple[int, int]:
        before, status = self._before, self.status
        return before[0] + status.stored, before[1] + status.refused

    def call(self, message: Any, timeout_s: float) -> Any:
        """Raises LinkLost."""
        if self._link is None:
            raise LinkLost("the receiver does not run")
        return self._link.call(message, timeout_s)

    def drain(self, timeout_s: float) -> None:
        self._tell(Drain(timeout_s))

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the process; one that hangs is killed."""
        self._thread.join(timeout_s)
        if self._thread.is_alive() and self._process is not None:
            log.error("receiver_killed", receiver=self.name, reason="it did not end in time")
            self._process.kill()
            self._thread.join(SPARE_S)

    def _tell(self, message: Any) -> None:
        try:
            if self._link is not None:
                self._link.send(message)
        except LinkLost:
            pass  # its thread notices

    # --- the thread -------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._pool.is_draining:
            self._live()
            if self._pool.is_draining or self._ready is None or self._ready.fault:
                self._is_ready.set()
                return
            log.error("receiver_ended", receiver=self.name, exit_code=self._process.exitcode)
            self._pool.callbacks.fault(f"{self.name} has ended and is started again")
            self._recover()
            self._pool.places.leave_all(self.name)  # not before: its studies are not whole yet
            time.sleep(RESTART_S)

    def _live(self) -> None:
        """One process, from its start to its end."""
        ours, theirs = _spawning.Pipe()
        arguments = (self._settings, theirs, self._pool.listening)
        self._process = _spawning.Process(target=run, args=arguments, name=self.name, daemon=True)
        self._process.start()
        theirs.close()
        self._link = Link(ours, self._inbox.put, self._answer)
        worker = threading.Thread(target=self._work, name=f"{self.name}-messages", daemon=True)
        worker.start()
        if self._pool.is_draining:
            self.drain(0.0)  # it was said to the process before this one
        self._link.serve()  # until the process is gone, or has said its last word
        self._inbox.put(None)
        worker.join()
        self._process.join(SPARE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._link.close()
        self._before, self.status = self.counts(), _NOTHING

    def _recover(self) -> None:
        """What it had acknowledged and not yet passed on is in the store."""
        while not self._pool.is_draining:
            try:
                self._pool.callbacks.recover(self.name)
            except (DatabaseUnavailable, StoreUnavailable) as error:
                log.error("receiver_not_recovered", receiver=self.name, reason=str(error))
                time.sleep(RETRY_S)
            else:
                return

    def _work(self) -> None:
        """Take the messages in their order. Calls do not wait for it: the index may be away."""
        while (message := self._inbox.get()) is not None:
            try:
                self._take(message)
            except Exception as error:  # border: without this thread nothing is indexed
                kind = type(message).__name__
                log.exception("receiver_message_fault", receiver=self.name, message=kind)
                self._pool.callbacks.fault(f"{self.name}: {kind}: {type(error).__name__}")

    def _take(self, message: Any) -> None:
        callbacks = self._pool.callbacks
        if isinstance(message, Stored):
            self._store(message.record)
        elif isinstance(message, Touched):
            self._pool.places.touch(message.session_id, message.study_instance_uid)
        elif isinstance(message, Left):
            self._pool.places.leave(message.session_id)
        elif isinstance(message, StatusReport):
            self.status = message
        elif isinstance(message, ReporterWanted):
            callbacks.wake_reporter()
        elif isinstance(message, Ready):
            self._ready = message
            self._is_ready.set()
        elif isinstance(message, Quarantined):
            try:
                callbacks.quarantined(message.refused)
            except DatabaseUnavailable:
                log.error("quarantine_not_recorded", key=message.refused.key)

    def _store(self, record: InstanceRecord) -> None:
        """Hand an instance to the index. It is acknowledged, so there is no refusing it here."""
        was_broken = False
        while True:
            try:
                self._pool.callbacks.store(record)
                break
            except DatabaseUnavailable:
                if self._pool.is_draining:
                    return  # found at the next start
                if not was_broken:
                    self._tell(IndexState(is_broken=True))
                was_broken = True
                time.sleep(RETRY_S)
        if was_broken:
            self._tell(IndexState(is_broken=False))

    def _answer(self, message: Any) -> Any:
        if isinstance(message, PlaceWanted):
            return self._pool.place(self.name, message)
        return None
