"""The local executor: one worker process a slot, kept warm, ended at its limits.

Each slot has a thread that gives its worker one task after the other, so that a crash, a hang or
a kill meets nobody else. A worker that a job has spoilt is replaced before the next.
"""

from __future__ import annotations

import atexit
import errno
import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import Any

import structlog

from analyzers import registry
from analyzers.contract import AnalyzerError
from node.work import cut_off, failures, inside
from node.work.account import Account
from node.work.executor import Outcome, Progress, Ticket, Verdict, WorkersSilent
from node.work.worker import (
    Allowance,
    Died,
    Done,
    MouldDied,
    OutOfMemory,
    OverMemory,
    OverTime,
    Stop,
    Told,
    Worker,
)

log = structlog.get_logger(__name__)

LOADING_TIME_S = 600.0
"""How long an analyzer may take to load its models ahead of the first job."""
PROOF_TIME_S = 45.0
"""Long enough for a fresh worker to import everything on a busy machine."""
STOP_TIME_S = 4.0


class LocalExecutor:
    """Runs tickets on this machine.

    warm: names of the analyzers that every worker loads when it starts.
    """

    def __init__(self, slots: int, device: str, warm: tuple[str, ...] = ()) -> None:
        self._slots = [_Slot(device, warm) for _ in range(slots)]
        atexit.register(self.stop)  # a worker must not outlive the node, nor hold up its end

    @property
    def slots(self) -> int:
        return len(self._slots)

    def submit(self, ticket: Ticket) -> Future[Outcome]:
        """Start a ticket on a free slot; the caller keeps count of ``slots``."""
        slot = next(slot for slot in self._slots if slot.ticket is None)
        return slot.start(ticket)

    def end(self, job_id: int) -> None:
        """End the worker that has this job; a new one is started in its place."""
        for slot in self._slots:
            slot.end(job_id)

    def progress(self) -> Mapping[int, Progress]:
        """How far the jobs that run are, by number."""
        found = (slot.progress() for slot in self._slots)
        return dict(one for one in found if one is not None)

    def prove(self) -> None:
        """Let each idle worker answer; a busy one is held to its time limit anyway."""
        for number, slot in enumerate(self._slots):
            if slot.ticket is None and not slot.answers(PROOF_TIME_S):
                raise WorkersSilent(f"worker {number} did not answer in {PROOF_TIME_S:g} s")

    def stop(self) -> None:
        atexit.unregister(self.stop)
        for slot in self._slots:
            slot.stop()
        for slot in self._slots:
            slot.join(STOP_TIME_S)


Born = queue.SimpleQueue[Worker | Exception | None]
"""Where a worker that was asked for comes out, or why there is none; None when the node stops."""


