"""The local executor: one spawned worker process a slot, kept warm, killed at its limits.

Each slot is a pebble pool of one worker, so that a crash, a hang or a kill meets nobody else.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pebble
import structlog

from node.work.executor import Outcome, Ticket, Verdict, WorkersSilent

log = structlog.get_logger(__name__)

MEMORY_CHECK_S = 0.1
PROOF_TIME_S = 45.0
"""Long enough for a fresh worker to import everything on a busy machine."""


class LocalExecutor:
    """Runs tickets on this machine.

    warm: names of the analyzers that every worker loads when it starts.
    """

    def __init__(self, slots: int, device: str, warm: tuple[str, ...] = ()) -> None:
        self._slots = [_Slot(device, warm) for _ in range(slots)]
        self._stopping = threading.Event()
        self._guard = threading.Thread(target=self._watch_memory, name="memory", daemon=True)
        self._guard.start()

    @property
    def slots(self) -> int:
        return len(self._slots)

    def submit(self, ticket: Ticket) -> Future[Outcome]:
        """Start a ticket on a free slot; the caller keeps count of ``slots``."""
        slot = next(slot for slot in self._slots if slot.ticket is None)
        return slot.start(ticket)

    def prove(self) -> None:
        """Let each idle worker answer; a busy one is held to its time limit anyway."""
        for number, slot in enumerate(self._slots):
            if slot.ticket is None and not slot.answers(PROOF_TIME_S):
                raise WorkersSilent(f"worker {number} did not answer in {PROOF_TIME_S:g} s")

    def stop(self) -> None:
        self._stopping.set()
        for slot in self._slots:
            slot.stop()

    def _watch_memory(self) -> None:
        while not self._stopping.wait(MEMORY_CHECK_S):
            for slot in self._slots:
                slot.hold_to_memory_limit()


class _Slot:
    """One worker process and the ticket it holds."""

    def __init__(self, device: str, warm: tuple[str, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pid: Synchronized[int] = context.Value("i", 0)
        self._device = device
        self._over_memory_mb = 0
        self.ticket: Ticket | None = None
        self._pool = pebble.ProcessPool(
            max_workers=1,
            context=context,
            initializer=_prepare,
            initargs=(self._pid, warm, device),
        )
        self._pool.schedule(_answer)  # starts the process, and with it the loading of models

    def start(self, ticket: Ticket) -> Future[Outcome]:
        self.ticket = ticket
        self._over_memory_mb = 0
        outcome: Future[Outcome] = Future()
        running = self._pool.schedule(
            _perform, args=(ticket, self._device), timeout=ticket.limits.time_s
        )
        running.add_done_callback(lambda done: self._settle(ticket, done, outcome))
        return outcome

    def answers(self, within_s: float) -> bool:
        """Whether the worker does something in time. One that just took a job is busy, not dead."""
        try:
            self._pool.schedule(_answer).result(timeout=within_s)
        except (FutureTimeout, pebble.ProcessExpired):
            return self.ticket is not None
        return True

    def hold_to_memory_limit(self) -> None:
        ticket, pid = self.ticket, self._pid.value
        if ticket is None or not pid or self._over_memory_mb:
            return
        held_mb = _resident_mb(pid)
        if held_mb > ticket.limits.memory_mb:
            self._over_memory_mb = held_mb
            log.warning("worker over its memory limit", job=ticket.job_id, held_mb=held_mb)
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble's own annotation is missing
        self._pool.join(timeout=10)

    def _settle(self, ticket: Ticket, done: Future[Outcome], outcome: Future[Outcome]) -> None:
        result = self._outcome_of(ticket, done)
        self.ticket = None
        outcome.set_result(result)

    def _outcome_of(self, ticket: Ticket, done: Future[Outcome]) -> Outcome:
        if done.cancelled():
            return Outcome(Verdict.FAILED, reason="the node is stopping", transient=True)
        error = done.exception()
        if error is None:
            return done.result()
        return Outcome(Verdict.FAILED, reason=self._cause(ticket, error))

    def _cause(self, ticket: Ticket, error: BaseException) -> str:
        limits = ticket.limits
        if self._over_memory_mb:
            held, limit = self._over_memory_mb, limits.memory_mb
            return f"memory limit exceeded: {held} MB held, {limit} MB allowed"
        if isinstance(error, FutureTimeout):
            return f"time limit exceeded: still running after {limits.time_s:g} s"
        if isinstance(error, pebble.ProcessExpired):
            return f"the worker process died: {_how(error.exitcode)}"
        return f"the worker gave no answer: {type(error).__name__}: {error}"


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"it ended itself with exit code {exit_code}"
    return f"killed by {signal.Signals(-exit_code).name}"


def _resident_mb(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


# --- inside the worker ----------------------------------------------------------------------------


def _prepare(pid: Synchronized[int], warm: tuple[str, ...], device: str) -> None:
    pid.value = os.getpid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's: it ends its workers
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote header values
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    from node.work import job

    job.warm_up(warm, device)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _perform(ticket: Ticket, device: str) -> Outcome:
    from node.work import job

    return job.perform(ticket, device)


def _answer() -> int:
    return os.getpid()
