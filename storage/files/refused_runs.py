"""Results of runs, and forms of them, that the gate refused: a folder each, in quarantine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_NAME = re.compile(r"(job|forms)-\d+-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class RefusedRun:
    """What was refused of a run, and when that was."""

    name: str
    refused_at: datetime
    size_bytes: int


def found(quarantine: Path) -> list[RefusedRun]:
    """The oldest first. Raises OSError."""
    with os.scandir(quarantine) as entries:
        runs = [_run(Path(one.path)) for one in entries if _is_run(one)]
    return sorted(runs, key=lambda one: (one.refused_at, one.name))


def _is_run(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and _NAME.fullmatch(entry.name) is not None


def _run(folder: Path) -> RefusedRun:
    size = sum(one.stat().st_size for one in folder.iterdir() if one.is_file())
    at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return RefusedRun(folder.name, at, size)
