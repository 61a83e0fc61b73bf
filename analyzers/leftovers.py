"""What an analyzer changed in its process and left so: named, and put back where it can be.

Workers and the tests of the contract use it, so that one analysis does not change the next. Knows
names of settings, never their values: these may tell of a patient.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import locale
import logging
import os
import random
import resource
import signal
import socket
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

THREAD_GRACE_S = 0.5
"""A thread that is about to end is waited for so long."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """Something that holds for the whole process.

    for_loading: what loads may set it for as long as it is loaded, for its libraries need it.
    """

    name: str
    read: Callable[[], Any]
    put_back: Callable[[Any], object]
    for_loading: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """The process as it was."""

    settings: Mapping[str, Any]
    threads: frozenset[int]
    files: frozenset[int]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was found, in words. ``lasting`` could not be put back: the process is spoilt."""

    put_back: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put_back or self.lasting)

    def __str__(self) -> str:
        return ", ".join((*self.put_back, *self.lasting))


def before() -> Before:
    """Remember the process as it is."""
    return Before({one.name: one.read() for one in _settings()}, _threads(), _files())


def with_what_is_held(then: Before) -> Before:
    """The same, but what is loaded by now keeps its threads, its files and what it has set up."""
    loaded = {one.name: one.read() for one in _settings() if one.for_loading}
    return Before({**then.settings, **loaded}, _threads(), _files())


def cleared(then: Before) -> Leftovers:
    """Compare with ``then`` and put back what can be put back."""
    put_back, lasting = [], []
    for one in _settings():
        if one.name not in then.settings or _is_as_before(one, then):
            continue
        try:
            one.put_back(then.settings[one.name])
            put_back.append(one.name)
        except (OSError, ValueError, RuntimeError, TypeError):
            lasting.append(one.name)
    lasting += [text for text in (_threads_left(then), _files_left(then)) if text]
    return Leftovers(tuple(put_back), tuple(lasting))


def _is_as_before(setting: _Setting, then: Before) -> bool:
    try:
        now = setting.read()
    except OSError:  # the working directory is gone
        return False
    before = then.settings[setting.name]
    return now is before or bool(now == before)


# --- threads and files ----------------------------------------------------------------------------


def _threads() -> frozenset[int]:
    return frozenset(thread.ident or 0 for thread in threading.enumerate())


def _threads_left(then: Before) -> str:
    left = [one for one in threading.enumerate() if (one.ident or 0) not in then.threads]
    for thread in left:
        with contextlib.suppress(RuntimeError):  # another thread is starting it at this moment
            thread.join(THREAD_GRACE_S / len(left))
    alive = sum(thread.is_alive() for thread in left)
    return f"{alive} running thread{'s' if alive > 1 else ''}" if alive else ""


def _files_left(then: Before) -> str:
    if not _files() - then.files:
        return ""
    gc.collect()  # what nobody holds any more is closed by this
    count = len(_files() - then.files)
    return f"{count} open file{'s' if count > 1 else ''}" if count else ""


def _files() -> frozenset[int]:
    """Descriptors of files, pipes and sockets; devices and the kernel's own stay out."""
    folder = Path("/proc/self/fd")
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    return frozenset(int(name) for name in names if _is_file(int(name)))


def _is_file(descriptor: int) -> bool:
    found = _status(descriptor)
    if found is None:  # the one that read the folder, or another thread has closed it since
        return False
    mode = found.st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


# --- settings -------------------------------------------------------------------------------------


def _settings() -> tuple[_Setting, ...]:
    return (*_SYSTEM, *_PYTHON, *_NUMPY, *_torch())


def _environment() -> dict[str, str]:
    return dict(os.environ)


def _restore_environment(values: dict[str, str]) -> None:
    for key in set(os.environ) - set(values):
        del os.environ[key]
    os.environ.update(values)


def _umask() -> int:
    """Read, not set and reset: other threads may be making files."""
    status = Path("/proc/self/status")
    lines = status.read_text(errors="replace").splitlines() if status.exists() else []
    found = next((line.split()[1] for line in lines if line.startswith("Umask:")), "")
    return int(found, 8) if found else 0o022


def _signal_numbers() -> list[signal.Signals]:
    return sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def _handlers() -> dict[int, Any]:
    return {int(number): signal.getsignal(number) for number in _signal_numbers()}


def _restore_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _alarm() -> bool:
    return any(signal.getitimer(which)[0] > 0 for which in _TIMERS)


def _stop_alarm(_: bool) -> None:
    for which in _TIMERS:
        signal.setitimer(which, 0)


_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_LIMITS = tuple(
    getattr(resource, name)
    for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_STACK")
    if hasattr(resource, name)
)


def _limits() -> dict[int, tuple[int, int]]:
    return {which: resource.getrlimit(which) for which in _LIMITS}


