"""Files made before they are needed: none stays behind when not all can be made."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import storage
import storage.files.ready_files as module
from storage.errors import StoreUnavailable
from storage.files.instances import InstanceStore
from storage.files.ready_files import ReadyFiles
from storage.records import PutOutcome
from tests.storage.files.test_instances import put

REPOSITORY = Path(storage.__file__ or "").parents[1]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def no_more_than(monkeypatch: pytest.MonkeyPatch, folder: Path, limit: int) -> None:
    """The folder takes no more files than that, as with a quota of inodes."""
    real = os.open

    def guarded(path: str, flags: int, *rest: int) -> int:
        is_new = flags & os.O_CREAT and Path(path).parent == folder
        if is_new and len(names(folder)) >= limit:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", guarded)


@pytest.mark.parametrize("room", [1, 5, 50])
def test_where_not_all_can_be_made_some_are_and_instances_are_still_received(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    no_more_than(monkeypatch, store.incoming, room)
    for number in range(100):
        placement = put(store, f"1.{number}", b"data set")
        assert placement.outcome is PutOutcome.NEW
        store.settle([placement])
        assert len(names(store.incoming)) <= room


def test_where_none_can_be_made_nothing_is_left_of_the_attempts(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_more_than(monkeypatch, store.incoming, 0)
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            store.open_incoming()
    assert names(store.incoming) == []


def test_where_their_names_cannot_be_synced_none_is_left_and_later_all_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ReadyFiles(tmp_path, "", sync=True)

    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(module, "sync_folder", broken)
        for _ in range(10):
            with pytest.raises(OSError, match="Input/output"):
                files.take()
    assert names(tmp_path) == []
    for _ in range(4 * module._AT_ONCE):
        files.take().discard()
    assert len(names(tmp_path)) > module._AT_ONCE // 4


def test_a_process_that_may_open_few_files_receives_and_leaves_none_behind(tmp_path: Path) -> None:
    """In a process of its own: the limit holds for all that it opens (RLIMIT_NOFILE)."""
    script = """
import os, resource, sys
from pathlib import Path
from storage.files.instances import InstanceStore
store = InstanceStore(Path(sys.argv[1]) / "i", Path(sys.argv[1]) / "q")
spare = len(os.listdir("/proc/self/fd")) + 20
resource.setrlimit(resource.RLIMIT_NOFILE, (spare, spare))
for number in range(50):
    with store.open_incoming() as file:
        file.write(b"data set")
        placement = file.place(f"1.{number}")
    store.settle([placement])
print(placement.outcome, len(os.listdir(store.incoming)) <= 20)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.stdout.split() == ["new", "True"], ended.stderr
