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
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import TypeVar

import pebble
import structlog

from node.work.executor import Outcome, Ticket, Verdict, WorkersSilent

log = structlog.get_logger(__name__)

T = TypeVar("T")

MEMORY_CHECK_S = 0.1
LOADING_TIME_S = 600.0
"""How long an analyzer may take to load its models ahead of the first job."""
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
        self._context = multiprocessing.get_context("spawn")
        self._pid: Synchronized[int] = self._context.Value("i", 0)
        self._device = device
        self._warm = list(warm)
        self._over_memory_mb = 0
        self.ticket: Ticket | None = None
        self._opening = threading.RLock()
        self._stopped = False
        self._pool = self._opened()

    def start(self, ticket: Ticket) -> Future[Outcome]:
        self.ticket = ticket
        self._over_memory_mb = 0
        outcome: Future[Outcome] = Future()
        try:
            running = self._schedule(_perform, (ticket, self._device), ticket.limits.time_s)
        except RuntimeError as error:  # stopped, or no process can be started
            running = Future()
            running.set_exception(error)
        running.add_done_callback(lambda done: self._settle(ticket, done, outcome))
        return outcome

    def answers(self, within_s: float) -> bool:
        """Whether the worker does something in time. One that just took a job is busy, not dead."""
        try:
            self._schedule(_answer).result(timeout=within_s)
        except (FutureTimeout, pebble.ProcessExpired, BrokenProcessPool):
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
            self._kill()

    def stop(self) -> None:
        with self._opening:
            self._stopped = True
        self._close()

    # --- the process ------------------------------------------------------------------------------

    def _opened(self) -> pebble.ProcessPool:
        self._pid.value = 0
        pool = pebble.ProcessPool(
            max_workers=1, context=self._context, initializer=_prepare, initargs=(self._pid,)
        )
        self._load_models(pool)
        return pool

    def _load_models(self, pool: pebble.ProcessPool) -> None:
        """Tasks before the first job. One that fails is left to the job that needs the analyzer."""
        pool.schedule(_answer)  # starts the process
        for name in tuple(self._warm):
            loading = pool.schedule(_load, args=(name, self._device), timeout=LOADING_TIME_S)
            loading.add_done_callback(partial(self._note_loading, name))

    def _note_loading(self, name: str, done: Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._stopped:
            log.error("analyzer does not load", analyzer=name, error=type(error).__name__)
            if name in self._warm:
                self._warm.remove(name)

    def _schedule(
        self, function: Callable[..., T], args: tuple[object, ...] = (), time_s: float | None = None
    ) -> Future[T]:
        """Give the worker a task. pebble gives a pool up whose worker died idle: another is made.

        Raises
        ------
        RuntimeError
            Stopped, or no process can be started.
        """
        with self._opening:
            try:
                return self._pool.schedule(function, args=args, timeout=time_s)
            except RuntimeError:
                if self._stopped:
                    raise
            log.error("worker died while idle; starting another")
            self._close()
            self._pool = self._opened()
            return self._pool.schedule(function, args=args, timeout=time_s)

    def _close(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble's own annotation is missing
        self._kill()
        self._pool.join(timeout=10)

    def _kill(self) -> None:
        if self._pid.value:
            with suppress(ProcessLookupError):
                os.kill(self._pid.value, signal.SIGKILL)

    # --- its answer -------------------------------------------------------------------------------

    def _settle(self, ticket: Ticket, done: Future[Outcome], outcome: Future[Outcome]) -> None:
        result = self._outcome_of(ticket, done)
        self.ticket = None
        outcome.set_result(result)

    def _outcome_of(self, ticket: Ticket, done: Future[Outcome]) -> Outcome:
        if self._stopped or done.cancelled():
            return Outcome(Verdict.FAILED, reason="the node is stopping", transient=True)
        error = done.exception()
        if error is None:
            return done.result()
        if isinstance(error, RuntimeError) and not isinstance(error, pebble.ProcessExpired):
            reason = f"no worker process for the job: {type(error).__name__}"
            return Outcome(Verdict.FAILED, reason=reason, transient=True)
        if isinstance(error, FutureTimeout | pebble.ProcessExpired):
            self._replace_worker()
        return Outcome(Verdict.FAILED, reason=self._cause(ticket, error))

    def _replace_worker(self) -> None:
        """The worker is dead, pebble starts another: it loads its models before the next job."""
        self._pid.value = 0
        with suppress(RuntimeError):
            self._load_models(self._pool)

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
    known = {one.value: one.name for one in signal.Signals}
    return f"killed by {known.get(-exit_code, f'signal {-exit_code}')}"


def _resident_mb(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


# --- inside the worker ----------------------------------------------------------------------------


def _prepare(pid: Synchronized[int]) -> None:
    # Ctrl-C and a service manager's SIGTERM reach every process; they are the node's, which ends
    # its workers itself. No SIG_IGN: programs that an analyzer starts would inherit it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote header values
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    pid.value = os.getpid()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _load(name: str, device: str) -> None:
    from node.work import job

    job.warm_up((name,), device)


def _perform(ticket: Ticket, device: str) -> Outcome:
    from node.work import job

    return job.perform(ticket, device)


def _answer() -> int:
    return os.getpid()
