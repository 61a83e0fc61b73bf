"""What the kernel tells of processes: their memory, what descends from them, who was out of memory.

Reads Linux's /proc; elsewhere nothing is known, and no limit of memory is held.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_OWN_KB = ("RssAnon:", "RssShmem:", "VmSwap:")
"""What a process has taken itself; pages of files (libraries, mapped weights) cost nobody else."""


@dataclass(frozen=True, slots=True)
class _Status:
    pid: int
    parent: int
    session: int


def held_mb(pid: int) -> int:
    """Memory that a process holds itself, in MB; 0 when it is gone."""
    return _sum_mb(PROC / str(pid) / "status", _OWN_KB)


def family_mb(pid: int) -> int:
    """Memory of what a process has started, in MB, each shared page counted once."""
    return sum(
        _sum_mb(PROC / str(one) / "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:", "SwapPss:"))
        for one in family(pid)
    )


def family(pid: int) -> tuple[int, ...]:
    """What descends from a process, or was left behind in the session that it leads."""
    alive = list(_all())
    found = {one.pid for one in alive if one.session == pid and one.pid != pid}
    grown = True
    while grown:
        more = {one.pid for one in alive if one.parent in found or one.parent == pid} - found
        grown = bool(more)
        found |= more
    return tuple(sorted(found))


def parent(pid: int | None) -> int | None:
    """Who has started a process; None when it is gone, or nothing is known of it."""
    found = None if pid is None else _status(PROC / str(pid))
    return None if found is None else found.parent


def kill_family(pid: int) -> None:
    """End what descends from a process."""
    for one in family(pid):
        kill(one)


def kill_with_family(pid: int) -> None:
    """End a process first, so that it starts nothing more, then what descends from it."""
    found = family(pid)
    kill(pid)
    for one in {*found, *family(pid)}:
        kill(one)


def out_of_memory_kills() -> int:
    """How many processes the kernel has ended for want of memory since the machine was started."""
    for line in _lines(PROC / "vmstat"):
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def kill(pid: int) -> None:
    """End a process now, if it is there."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _all() -> Iterator[_Status]:
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        found = _status(entry) if entry.name.isdigit() else None
        if found is not None:
            yield found


def _status(entry: Path) -> _Status | None:
    text = "".join(_lines(entry / "stat"))
    state, *fields = text.rpartition(")")[2].split()[:4] or [""]
    if len(fields) != 3 or state == "Z":
        return None
    return _Status(int(entry.name), int(fields[0]), int(fields[2]))


def _sum_mb(path: Path, names: tuple[str, ...]) -> int:
    return sum(int(line.split()[1]) for line in _lines(path) if line.startswith(names)) // 1024


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
