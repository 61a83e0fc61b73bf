"""A disk that reports an error when it is told to sync: never answered with success."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from node.dimse.scu.answers import SendResult
from node.dimse.scu.sender import Peer, send
from storage.files.instances import InstanceStore, dataset_digest
from tests.instances import make_dataset, write_instance
from tests.node_process import Node, running_node

pytestmark = pytest.mark.interop


@contextmanager
def failing_syncs(node: Node, error: str) -> Iterator[Path]:
    """Every fsync and fdatasync of the node, in all its threads, fails. Gives strace's report."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    assert node.process is not None
    report = node.folder / f"strace-{error}"
    calls = "fsync,fdatasync"
    command = [
        "strace", "-f", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}",
        "-o", str(report), "-p", str(node.process.pid),
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            tracer.kill()
            pytest.skip(f"strace may not attach here: {line.strip()}")
        try:
            yield report
        finally:
            tracer.terminate()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_instance_whose_sync_fails_is_refused_and_taken_when_the_disk_is_well_again(
    tmp_path: Path, error: str
) -> None:
    images = [write_instance(tmp_path / f"{n}.dcm", make_dataset(n)) for n in range(1, 9)]
    with running_node(tmp_path / "node") as node:
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        answers: dict[int, SendResult] = {}
        with failing_syncs(node, error) as report:
            send(images, peer, answers.__setitem__)
        assert [answers[number].status for number in range(8)] == [0xA700] * 8
        assert "INJECTED" in report.read_text()
        store = InstanceStore(node.var / "instances", node.var / "quarantine")
        assert not node.state().studies
        again: dict[int, SendResult] = {}
        send(images, peer, again.__setitem__)
        assert [again[number].status for number in range(8)] == [0] * 8
        assert len(list(store.iterate())) == 8
        _until_indexed(node, 8)


def _until_indexed(node: Node, instances: int) -> None:
    node.wait(lambda state: [study.instances for study in state.studies] == [instances])


@pytest.mark.timeout(120)
def test_what_was_acknowledged_before_a_disk_fails_outlives_the_crash_that_follows(
    tmp_path: Path,
) -> None:
    images = [write_instance(tmp_path / f"{n}.dcm", make_dataset(n)) for n in range(1, 6)]
    with running_node(tmp_path / "node") as node:
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        good: dict[int, SendResult] = {}
        send(images[:2], peer, good.__setitem__)
        bad: dict[int, SendResult] = {}
        with failing_syncs(node, "EIO"):
            send(images[2:], peer, bad.__setitem__)
        assert [one.status for one in good.values()] == [0, 0]
        assert {one.status for one in bad.values()} == {0xA700}
        node.kill()
        node.start()
        store = InstanceStore(node.var / "instances", node.var / "quarantine")
        for path in images[:2]:
            key = store.key_of(str(dcmread(path).SOPInstanceUID))
            assert dataset_digest(store.path(key)) == dataset_digest(path)
        again: dict[int, SendResult] = {}
        send(images, peer, again.__setitem__)
        assert {one.status for one in again.values()} == {0}
        _until_indexed(node, 5)
