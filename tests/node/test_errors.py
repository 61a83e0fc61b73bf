"""What is waited for, and what is an attempt."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from node.errors import DATABASE, DEVICE_MEMORY, DISK, STORE, awaited
from node.work import job, writing
from node.work.executor import Ticket, Verdict
from storage.errors import DatabaseUnavailable, OutOfSpace, StoreUnavailable
from storage.files.results import JobFolder
from tests.node.work.test_dispatcher import START


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DISK),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), DISK),
        (OutOfSpace("the results folder is full"), DISK),
        (StoreUnavailable("the results folder failed"), STORE),
        (OSError(errno.ESTALE, "Stale file handle"), STORE),
        (OSError(errno.EROFS, "Read-only file system"), STORE),
        (DatabaseUnavailable("no connection"), DATABASE),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), DEVICE_MEMORY),
        (RuntimeError("CUDA error: out of memory"), DEVICE_MEMORY),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), DEVICE_MEMORY),
        (RuntimeError("the shapes do not match"), ""),
        (FileNotFoundError(errno.ENOENT, "No such file"), ""),
        (PermissionError(errno.EACCES, "Permission denied"), ""),
        (MemoryError(), ""),
        (ValueError("bad"), ""),
    ],
)
def test_what_is_not_the_works_own_fault_is_waited_for(error: Exception, what: str) -> None:
    assert awaited(error) == what
    wrapped = RuntimeError("in a plugin's own words")
    wrapped.__cause__ = error
    assert awaited(wrapped) == what


def test_a_worker_says_what_a_job_waits_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    def no_room(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_results", no_room)
    ticket = Ticket(
        1, "k", "gaussian_filter", job.loaded("gaussian_filter", "cpu").version, {},
        tuple(phantom_paths), JobFolder(tmp_path), START,
    )  # fmt: skip
    outcome = job.perform(ticket, "cpu")
    assert (outcome.verdict, outcome.waits_for) == (Verdict.FAILED, DISK)
