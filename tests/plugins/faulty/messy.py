"""An analyzer that leaves what it is told to leave."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import structlog

from analyzers.contract import Findings, Volume
from faulty import Faulty

SECRET = "DOE^JOHN 4711"
HELD: list[Any] = []


def _flood() -> None:
    for _ in range(40):
        print(f"{SECRET} " * 20_000)
    os.write(2, SECRET.encode())


def _log() -> None:
    for _ in range(1000):
        structlog.get_logger("messy").error(SECRET, patient_name=SECRET)
        logging.getLogger("messy").error(SECRET)


def _thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), name=SECRET).start()


def _process() -> None:
    HELD.append(subprocess.Popen(["sleep", "600"], start_new_session=True))


def _daemon() -> None:
    """A process that leads a session of its own and has lost its parent."""
    subprocess.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &"], check=True)


def _fork_server() -> None:
    context = multiprocessing.get_context("forkserver")
    context.Process(target=time.sleep, args=(600,), daemon=True).start()


def _file() -> None:
    HELD.append(tempfile.TemporaryFile(prefix="DOE_JOHN"))  # noqa: SIM115 - it is left open


def _socket() -> None:
    HELD.append(socket.socket())


def _lost_directory() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def _close_output() -> None:
    os.close(1)


MESSES: dict[str, Callable[[], object]] = {
    "print": _flood,
    "log": _log,
    "thread": _thread,
    "process": _process,
    "daemon": _daemon,
    "fork server": _fork_server,
    "file": _file,
    "socket": _socket,
    "output": _close_output,
    "handler": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "alarm": lambda: signal.alarm(600),
    "directory": lambda: os.chdir("/"),
    "lost directory": _lost_directory,
    "environment": lambda: os.environ.update(PATIENT=SECRET),
    "umask": lambda: os.umask(0o777),
    "errors": lambda: np.seterr(all="raise"),
    "filters": lambda: warnings.simplefilter("error"),
    "recursion": lambda: sys.setrecursionlimit(100_000),
    "path": lambda: sys.path.insert(0, "/nowhere"),
    "stdout": lambda: setattr(sys, "stdout", None),
    "seed": lambda: np.random.seed(1),
    "random": lambda: random.seed(1),
    "timeout": lambda: socket.setdefaulttimeout(0.001),
    "memory": lambda: HELD.append(np.ones(1300 << 17)),
    "nothing": lambda: None,
}


@dataclass(frozen=True, slots=True)
class MessyParameters:
    mess: str = "nothing"


class Messy(Faulty):
    name: ClassVar[str] = "messy"
    title: ClassVar[str] = "Messy"
    parameters: ClassVar[type] = MessyParameters

    def analyze(self, volume: Volume, parameters: MessyParameters) -> Findings:
        MESSES[parameters.mess]()
        return Findings()