class _Slot:
    """One worker process, the thread that serves it, and the ticket it holds."""

    def __init__(self, device: str, warm: tuple[str, ...]) -> None:
        self._device = device
        self._warm = list(warm)
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._worker: Worker | None = None
        self._born: Born = queue.SimpleQueue()
        self._stopped = False
        self._changing = threading.Lock()
        """Held while the worker is replaced: a stop must not miss the new one."""
        self.ticket: Ticket | None = None
        self._account = Account()
        self._is_performing = False
        self._is_ended = False
        self._is_loading = True
        self._thread = threading.Thread(target=self._run, name="worker-slot", daemon=True)
        self._thread.start()

    def start(self, ticket: Ticket) -> Future[Outcome]:
        self._is_ended, self._account = False, Account()
        self.ticket = ticket
        outcome: Future[Outcome] = Future()
        if self._stopped:
            self._settle(outcome, _STOPPING)
        else:
            self._requests.put(lambda: self._settle(outcome, self._outcome(ticket)))
        return outcome

    def end(self, job_id: int) -> None:
        """End what is done for a job; where it has not begun, it does not begin."""
        with self._changing:
            ticket = self.ticket
            if ticket is None or ticket.job_id != job_id:
                return
            self._is_ended = True
            if self._is_performing and self._worker is not None:
                self._worker.kill()

    def progress(self) -> tuple[int, Progress] | None:
        ticket, reached = self.ticket, self._account.progress
        return None if ticket is None or reached is None else (ticket.job_id, reached)

    def answers(self, within_s: float) -> bool:
        """Whether the worker does something in time. One that loads or just took a job is busy; how
        long it may load is limited elsewhere. Of one that is stopped nobody wants to know.
        """
        if self._is_loading:
            return True
        done: Future[bool] = Future()
        self._requests.put(lambda: done.set_result(self._has_answered()))
        try:
            return done.result(timeout=within_s) or self._stopped
        except FutureTimeout:
            return self.ticket is not None or self._stopped

    def stop(self) -> None:
        with self._changing:
            self._stopped = True
            self._born.put(None)
            if self._worker is not None:
                self._worker.kill()
        self._requests.put(lambda: None)

    def join(self, within_s: float) -> None:
        self._thread.join(within_s)

    # --- its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        self._renew()
        while not self._stopped:
            self._requests.get()()
            if self._worker is None and not self._stopped:
                self._renew()
        while not self._requests.empty():
            self._requests.get()()
        self._give_up_worker()

    def _renew(self) -> None:
        """Start a process and load the models, ahead of the next job. Its faults are that job's."""
        self._is_loading = True
        for name in tuple(self._warm):
            if self._stopped:
                break
            try:
                within = Allowance(LOADING_TIME_S, _memory_mb(name))
                fault = self._ask(inside.load, (name, self._device), within).answer.fault
            except Stop as stop:
                fault = str(stop)
            except OSError:  # no process can be started now: the next job tries again
                break
            except Exception as error:  # border: the thread of a slot outlives any fault
                log.exception("worker_fault")
                fault = type(error).__name__
            if fault and not self._stopped:
                log.error("analyzer_not_loaded", analyzer=name, error=fault)
                self._warm.remove(name)
        if self._worker is None and not self._stopped:
            self._has_answered()  # so that a process is there
        self._is_loading = False

    def _has_answered(self) -> bool:
        try:
            self._ask(inside.answer, (), Allowance(PROOF_TIME_S))
        except Stop:
            return False
        except Exception:  # border: the thread of a slot outlives any fault
            log.exception("worker_fault")
            return False
        return True

    def _ask(
        self,
        task: inside.Task,
        args: tuple[Any, ...],
        within: Allowance,
        told: Told = Told(),  # noqa: B008  frozen
    ) -> Done:
        """Have a task done by the worker; by a new one if it has died idle.

        Raises
        ------
        Stop
        OSError
            No process can be started.
        """
        try:
            done = self._started().ask(task, args, within, told)
        except Died as stop:
            self._give_up_worker()
            if stop.began or self._stopped or self._is_ended:
                raise
            done = self._started().ask(task, args, within, told)
        except Stop:
            self._give_up_worker()
            raise
        if done.answer.spoilt:
            self._give_up_worker()
        return done

    def _started(self) -> Worker:
        worker = self._worker
        if worker is not None and not worker.is_alive():
            if not self._stopped:
                log.error("worker_died_idle")
            self._give_up_worker()
            worker = None
        if worker is not None:
            return worker
        made: Born = queue.SimpleQueue()
        with self._changing:
            if self._stopped:
                raise Died("the node is stopping")
            self._born = made
        # The first is there when the mould is, after seconds: a stop does not wait for it.
        threading.Thread(target=self._make, args=(made,), daemon=True).start()
        try:
            born = made.get(timeout=LOADING_TIME_S)
        except queue.Empty:
            self._born = queue.SimpleQueue()
            reason = f"no worker process was there after {LOADING_TIME_S:g} s"
            raise OSError(errno.ETIMEDOUT, reason) from None
        if born is None:
            raise Died("the node is stopping")
        if isinstance(born, Exception):
            raise born
        return born

    def _make(self, born: Born) -> None:
        made: Worker | Exception
        try:
            made = Worker()
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            made = error
        with self._changing:
            if self._born is born and not self._stopped:  # it is waited for
                if isinstance(made, Worker):
                    self._worker = made
                born.put(made)
                return
        if isinstance(made, Worker):
            made.close()

    def _give_up_worker(self) -> None:
        with self._changing:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    # --- jobs -------------------------------------------------------------------------------------

    def _settle(self, outcome: Future[Outcome], result: Outcome) -> None:
        self.ticket = None
        outcome.set_result(result)

    def _outcome(self, ticket: Ticket) -> Outcome:
        with self._changing:
            self._is_performing = not self._is_ended
        if not self._is_performing:
            return _ENDED
        try:
            return replace(self._tried(ticket), lines=self._account.lines())
        finally:
            with self._changing:
                self._is_performing = False

    def _tried(self, ticket: Ticket) -> Outcome:
        within = Allowance(ticket.limits.time_s, ticket.limits.memory_mb)
        try:
            return self._performed(ticket, within)
        except Stop as stop:
            return self._without_answer(ticket, stop)
        except OSError as error:
            reason = f"no worker process can be started: {error.strerror or type(error).__name__}"
            return Outcome(Verdict.FAILED, reason=reason, transient=True)
        except Exception as error:  # border: the thread of a slot outlives any fault
            log.exception("worker_fault", job=ticket.job_id)
            self._give_up_worker()
            reason = f"a fault of the node, not of the analyzer: {type(error).__name__}"
            return Outcome(Verdict.FAILED, reason=reason, traceback=traceback.format_exc())

    def _without_answer(self, ticket: Ticket, stop: Stop) -> Outcome:
        if self._stopped:
            return _STOPPING
        if self._is_ended:
            return _ENDED
        try:
            made = cut_off.outcome_of(ticket, str(stop))
        except Exception:  # border: the thread of a slot outlives any fault, as of a full disk
            log.exception("worker_fault", job=ticket.job_id)
            made = None
        return made or _outcome_of(stop)

    def _performed(self, ticket: Ticket, within: Allowance) -> Outcome:
        account = self._account
        told = Told(account.note, account.reach)
        done = self._ask(inside.perform, (ticket, self._device), within, told)
        _note(ticket, done)
        outcome = done.answer.value
        if not isinstance(outcome, Outcome):
            reason = f"the worker gave no outcome: {done.answer.fault}"
            return Outcome(Verdict.FAILED, reason=reason, printed=done.printed.text)
        return replace(outcome, left=done.answer.left, printed=done.printed.text)


