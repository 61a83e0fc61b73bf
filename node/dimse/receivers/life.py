"""One receiver process from its start to the day when all that it acknowledged is in the index."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from node.dimse.association.server import Listening
from node.dimse.receivers.link import Link, LinkLost
from node.dimse.receivers.places import Places
from node.dimse.receivers.process import (
    Drain,
    IndexState,
    Left,
    PlaceWanted,
    ProcessSettings,
    Quarantined,
    Ready,
    ReporterWanted,
    StatusReport,
    Stored,
    Touched,
    run,
)
from node.dimse.wire import rejections
from node.dimse.wire.rejections import Rejection
from node.receive.reception import QuarantineSink, RecordSink
from storage.errors import DatabaseUnavailable, StoreUnavailable
from storage.records import InstanceRecord

log: structlog.stdlib.BoundLogger = structlog.get_logger()

INBOX = 2000
"""Messages of one receiver that may wait; then it has to."""
RETRY_S = 0.5
END_S = 10.0
"""How long a process may take to end after its last word."""

_spawning = multiprocessing.get_context("spawn")
_NOTHING = StatusReport((), 0, 0)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the node does with what its receiver processes tell; called from their threads."""

    store: RecordSink
    quarantined: QuarantineSink
    wake_reporter: Callable[[], None]
    recover: Callable[[str], object]
    """Indexes what a receiver of this name had acknowledged when it died."""
    fault: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the processes of a pool share."""

    callbacks: Callbacks
    places: Places
    draining: threading.Event = field(default_factory=threading.Event)


class ReceiverLife:
    """Its process, and the thread that takes its messages in their order.

    The thread outlives the process: the index may be away, and nobody waits for it to be back.
    """

    def __init__(
        self, settings: ProcessSettings, folder: str, around: Surroundings, listening: Listening
    ) -> None:
        """``folder``: of its own in the store's ``incoming``, and its name among the places."""
        self.folder = folder
        self.ready: Ready | None = None
        self.has_spoken = threading.Event()
        """It is ready, or will never be."""
        self.status = _NOTHING
        self._name = settings.name
        self._around = around
        self._inbox: queue.Queue[Any] = queue.Queue(INBOX)
        ours, theirs = _spawning.Pipe()
        self._link = Link(ours, self._inbox.put, self._answer)
        arguments = (replace(settings, folder=folder), theirs, listening)
        self.process = _spawning.Process(target=run, args=arguments, name=self._name, daemon=True)
        self.process.start()
        theirs.close()
        self._messages = threading.Thread(
            target=self._take_all, name=f"{folder}-messages", daemon=True
        )
        self._messages.start()

    @property
    def is_serving(self) -> bool:
        """Whether it came to receive."""
        return self.ready is not None and not self.ready.fault

    def serve(self) -> None:
        """Listen to it until it is gone, or has said its last word."""
        self._link.serve()
        self._inbox.put(None)
        self.process.join(END_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if self._around.draining.is_set():
            self._messages.join()
        self._link.close()
        self.has_spoken.set()

    def call(self, message: Any, timeout_s: float) -> Any:
        """Raises LinkLost."""
        return self._link.call(message, timeout_s)

    def drain(self, timeout_s: float) -> None:
        self._tell(Drain(timeout_s))

    def why(self) -> str:
        """Why its process is there no more."""
        if self.ready is None:
            return "it ended before it could receive"
        return self.ready.fault or f"exit code {self.process.exitcode}"

    def recover(self) -> None:
        """In a thread of its own: see to what it had acknowledged and not passed on."""
        self._around.places.end_all(self.folder)
        name = f"{self.folder}-recovery"
        threading.Thread(target=self._recover, name=name, daemon=True).start()

    # --- after its end ----------------------------------------------------------------------------

    def _recover(self) -> None:
        self._messages.join()  # what it had passed on goes first
        is_said = False
        while not self._around.draining.is_set():  # else it is found at the next start
            try:
                self._around.callbacks.recover(self.folder)
            except (DatabaseUnavailable, StoreUnavailable) as error:
                if not is_said:
                    log.error("receiver_not_recovered", receiver=self._name, reason=str(error))
                is_said = True
                self._around.draining.wait(RETRY_S)
            except Exception as error:  # border: a thread of its own
                log.exception("receiver_recovery_fault", receiver=self._name)
                self._around.callbacks.fault(f"{self._name}: recovery: {type(error).__name__}")
                return
            else:
                self._around.places.leave_all(self.folder)
                return

    # --- its messages -----------------------------------------------------------------------------

    def _take_all(self) -> None:
        """Calls do not wait here: the index may be away."""
        while (message := self._inbox.get()) is not None:
            try:
                self._take(message)
            except Exception as error:  # border: without this thread nothing is indexed
                kind = type(message).__name__
                log.exception("receiver_message_fault", receiver=self._name, message=kind)
                self._around.callbacks.fault(f"{self._name}: {kind}: {type(error).__name__}")

    def _take(self, message: Any) -> None:
        callbacks, places = self._around.callbacks, self._around.places
        if isinstance(message, Stored):
            self._store(message.record)
        elif isinstance(message, Touched):
            places.touch(message.session_id, message.study_instance_uid)
        elif isinstance(message, Left):
            places.leave(message.session_id)
        elif isinstance(message, StatusReport):
            self.status = message
        elif isinstance(message, ReporterWanted):
            callbacks.wake_reporter()
        elif isinstance(message, Ready):
            self.ready = message
            self.has_spoken.set()
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
                self._around.callbacks.store(record)
                break
            except DatabaseUnavailable:
                if self._around.draining.is_set():
                    return  # found at the next start
                if not was_broken:
                    self._tell(IndexState(is_broken=True))
                was_broken = True
                self._around.draining.wait(RETRY_S)
        if was_broken:
            self._tell(IndexState(is_broken=False))

    def _tell(self, message: Any) -> None:
        with suppress(LinkLost):  # whoever listens to it notices
            self._link.send(message)

    def _answer(self, message: Any) -> Rejection | None:
        """Whether an association may be accepted."""
        if not isinstance(message, PlaceWanted):
            return None
        if self._around.draining.is_set():
            return rejections.SHUTTING_DOWN
        return self._around.places.take(self.folder, message)
