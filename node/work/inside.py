"""The inside of a worker process: waits for tasks, does one at a time, tells what it does.

What is written to standard output and error goes into a pipe that the node reads; the node's own
log lines go back with the messages, so that the node alone writes the log.
"""

from __future__ import annotations

import contextvars
import ctypes
import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from node.settling import settling
from node.work import processes, stages
from node.work.executor import Outcome, Ticket
from node.work.stages import Reached

if TYPE_CHECKING:
    from analyzers.leftovers import Leftovers

RETAINED_MB = 1024
"""Memory that jobs may leave taken in a worker before it is replaced."""
OOM_SCORE = 500
"""Out of memory, the kernel is to end a worker and not the process that receives images."""


@dataclass(frozen=True, slots=True)
class Began:
    """A task is under way. What the worker holds already is not counted as the task's.

    idle_mb: None as long as the node itself still loads what it needs.
    """

    idle_mb: int | None


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the node's log."""

    level: str
    event: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task gave. ``spoilt``: this process must not be given another."""

    value: Any = None
    fault: str = ""
    """What it raised, by type."""
    left: tuple[str, ...] = ()
    spoilt: bool = False


Message = Began | Said | Reached | Answer
Task = Callable[..., Any]


def serve(tasks: Connection, output: Connection) -> None:
    """Do tasks until the node closes the connection. The main function of a worker process."""
    _prepare(output)
    teller = _Teller(tasks)
    structlog.configure(processors=[teller.say], logger_factory=_Logger)
    while True:
        try:
            function, args = tasks.recv()
        except (EOFError, OSError):
            os._exit(0)
        answer = contextvars.copy_context().run(_done, function, args, teller)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed by the task
                stream.flush()
        teller.tell(answer)


class _Logger:
    """What structlog calls a logger: its name."""

    def __init__(self, name: str = "", *more: object) -> None:
        self.name = name


class _Teller:
    """Sends messages from any thread, one after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def tell(self, message: Message) -> None:
        with self._lock, suppress(BrokenPipeError):
            self._connection.send(message)

    def say(self, logger: _Logger, method: str, event: MutableMapping[str, Any]) -> str:
        """structlog's processor. A plugin's lines are for standard error, as all that it writes."""
        if not logger.name.startswith(("node.", "storage.")):
            print(event, file=sys.stderr)
            raise structlog.DropEvent
        fields = {key: _plain(value) for key, value in event.items() if key != "event"}
        if fields.pop("exc_info", None):
            fields["exception"] = traceback.format_exc()
        self.tell(Said(method, str(event.get("event", "")), fields))
        raise structlog.DropEvent


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | None) else str(value)


class _Scene:
    """The process before and after a task."""

    own_mb = 0
    """What the node and loaded analyzers hold, in all tasks so far."""

    def __init__(self, teller: _Teller) -> None:
        from analyzers import leftovers

        self._teller = teller
        self._leftovers = leftovers
        self._then = leftovers.before()
        self._family = frozenset(processes.family(os.getpid()))
        self._held_mb = _held_mb()
        _Scene.own_mb = _Scene.own_mb or self._held_mb
        teller.tell(Began(None))

    def begin(self) -> None:
        """What is held by now is the node's, or an analyzer's for as long as it is loaded."""
        before, self._held_mb = self._held_mb, _held_mb()
        _Scene.own_mb += max(self._held_mb - before, 0)
        self._then = self._leftovers.with_what_is_held(self._then)
        self._family = frozenset(processes.family(os.getpid()))
        self._teller.tell(Began(self._held_mb))

    def cleared(self) -> Leftovers:
        """Put back what can be put back; gives what was found."""
        found = self._leftovers.cleared(self._then)
        words = [word for word in (self._processes_left(), self._memory_left()) if word]
        return self._leftovers.Leftovers(found.put_back, (*found.lasting, *words))

    def _processes_left(self) -> str:
        started = set(processes.family(os.getpid())) - self._family
        for pid in started:
            processes.kill(pid)
        return f"{len(started)} running process{'es' * (len(started) > 1)}" if started else ""

    def _memory_left(self) -> str:
        left_mb = processes.held_mb(os.getpid()) - _Scene.own_mb
        return f"{left_mb} MB of memory" if left_mb > RETAINED_MB else ""


def _held_mb() -> int:
    return processes.held_mb(os.getpid()) + processes.family_mb(os.getpid())


def _done(function: Task, args: tuple[Any, ...], teller: _Teller) -> Answer:
    if function is answer:  # it leaves nothing: to look for that costs a thousand times as much
        return Answer(answer(lambda: None))
    scene = _Scene(teller)
    try:
        with stages.told_to(teller.tell):
            value, fault = function(*args, scene.begin), ""
    except BaseException as error:  # noqa: BLE001 - the border of a task: sys.exit in a plugin too
        traceback.print_exc()
        value, fault = None, type(error).__name__
    found = scene.cleared()
    return Answer(value, fault, (*found.put_back, *found.lasting), bool(found.lasting))


# --- tasks ----------------------------------------------------------------------------------------


def load(name: str, device: str, began: Callable[[], None]) -> None:
    """Load an analyzer ahead of its first job."""
    with settling():
        from node.work import job

        job.prepare()
        began()
        job.warm_up((name,), device)
    began()


def perform(ticket: Ticket, device: str, began: Callable[[], None]) -> Outcome:
    """Run a ticket."""
    from node.work import job

    job.prepare()
    began()  # what importing took is the node's
    return job.perform(ticket, device, began)


def answer(began: Callable[[], None]) -> int:
    """Show that the worker does things."""
    return os.getpid()


# --- the process ----------------------------------------------------------------------------------


def _prepare(output: Connection) -> None:
    # SIGTERM of a service manager reaches every process; they are the node's, which ends its
    # workers itself. No SIG_IGN: programs that an analyzer starts would inherit it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)
    with suppress(OSError):
        os.setsid()  # what a job starts and leaves is found by its session,
    _adopt_orphans()  # or, where it leads one of its own, by its parent
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    faulthandler.enable(2)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote header values
    _forget_the_mould()
    threading.Thread(target=_end_with_the_node, daemon=True).start()


def _adopt_orphans() -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _forget_the_mould() -> None:
    """What a plugin starts is to descend from here, also by multiprocessing's fork server."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    forkserver._forkserver.__init__()  # type: ignore[misc]  # the copy of the node's is no use here


def _prctl(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _end_with_the_node() -> None:
    node = multiprocessing.parent_process()
    if node is not None:
        node.join()
        processes.kill_family(os.getpid())
        os._exit(1)