def _memory_mb(analyzer: str) -> int | None:
    try:
        return registry.info(analyzer).limits.memory_mb
    except AnalyzerError:
        return None  # loading it says so


_ENDED = Outcome(Verdict.FAILED, reason="its worker was ended, as a person wanted")
_STOPPING = Outcome(Verdict.FAILED, reason="the node is stopping", transient=True)


def _outcome_of(stop: Stop) -> Outcome:
    return Outcome(
        Verdict.FAILED,
        reason=str(stop),
        traceback=stop.printed.fault(),
        transient=isinstance(stop, OutOfMemory | MouldDied) or not stop.began,
        told=_TOLD.get(type(stop), failures.STOPPED),
        printed=stop.printed.text,
    )


_TOLD = {
    OverTime: failures.OVER_TIME,
    OverMemory: failures.OVER_MEMORY,
    OutOfMemory: failures.OVER_MEMORY,
}


def _note(ticket: Ticket, done: Done) -> None:
    """Log what an analyzer wrote and left, by number and name: the text may tell of a patient."""
    about = {"job": ticket.job_id, "analyzer": ticket.analyzer}
    if done.printed.count:
        log.info("analyzer_wrote_output", bytes=done.printed.count, **about)
    if done.answer.left:
        level = log.warning if done.answer.spoilt else log.info
        renewed = done.answer.spoilt
        level("analyzer left something behind", left=done.answer.left, renewed=renewed, **about)