def _restore_limits(limits: dict[int, tuple[int, int]]) -> None:
    for which, values in limits.items():
        resource.setrlimit(which, values)


def _restore_mask(mask: set[signal.Signals]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _restore_niceness(wanted: int) -> None:
    os.nice(wanted - os.nice(0))


def _streams() -> tuple[tuple[int, int], ...]:
    """Which files standard output and error are."""
    found = [_status(descriptor) for descriptor in (1, 2)]
    return tuple((one.st_dev, one.st_ino) for one in found if one is not None)


def _status(descriptor: int) -> os.stat_result | None:
    """Asked once: other threads may close it between two questions."""
    try:
        return os.fstat(descriptor)
    except OSError:
        return None


def _cannot(_: object) -> None:
    raise OSError


_SYSTEM = (
    _Setting("standard output or error", _streams, _cannot),
    _Setting("the working directory", lambda: str(Path.cwd()), os.chdir),
    _Setting("environment variables", _environment, _restore_environment, for_loading=True),
    _Setting("the file mode mask", _umask, os.umask),
    _Setting("signal handlers", _handlers, _restore_handlers),
    _Setting("blocked signals", lambda: signal.pthread_sigmask(0, ()), _restore_mask),
    _Setting("a timer", _alarm, _stop_alarm),
    _Setting("limits of the process", _limits, _restore_limits),
    _Setting("the process's priority", lambda: os.nice(0), _restore_niceness),
    _Setting(
        "the locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
)


def _attribute(owner: Any, attribute: str, name: str) -> _Setting:
    return _Setting(
        name,
        lambda: getattr(owner, attribute),
        lambda value: setattr(owner, attribute, value),
    )


def _list(owner: Any, attribute: str, name: str) -> _Setting:
    """A list whose entries are put back in place: others hold the same list."""

    def put_back(value: list[Any]) -> None:
        getattr(owner, attribute)[:] = value

    return _Setting(name, lambda: list(getattr(owner, attribute)), put_back, for_loading=True)


def _restore_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]  # a list, whatever typeshed says
    warnings._filters_mutated()  # type: ignore[attr-defined]  # else what was cached stays


def _restore_collection(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


def _restore_logging(state: tuple[int, list[logging.Handler], int]) -> None:
    root = logging.getLogger()
    root.setLevel(state[0])
    root.handlers[:] = state[1]
    logging.disable(state[2])


def _logging() -> tuple[int, list[logging.Handler], int]:
    root = logging.getLogger()
    return root.level, list(root.handlers), root.manager.disable


_PYTHON = (
    _Setting("warning filters", lambda: list(warnings.filters), _restore_filters, True),
    _attribute(warnings, "showwarning", "the way warnings are shown"),
    _attribute(sys, "stdout", "sys.stdout"),
    _attribute(sys, "stderr", "sys.stderr"),
    _attribute(sys, "stdin", "sys.stdin"),
    _attribute(sys, "excepthook", "sys.excepthook"),
    _attribute(threading, "excepthook", "threading.excepthook"),
    _attribute(builtins, "print", "the function print"),
    _attribute(builtins, "open", "the function open"),
    _list(sys, "path", "sys.path"),
    _list(sys, "argv", "sys.argv"),
    _Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, True),
    _Setting("the trace function", sys.gettrace, sys.settrace),
    _Setting("the profile function", sys.getprofile, sys.setprofile),
    _Setting("garbage collection", gc.isenabled, _restore_collection),
    _Setting("the root logger", _logging, _restore_logging, True),
    _Setting("the sockets' time-out", socket.getdefaulttimeout, socket.setdefaulttimeout),
    _Setting("the state of random", random.getstate, random.setstate),
)


class _Random:
    """The state of numpy's own generator, comparable."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self._key = (state[0], state[1].tobytes(), *state[2:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Random) and self._key == other._key

    __hash__ = None  # type: ignore[assignment]


def _print_options() -> dict[str, Any]:
    return dict(np.get_printoptions())


_NUMPY = (
    _Setting("numpy's error state", np.geterr, lambda value: np.seterr(**value)),
    _Setting("numpy's error call", np.geterrcall, np.seterrcall),
    _Setting("numpy's print options", _print_options, lambda v: np.set_printoptions(**v)),
    _Setting(
        "the state of numpy.random",
        lambda: _Random(np.random.get_state()),
        lambda value: np.random.set_state(value.state),
    ),
)


def _torch() -> tuple[_Setting, ...]:
    """torch's own, where something has imported it."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "set_grad_enabled"):
        return ()
    return (
        _Setting("torch's gradients", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
        _Setting("torch's default device", torch.get_default_device, torch.set_default_device),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads, True),
        _Setting(
            "torch's deterministic mode",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
            for_loading=True,
        ),
    )
