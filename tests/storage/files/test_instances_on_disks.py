"""The instance store on disks that differ, and under limits that the system sets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import storage
from storage.errors import OutOfSpace, StoreUnavailable
from storage.files.instances import InstanceStore
from storage.quarantine import RefusalKind
from storage.records import PutOutcome
from tests.instances import incoming

REPOSITORY = Path(storage.__file__ or "").parents[1]


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than ``tmp_path``."""
    own = tmp_path.stat().st_dev
    places = [one for one in ("/dev/shm", tempfile.gettempdir()) if os.access(one, os.W_OK)]
    other = next((one for one in places if Path(one).stat().st_dev != own), None)
    if other is None:
        pytest.skip(f"{' and '.join(places)} are no other file system: a second one is not tested")
    folder = Path(tempfile.mkdtemp(prefix="wetread-", dir=other))
    yield folder
    shutil.rmtree(folder)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_conflict_is_kept_whole_in_a_quarantine_on_another_disk(
    tmp_path: Path, other_disk: Path
) -> None:
    store = InstanceStore(tmp_path / "instances", other_disk / "quarantine")
    first, other = b"data set" * 500_000, b"another data set"
    with store.open_incoming() as file:
        file.write(first)
        kept = file.place("1.2")
    with store.open_incoming() as file:
        file.write(other)
        placement = file.place("1.2")
    assert placement.outcome is PutOutcome.CONFLICT
    assert (store.quarantine / placement.key).read_bytes() == other
    assert incoming(store) == [kept.incoming]
    assert store.verify(kept.key, kept.sha256)


def test_what_does_not_fit_on_the_disk_of_the_quarantine_is_refused_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    """The sender is told, and neither half a file nor a forgotten one stays."""
    if os.getuid() != 0:
        pytest.skip("only root can mount the small disk: a full quarantine is not tested")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here: a full quarantine is not tested")
    try:
        store = InstanceStore(tmp_path / "instances", small / "quarantine")
        with pytest.raises(OutOfSpace), store.open_incoming() as file:
            file.write(b"x" * 2_000_000)
            file.quarantine(RefusalKind.UNREADABLE)
        assert names(store.quarantine) == [] == incoming(store)
        with store.open_incoming() as file:
            file.write(b"x" * 1000)
            assert names(store.quarantine) == [] != [file.quarantine(RefusalKind.UNREADABLE)]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_limit_on_file_sizes_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """In a process of its own: the limit holds for all that it writes (RLIMIT_FSIZE)."""
    script = """
import resource, sys
from pathlib import Path
from storage.errors import OutOfSpace
from storage.files.instances import InstanceStore
store = InstanceStore(Path(sys.argv[1]), Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
for size in (500_000, 3_000_000, 1_000_001):
    try:
        with store.open_incoming() as file:
            file.write(b"x" * size)
            print(file.place(f"1.{size}").outcome)
    except OutOfSpace as error:
        print(error)
"""
    store = InstanceStore(tmp_path / "instances", tmp_path / "quarantine")
    ended = subprocess.run(
        [sys.executable, "-c", script, str(store.root), str(store.quarantine)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    refused = "the instance store is full: File too large"
    assert ended.stdout.splitlines() == ["new", refused, refused], ended.stderr
    assert list(store.iterate()) == [store.key_of("1.500000")]
    assert len(incoming(store)) == 1


def test_a_folder_without_hard_links_is_refused_by_the_probe(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and some network shares have none; every instance would be refused."""

    def link(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        with pytest.raises(StoreUnavailable, match="Operation not permitted"):
            store.probe()
    assert incoming(store) == []
    store.probe()


def test_what_a_probe_left_behind_is_not_taken_for_an_instance(store: InstanceStore) -> None:
    (store.incoming / "probe-1").write_bytes(b"token")
    os.link(store.incoming / "probe-1", store.incoming / "probe-1.link")
    assert store.unindexed() == []
    assert incoming(store) == []


def test_an_instance_that_is_there_already_is_synced_before_it_is_confirmed(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever placed it may not have come to that yet, and the sender is told it is safe."""
    with store.open_incoming() as file:
        file.write(b"data set")
        first = file.place("1.2")
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    with store.open_incoming() as file:
        file.write(b"data set")
        monkeypatch.setattr(os, "fsync", fsync)
        assert file.place("1.2").outcome is PutOutcome.SAME
    assert synced[1:] == [str(store.path(first.key).parent), str(store.incoming)]
