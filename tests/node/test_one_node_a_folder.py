"""Two nodes never work in one folder, whatever databases they have."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import storage
from node.app import Node
from node.commands import inspect
from node.config.load import load
from node.errors import AlreadyRunning
from storage.errors import FolderTaken
from storage.files import folder_lock
from storage.files.instances import InstanceStore
from tests.storage.files.test_instances import put

REPOSITORY = Path(storage.__file__ or "").parents[1]


def settings_in(folder: Path, extra: str = "", data_dir: str = "var") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "config.toml"
    path.write_text(
        f'[node]\ndata_dir = "{data_dir}"\n[dimse]\nport = 0\n[http]\nport = 0\n'
        f'[workers]\ndevice = "cpu"\n{extra}\n'
    )
    return path


def node_in(path: Path) -> Node:
    return Node(load(path))


def test_a_node_with_a_database_of_its_own_does_not_start_on_anothers_instances(
    tmp_path: Path,
) -> None:
    shared = f'[storage]\ninstances = "{tmp_path / "instances"}"\n'
    first = node_in(settings_in(tmp_path / "one", shared))
    try:
        waiting = put(first.store, "1.2.3", b"acknowledged, and not yet indexed")
        before = sorted(first.store.incoming.iterdir())
        with pytest.raises(AlreadyRunning, match=r"folder of instances.*storage\.instances"):
            node_in(settings_in(tmp_path / "two", shared))
        assert sorted(first.store.incoming.iterdir()) == before
        assert first.store.unindexed()[0][0] == waiting.incoming
    finally:
        first._unlock()
    second = node_in(settings_in(tmp_path / "two", shared))
    second._unlock()


def test_a_node_with_another_database_does_not_start_on_anothers_results(tmp_path: Path) -> None:
    def settings(name: str) -> Path:
        own = f'[storage]\ninstances = "{tmp_path / name}"\n'
        own += f'database = "sqlite:///{tmp_path / name}.db"\n'
        return settings_in(tmp_path / f"settings-{name}", own, str(tmp_path / "shared"))

    first = node_in(settings("one"))
    try:
        with pytest.raises(AlreadyRunning, match="results folder"):
            node_in(settings("two"))
    finally:
        first._unlock()


def test_what_could_not_be_locked_is_free_again_for_others(tmp_path: Path) -> None:
    """A start that fails over the folder keeps neither database nor folder."""
    path = settings_in(tmp_path / "one")
    store = InstanceStore(tmp_path / "one" / "var" / "instances", tmp_path / "q")
    with store.locked(), pytest.raises(AlreadyRunning):
        node_in(path)
    node_in(path)._unlock()


def test_reindex_leaves_the_folder_of_a_running_node_alone(tmp_path: Path) -> None:
    shared = f'[storage]\ninstances = "{tmp_path / "instances"}"\n'
    running = node_in(settings_in(tmp_path / "one", shared))
    try:
        with pytest.raises(FolderTaken, match="in use by another node"):
            inspect.reindex(settings_in(tmp_path / "two", shared))
    finally:
        running._unlock()
    assert inspect.reindex(settings_in(tmp_path / "two", shared)) == 0


def test_receivers_that_a_killed_node_left_are_waited_for(tmp_path: Path) -> None:
    """They write for a moment longer; who starts meanwhile would take their files away."""
    root = tmp_path / "instances"
    receivers = [InstanceStore(root, tmp_path / "q", receiver=f"receiver{n}") for n in (1, 2)]
    for one in receivers:
        one.lock()
    with pytest.raises(FolderTaken):
        folder_lock.lock(root, "the folder", ".receivers.lock")
    receivers[0].unlock()
    with pytest.raises(FolderTaken):
        folder_lock.lock(root, "the folder", ".receivers.lock")
    receivers[1].unlock()
    with (
        InstanceStore(root, tmp_path / "q").locked(),
        InstanceStore(root, tmp_path / "q", receiver="receiver1").locked(),
    ):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from storage.files.instances import InstanceStore
InstanceStore(Path(sys.argv[1]) / "i", Path(sys.argv[1]) / "q").lock()
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=REPOSITORY, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    with InstanceStore(tmp_path / "i", tmp_path / "q").locked():
        pass
