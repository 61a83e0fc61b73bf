"""Several receiver processes behind one port, seen by the node as one association server."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator

import structlog

from node.dimse.association.limits import provide_files
from node.dimse.association.server import Listening, advice
from node.dimse.entity import Entity
from node.dimse.errors import CannotListen, ListenerEnded, PeerFault, PeerUnavailable
from node.dimse.receivers.life import Callbacks, ReceiverLife, Surroundings
from node.dimse.receivers.link import LinkLost
from node.dimse.receivers.places import Places
from node.dimse.receivers.process import (
    ProcessSettings,
    ReportWanted,
    StatusReport,
    listening_socket,
)
from node.dimse.services.event_reports import EventReport
from node.dimse.session import AssociationInfo

__all__ = ["Callbacks", "ReceiverPool"]

log: structlog.stdlib.BoundLogger = structlog.get_logger()

START_S = 60.0
RESTART_S = 1.0
"""Until one that ended soon after its start is started again; twice as long each time."""
LONGEST_RESTART_S = 10.0
STEADY_S = 10.0
"""One that ran so long is started again at once."""
SPARE_S = 10.0
"""Beyond the time for draining and for an answer: until the other process counts as hung."""

_NOTHING = StatusReport((), 0, 0)


class ReceiverPool:
    """``count`` receiver processes. Has what ``AssociationServer`` has of the node's interest."""

    def __init__(
        self,
        count: int,
        make_settings: Callable[[str], ProcessSettings],
        entity: Entity,
        callbacks: Callbacks,
    ) -> None:
        self.open_associations = PooledAssociations(self)
        self._dimse = dimse = entity.dimse
        self.places = Places(dimse.max_associations, dimse.max_associations_per_peer)
        self.around = Surroundings(callbacks, self.places)
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
        plain = _listen(self._dimse.plain_host, self._dimse.port)
        self._listening = Listening(plain, _listen(self._dimse.tls_host, tls.port) if tls else None)
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
        self.around.draining.set()
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
        return self.around.draining.is_set()

    def receiver_of(self, session_id: str) -> ReceiverLife | None:
        folder = self.places.receiver_of(session_id)
        lives = [one.life for one in self._receivers if one.life is not None]
        return next((life for life in lives if life.folder == folder), None)


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


class _Receiver:
    """The processes of one name, one after the other, and the thread that starts them."""

    def __init__(self, pool: ReceiverPool, settings: ProcessSettings) -> None:
        self.name = settings.name
        self.life: ReceiverLife | None = None
        self._before = (0, 0)  # counted by processes that ended
        self._pool = pool
        self._settings = settings
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Raise CannotListen when the process does not come to receive."""
        self._has_begun.wait(START_S)
        life = self.life
        if life is not None:
            life.has_spoken.wait(START_S)
        if life is None or not life.is_serving:
            why = life.why() if life and life.has_spoken.is_set() else "it did not start in time"
            raise CannotListen(f"{self.name}: {why}; see its log")

    def is_alive(self) -> bool:
        """Whether it receives."""
        life = self.life
        return life is not None and life.is_serving and bool(life.process.is_alive())

    def counts(self) -> tuple[int, int]:
        before, status = self._before, self.status
        return before[0] + status.stored, before[1] + status.refused

    @property
    def status(self) -> StatusReport:
        return self.life.status if self.life else _NOTHING

    def drain(self, timeout_s: float) -> None:
        if self.life is not None:
            self.life.drain(timeout_s)

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the process; one that hangs is killed."""
        self._thread.join(timeout_s)
        if self._thread.is_alive() and self.life is not None:
            log.error("receiver_killed", receiver=self.name, reason="it did not end in time")
            self.life.process.kill()
            self._thread.join(SPARE_S)

    # --- the thread -------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Start the process, and again whenever it ends. Only the first start may fail for good."""
        around = self._pool.around
        has_served, pause_s = False, 0.0
        for folder in self._folders():
            began = time.monotonic()
            why, is_serving = self._live_and_say_why(folder)
            has_served = has_served or is_serving
            if around.draining.is_set() or not has_served:
                self._has_begun.set()
                return
            log.error("receiver_ended", receiver=self.name, reason=why)
            around.callbacks.fault(f"{self.name} has ended and is started again ({why})")
            is_steady = is_serving and time.monotonic() - began >= STEADY_S
            around.draining.wait(0.0 if is_steady else pause_s)
            pause_s = 0.0 if is_steady else min(max(2 * pause_s, RESTART_S), LONGEST_RESTART_S)

    def _live_and_say_why(self, folder: str) -> tuple[str, bool]:
        """A border: whatever ends a process, this thread starts the next. And whether it served."""
        try:
            life = self._live(folder)
            if not self._pool.is_draining:
                life.recover()
        except Exception as error:  # no process or thread to be had
            log.exception("receiver_not_started", receiver=self.name)
            return type(error).__name__, False
        return life.why(), life.is_serving

    def _folders(self) -> Iterator[str]:
        """Names that no process before has: what that had acknowledged is indexed meanwhile."""
        yield self.name
        yield from (f"{self.name}-{number}" for number in itertools.count(2))

    def _live(self, folder: str) -> ReceiverLife:
        """One process, from its start to its end."""
        life = ReceiverLife(self._settings, folder, self._pool.around, self._pool.listening)
        self.life = life
        self._has_begun.set()
        if self._pool.is_draining:
            life.drain(0.0)  # it was said to the process before this one
        life.serve()
        self._before, life.status = self.counts(), _NOTHING
        return life
