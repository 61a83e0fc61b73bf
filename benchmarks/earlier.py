"""An earlier commit beside this checkout: both sides measured in turn, with the same interpreter.

    then, now = sides()
    for side in (then, now):
        done = side.run("benchmarks.results", "--work", folder, "1", "ours")

The program that measures is this checkout's on both sides; what it measures (`node`, `storage`,
`analyzers`) is that of the side, in the process and in those that it starts. So the program may
use only what both sides have. The earlier commit is unpacked once into the cache, from the history
of this repository.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wetread-bench"
EARLIER = "5d2b375"
"""What goals of speed are ratios to."""
# An editable install would find a module that the side lacks, in the checkout that it leads to.
_BEGIN = (
    "import runpy, sys, types; root, name = sys.argv[1:3]; del sys.argv[1:3];"
    " sys.meta_path[:] = [one for one in sys.meta_path if '_editable_' not in one.__module__];"
    " package = sys.modules['benchmarks'] = types.ModuleType('benchmarks');"
    " package.__path__ = [root]; runpy.run_module(name, run_name='__main__', alter_sys=True)"
)


class NoHistory(SystemExit):
    """The commit that is measured against cannot be had here."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a process printed, and what it took with those that it waited for."""

    output: str
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Side:
    """A checkout that is measured."""

    name: str
    folder: Path

    def command(self, module: str, *words: object) -> list[str]:
        """What runs a module of this checkout's benchmarks on the side; see `environment`."""
        root = str(HERE / "benchmarks")
        return [sys.executable, "-c", _BEGIN, root, module, *(str(one) for one in words)]

    def environment(self) -> dict[str, str]:
        """Where the side is imported from, also by the processes that its process starts."""
        return {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    @contextmanager
    def started(self, module: str, *words: object) -> Iterator[subprocess.Popen[str]]:
        """The module as a process whose output is read; it has ended when the context is left."""
        with subprocess.Popen(
            self.command(module, *words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield process

    def run(self, module: str, *words: object) -> Done:
        """Run the module to its end; paths among the words are absolute.

        Raises
        ------
        subprocess.CalledProcessError
            It ended with another status than 0.
        """
        start = time.perf_counter()
        with self.started(module, *words) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - start
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, output)
        return Done(output, wall_s, used.ru_utime + used.ru_stime)


def sides(commit: str = EARLIER) -> tuple[Side, Side]:
    """Then and now."""
    return Side("then", checkout(commit)), Side("now", HERE)


def checkout(commit: str = EARLIER) -> Path:
    """The commit's files, unpacked once.

    Raises
    ------
    NoHistory
        There is no git, no repository, or no such commit in what was cloned.
    """
    folder = CACHE / f"commit-{_full_name(commit)}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="commit-", dir=CACHE) as made:
            files = Path(made) / "files"
            archive = io.BytesIO(_git("archive", "--format=tar", commit))
            with tarfile.open(fileobj=archive) as members:
                members.extractall(files, filter="data")
            _name(files, folder)
    return folder


def _name(files: Path, folder: Path) -> None:
    """Let the folder appear whole; somebody else may have made the same one meanwhile."""
    try:
        files.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _full_name(commit: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").decode().strip()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise NoHistory(
            f"commit {commit} is measured against and is not in the history of {HERE};"
            " a clone with its whole history is needed (git fetch --unshallow)"
        ) from error


def _git(*words: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(HERE), *words], check=True, stdout=subprocess.PIPE
    ).stdout


if __name__ == "__main__":
    print(checkout(*sys.argv[1:2]))
