"""What the stores do with files beyond reading and writing them.

Raises OSError, which ``named_errors`` turns into the errors of this package.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType

from storage.errors import OutOfSpace, StoreUnavailable

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_START_WRITING = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2)."""

_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def start_writing(descriptor: int, offset: int = 0) -> None:
    """Let the disk begin with what was written from an offset on.

    A hint: only a sync afterwards makes it durable.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, offset, 0, _START_WRITING)


def write_all(descriptor: int, data: bytearray) -> None:
    with memoryview(data) as whole:
        done = 0
        while done < len(whole):
            done += os.write(descriptor, whole[done:])


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write a synced file, under another name until it is whole: nobody meets half a file."""
    half = path.with_name(f"{path.name}.part")
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def move(path: Path, target: Path) -> None:
    """Rename; across file systems copy, sync, then delete. What is there already is replaced."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_synced(path, target)
        path.unlink()


def copy_synced(path: Path, target: Path) -> None:
    """Copy a file, under another name until it is whole: nobody meets half a file."""
    half = target.with_name(f"{secrets.token_hex(8)}.copying")
    try:
        with path.open("rb") as source, half.open("xb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
            copy.flush()
            os.fsync(copy.fileno())
        half.replace(target)
    except OSError:
        half.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class named_errors:  # noqa: N801  reads as a statement
    """Turns what the file system raises into the errors of this package."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, OSError):
            return
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        if error.errno in _FULL:
            raise OutOfSpace(f"{self._what} is full: {reason}") from error
        raise StoreUnavailable(f"{self._what} failed: {reason}") from error
