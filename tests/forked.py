"""``python -m node`` without the seconds of CPU that its imports take: a copy of one that has them.

Hundreds of tests start the node or one of its commands. One process a test run imports it once,
with no thread and no file open, and forks for each start. What comes out is a process of its own as
any: it has the arguments, environment, folder and streams that it is given, runs ``node`` as its
main module from the first line, and can be killed. What must happen before Python runs – libraries
to preload, a sitecustomize – asks for ``start_alone``.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[1]
IMPORTED = (
    "node.app", "node.cli", "node.commands.accept", "node.commands.app_passwords",
    "node.commands.delete", "node.commands.describe", "node.commands.destinations",
    "node.commands.fetch", "node.commands.inspect", "node.commands.jobs",
    "node.commands.quarantine", "node.commands.serve", "node.commands.users",
    "node.actions", "node.web.app", "node.web.running",
)  # fmt: skip
TERMINAL = frozenset(("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"))
_LONGEST_REQUEST = 1 << 20


class Process:
    """A started node or command; has what ``Popen`` has of the tests' interest. For any thread."""

    def __init__(self, connection: socket.socket, stdout: IO[str] | None) -> None:
        said = connection.makefile("r")
        self.pid = int(said.readline())
        self.returncode: int | None = None
        self.stdout = stdout
        self._has_ended = threading.Event()
        threading.Thread(target=self._listen, args=(connection, said), daemon=True).start()

    def _listen(self, connection: socket.socket, said: IO[str]) -> None:
        with connection, said:
            self.returncode = int(said.readline() or -signal.SIGKILL)  # what forks is gone
        self._has_ended.set()

    def wait(self, timeout: float | None = None) -> int:
        """The exit status; that of a signal is negative."""
        if not self._has_ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int,
    folder: Path | None = None,
) -> Process:
    """``python -m node`` with arguments. The streams are file descriptors, or as Popen's."""
    asked = {
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": str(folder or Path.cwd()),
    }
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(_original()))
    reader = None
    with Path(os.devnull).open() as nothing, ExitStack() as given_away:
        if stdin == subprocess.DEVNULL:
            stdin = nothing.fileno()
        if stdout == subprocess.PIPE:
            reader, stdout = os.pipe()
            given_away.callback(os.close, stdout)
        head = json.dumps(asked).encode() + b"\n"
        socket.send_fds(connection, [head[:1]], [stdin, stdout, stderr])
        connection.sendall(head[1:])
    return Process(connection, None if reader is None else os.fdopen(reader))


def start_alone(
    arguments: Sequence[str], environment: Mapping[str, str], *, stderr: int
) -> subprocess.Popen[str]:
    """The same from the very beginning."""
    return subprocess.Popen(
        [sys.executable, "-m", "node", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=environment,
    )


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    given: str = "",
    folder: Path | None = None,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """A command to its end, with ``given`` as standard input."""
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as stdout,
        tempfile.TemporaryFile("w+") as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        process = start(
            arguments,
            os.environ if environment is None else environment,
            stdin=stdin.fileno(),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
            folder=folder,
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, stdout.read(), stderr.read())


@cache
def _original() -> Path:
    """Where the process that has imported the node listens; started by the first that asks."""
    path = Path(tempfile.mkdtemp(prefix="wetread-tests-")) / "forks"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(listening.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listening.fileno()],
            cwd=REPOSITORY,
            env={**_without_terminal(), "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        )
    atexit.register(_end, process, path)
    return path


def _without_terminal() -> dict[str, str]:
    """What is imported may keep these: they are to be those of each copy."""
    return {name: value for name, value in os.environ.items() if name not in TERMINAL}


def _end(process: subprocess.Popen[bytes], path: Path) -> None:
    process.communicate()  # its standard input ends, and so does it
    path.unlink()
    path.parent.rmdir()


# --- in the process that forks --------------------------------------------------------------------


def main() -> None:
    """Import the node; then return in each copy once, as what was asked for."""
    from node.settling import settling

    with settling():
        for name in (*IMPORTED, *(one.module for one in entry_points(group="wetread.analyzers"))):
            import_module(name)
    _compile_templates()
    path = sys.path[1:]  # the first is the folder in which this was started
    asked = _forks(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        _become(asked, path)
        runpy.run_module("node", run_name="__main__", alter_sys=True)


def _compile_templates() -> None:
    import jinja2

    from node.web.frame import render
    from tests import templates

    jinja2.Environment.compile = templates.compile_once  # type: ignore[assignment, method-assign]
    pages = render.templates()
    for name in pages.list_templates():
        pages.get_template(name)


def _forks(listening: socket.socket) -> dict[str, Any] | None:
    """None at the end; what is asked for in a copy."""
    lives: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(listening, selectors.EVENT_READ)
        ready.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fd == 0:
                    return None
                if key.fd in lives:
                    ready.unregister(key.fd)
                    _tell_end(*lives.pop(key.fd), key.fd)
                    continue
                connection, _ = listening.accept()
                asked, streams = _asked(connection)
                if (pid := os.fork()) == 0:
                    _take(streams, [listening, connection, *(one for _, one in lives.values())])
                    for life in lives:
                        os.close(life)
                    return asked
                for stream in streams:
                    os.close(stream)
                connection.sendall(f"{pid}\n".encode())
                lives[life := os.pidfd_open(pid)] = (pid, connection)
                ready.register(life, selectors.EVENT_READ)


def _take(streams: list[int], connections: list[socket.socket]) -> None:
    """In a copy: its own standard streams, and nothing of what the original holds open."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for one in connections:
        one.close()


def _asked(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    said, streams, _, _ = socket.recv_fds(connection, 1, 3)
    while not said.endswith(b"\n"):
        said += connection.recv(_LONGEST_REQUEST)
    return json.loads(said), streams


def _tell_end(pid: int, connection: socket.socket, life: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(life)
    with connection, suppress(BrokenPipeError):  # whoever started it may not want to know
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(asked: dict[str, Any], path: list[str]) -> None:
    """What Python does before a program's first line, as far as it depends on what is asked."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    tempfile.tempdir = None
    more = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:] = [asked["folder"], *more, *path]
    invalidate_caches()
    sys.argv[1:] = asked["arguments"]
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


if __name__ == "__main__":
    main()
