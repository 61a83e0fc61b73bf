"""A worker process from the node's side: asked one thing at a time, held to limits, ended.

A task that does not answer comes back as a ``Stop`` that says why. Knows no jobs.
"""

from __future__ import annotations

import errno
import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from node.work import inside, processes
from node.work.inside import Answer, Began, Said
from node.work.output import Output, Printed
from node.work.stages import Reached

log = structlog.get_logger(__name__)

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["node.work.mould"])

MEMORY_CHECK_S = 0.1
FAMILY_CHECK_S = 1.0
"""To look at what a task has started, every process of the machine is looked at."""


class Stop(Exception):
    """A task ended without an answer. The text says why, for whoever wrote or runs it."""

    began = True
    """Whether the task was under way."""
    printed = Printed()
    """What it had written."""


class OverTime(Stop):
    """It took longer than allowed; the process was ended."""


class OverMemory(Stop):
    """It took more memory than allowed; the process was ended."""


class OutOfMemory(Stop):
    """The machine had no memory left, and the kernel ended the process."""


class Died(Stop):
    """The process ended by itself, or was ended by somebody else."""


class MouldDied(Died):
    """The process that workers are copies of has ended, and all workers with it."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a task may take: seconds, and MB beyond what the idle worker holds."""

    time_s: float
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears what a task says of itself while it is done."""

    said: Callable[[Said], None] = lambda said: None
    reached: Callable[[Reached], None] = lambda reached: None


@dataclass(frozen=True, slots=True)
class Done:
    """What a task answered, and what it wrote meanwhile."""

    answer: Answer
    printed: Printed


class Worker:
    """One process, a copy of ``node.work.mould``. ``ask`` is called by one thread; ``kill`` by any.

    The first waits for the mould to be there: some seconds.

    Raises
    ------
    OSError
        No process can be started.
    """

    def __init__(self) -> None:
        self._connection, theirs = _forking.Pipe()
        reader, writer = _forking.Pipe(duplex=False)
        self.output = Output(reader)
        self._process = _forking.Process(target=inside.serve, args=(theirs, writer), name="worker")
        try:
            self._process.start()
        except EOFError as error:
            reason = "the process that workers are copies of has ended"
            raise OSError(errno.ECONNABORTED, reason) from error
        finally:
            theirs.close()
            writer.close()
        self.pid = self._process.pid or 0
        self._mould = processes.parent(self.pid)
        self.output.follow()

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def ask(
        self,
        task: inside.Task,
        args: tuple[Any, ...],
        within: Allowance,
        told: Told = Told(),
    ) -> Done:
        """Have a task done.

        Raises
        ------
        Stop
            There is no answer, and no process any more.
        """
        self.output.take()
        watch = _Watch(self.pid, within)
        try:
            self._connection.send((task, args))
            return Done(self._answer(watch, told), self.output.take())
        except (EOFError, OSError) as error:
            stop = self._death(watch)
            stop.printed = self.output.take()
            raise stop from error
        except Stop as stop:
            self.kill()
            stop.printed = self.output.take()
            raise

    def kill(self) -> None:
        """End the process and all that it has started."""
        if self._process.is_alive():
            processes.kill_with_family(self.pid)

    def close(self) -> None:
        """Give back what the process held; waits until it has ended."""
        self.kill()
        self._process.join()
        self._connection.close()
        self._process.close()
        self.output.close()

    def _answer(self, watch: _Watch, told: Told) -> Answer:
        while True:
            if not self._connection.poll(MEMORY_CHECK_S):
                # What a task has started may hold the dead process's end of the connection open.
                if not self._process.is_alive() and not self._connection.poll():
                    raise EOFError
                watch.check()
                continue
            message = self._connection.recv()
            if isinstance(message, Answer):
                return message
            if isinstance(message, Began):
                watch.begin(message.idle_mb)
            elif isinstance(message, Reached):
                told.reached(message)
            elif isinstance(message, Said):
                told.said(message)
                getattr(log, message.level, log.info)(message.event, **message.fields)

    def _death(self, watch: _Watch) -> Stop:
        self._process.join()
        processes.kill_family(self.pid)
        code = self._process.exitcode or 0
        if code == -signal.SIGKILL and processes.out_of_memory_kills() > watch.kills:
            stop: Stop = OutOfMemory(
                "the machine had no memory left, and the system ended the worker process"
                f" ({watch.words()})"
            )
        elif code == _NOBODY_KNOWS and processes.parent(self._mould) is None:
            stop = MouldDied("the process that all workers are copies of has ended")
        else:
            stop = Died(f"the worker process died: {_how(code)}")
        stop.began = watch.began
        return stop


class _Watch:
    """Holds a task to its allowance."""

    def __init__(self, pid: int, within: Allowance) -> None:
        self.began = False
        self.kills = processes.out_of_memory_kills()
        self._pid = pid
        self._within = within
        self._started = time.monotonic()
        self._idle_mb: int | None = None
        self._held_mb = 0
        self._family_mb = 0
        self._family_at = self._started

    def begin(self, idle_mb: int | None) -> None:
        self.began = True
        self._idle_mb = idle_mb

    def check(self) -> None:
        """Raise ``OverTime`` or ``OverMemory`` when it is over one of its limits."""
        now = time.monotonic()
        if now - self._started > self._within.time_s:
            limit = f"{self._within.time_s:g} s"
            raise OverTime(f"time limit exceeded: still running after {limit}")
        if self._within.memory_mb is None or self._idle_mb is None:
            return
        self._held_mb = processes.held_mb(self._pid) + self._with_family(now)
        if self._held_mb - self._idle_mb > self._within.memory_mb:
            raise OverMemory(f"memory limit exceeded: {self.words()}")

    def words(self) -> str:
        """How much is held, and how much may be."""
        idle_mb = self._idle_mb or 0
        grown = max(self._held_mb - idle_mb, 0)
        allowed = self._within.memory_mb
        limit = f", memory_mb allows {allowed} MB" if allowed is not None else ""
        return f"the job took {grown} MB beyond the {idle_mb} MB of the idle worker{limit}"

    def _with_family(self, now: float) -> int:
        if now - self._family_at >= FAMILY_CHECK_S:
            self._family_mb = processes.family_mb(self._pid)
            self._family_at = now
        return self._family_mb


_NOBODY_KNOWS = 255
"""The exit code that multiprocessing gives when the fork server is not there to tell it."""


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"it ended itself with exit code {exit_code}"
    known = {one.value: one.name for one in signal.Signals}
    return f"killed by {known.get(-exit_code, f'signal {-exit_code}')}"
