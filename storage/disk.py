"""What the stores do with files beyond reading and writing them.

Raises OSError, which ``named_errors`` turns into the errors of this package.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import OutOfSpace, StoreUnavailable

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def move(path: Path, target: Path) -> None:
    """Rename; across file systems copy, sync, then delete."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            with path.open("rb") as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError:
            target.unlink(missing_ok=True)
            raise
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Turn what the file system raises into the errors of this package."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        if error.errno in _FULL:
            raise OutOfSpace(f"{what} is full: {reason}") from error
        raise StoreUnavailable(f"{what} failed: {reason}") from error
