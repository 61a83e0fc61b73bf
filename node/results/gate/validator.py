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
from functools import cache
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
    """Where dciodvfy lies: on the path, or beside the interpreter; None where it is not."""
    beside = Path(sys.executable).parent / "dciodvfy"
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


def errors(path: Path, source: Source | None = None) -> list[str]:
    """What dciodvfy calls an error in what the node wrote itself, without the values.

    Empty where it is not installed.
    """
    command = program()
    if command is None:
        return []
    try:
        done = subprocess.run(
            [command, "-new", str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except OSError as error:
        log.warning("validator_not_run", why=type(error).__name__)
        return []
    except subprocess.TimeoutExpired:
        return [f"dciodvfy did not finish within {TIME_LIMIT_S} s"]
    found = [line for line in done.stderr.splitlines() if line.startswith("Error")]
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
