"""A real node is sent instances over the web, and killed meanwhile: what it named is there."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.dimse.scu.answers import SendResult
from node.dimse.scu.sender import Peer, send
from storage.files.instances import InstanceStore, dataset_digest
from tests.end_to_end.test_sync_errors import failing_syncs
from tests.instances import make_dataset, write_instance
from tests.node.web.dicomweb.bodies import MULTIPART, file_of, multipart
from tests.node_process import Node, running_node

STUDIES = "/dicom-web/studies"
GIVE_UP_S = 1200.0


class Sender(threading.Thread):
    """Sends files, one or many in a request, until each was answered as stored."""

    def __init__(self, files: dict[str, bytes], port: int, seed: int) -> None:
        super().__init__(name=f"sender{seed}")
        self.stored: set[str] = set()
        self.answers = 0
        self._files = files
        self._port = port
        self._chance = random.Random(seed)

    def run(self) -> None:
        deadline = time.monotonic() + GIVE_UP_S
        while len(self.stored) < len(self._files) and time.monotonic() < deadline:
            left = sorted(set(self._files) - self.stored)
            some = left[: self._chance.choice((1, 1, 10, 40))]
            try:
                self._send(some)
            except (OSError, http.client.HTTPException):  # killed meanwhile
                time.sleep(0.05)

    def _send(self, some: list[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            body = multipart(*(self._files[uid] for uid in some))
            connection.request("POST", STUDIES, body, {"Content-Type": MULTIPART})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                self.stored.update(some)
                self.answers += 1
        finally:
            connection.close()


@contextmanager
def killed_at_the_end(node: Node) -> Iterator[None]:
    try:
        yield
    finally:
        node.kill()


def crash_run(folder: Path, kills: int, senders: int, files_each: int, processes: int) -> int:
    """Kill the node at random while it is sent to; gives how many kills met it at work."""
    node = Node(folder / "node", quiet_period_s=3600.0, dimse=f"processes = {processes}")
    datasets = [_study(f"1.2.3.{one}", 9999 * one, files_each) for one in range(senders)]
    sending = [
        Sender({one.SOPInstanceUID: file_of(one) for one in some}, node.http_port, number)
        for number, some in enumerate(datasets)
    ]
    chance, at_work = random.Random(5), 0
    with killed_at_the_end(node):
        node.start()
        for one in sending:
            one.start()
        for _ in range(kills):
            before = answers = sum(one.answers for one in sending)
            deadline = time.monotonic() + chance.choice((0.0, 5.0, 5.0, 5.0))
            while answers == before and time.monotonic() < deadline:
                time.sleep(0.01)  # most kills meet a node that has begun to answer
                answers = sum(one.answers for one in sending)
            time.sleep(chance.uniform(0.0, 0.7))
            node.kill()
            at_work += sum(one.answers for one in sending) > before
            node.start()
        for one in sending:
            one.join()
        _check(node, sending)
    return at_work


def _study(study_instance_uid: str, seed: int, files: int) -> list[Dataset]:
    return [
        make_dataset(seed + number, StudyInstanceUID=study_instance_uid) for number in range(files)
    ]


def _check(node: Node, sending: list[Sender]) -> None:
    """All that was answered as stored is there with its bytes and indexed; nothing else is."""
    files = {uid: file for one in sending for uid, file in one._files.items()}
    assert {uid for one in sending for uid in one.stored} == set(files)
    node.wait(lambda now: sum(study.instances for study in now.studies) == len(files))
    assert node.stop() == 0
    assert node.state().alarms == []
    store = InstanceStore(node.var / "instances", node.var / "quarantine")
    assert store.unindexed() == []
    assert len(list(store.iterate())) == len(files)
    assert list(store.quarantine.iterdir()) == []
    for uid, file in files.items():
        sent = node.folder / "sent.dcm"
        sent.write_bytes(file)
        assert dataset_digest(store.path(store.key_of(uid))) == dataset_digest(sent)


@pytest.mark.timeout(300)
def test_two_kills_lose_nothing_that_was_answered_as_stored(tmp_path: Path) -> None:
    crash_run(tmp_path, kills=2, senders=2, files_each=100, processes=1)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_forty_kills_lose_nothing_that_was_answered_as_stored(tmp_path: Path) -> None:
    at_work = crash_run(tmp_path, kills=40, senders=4, files_each=3000, processes=2)
    print(f"{at_work} of 40 kills met a node that had just answered")
    assert at_work > 10


@pytest.mark.interop
@pytest.mark.timeout(120)
def test_files_whose_sync_fails_are_to_be_sent_again(tmp_path: Path) -> None:
    datasets = [make_dataset(seed) for seed in range(8)]
    sender = Sender({one.SOPInstanceUID: file_of(one) for one in datasets}, 0, 0)
    with running_node(tmp_path / "node") as node:
        sender._port = node.http_port
        with failing_syncs(node, "EIO") as report:
            sender._send(sorted(sender._files))
        assert (sender.stored, "INJECTED" in report.read_text()) == (set(), True)
        store = InstanceStore(node.var / "instances", node.var / "quarantine")
        assert not node.state().studies
        sender._send(sorted(sender._files))
        assert sender.stored == set(sender._files)
        assert all(store.path(store.key_of(uid)).exists() for uid in sender.stored)


@pytest.mark.timeout(120)
def test_over_the_web_and_by_c_store_the_same_instances_are_the_same(tmp_path: Path) -> None:
    datasets = [make_dataset(seed) for seed in range(60)]
    paths = [write_instance(tmp_path / f"{n}.dcm", one) for n, one in enumerate(datasets)]
    files = {one.SOPInstanceUID: file_of(one) for one in datasets}
    with running_node(tmp_path / "node", dimse="processes = 2") as node:
        web = Sender(files, node.http_port, seed=1)
        for number, one in enumerate(datasets[:3], 1):
            web._send([one.SOPInstanceUID])
            url = f"{STUDIES}/{one.StudyInstanceUID}/instances"  # what is answered is found
            assert len(node.get(url).json()) == number
            assert len(node.get("/dicom-web/instances").json()) == number
        web.start()
        answers: dict[int, SendResult] = {}
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        send(paths, peer, answers.__setitem__)
        web.join()
        assert {one.status for one in answers.values()} == {0}
        assert web.stored == set(files)
        state = node.wait(lambda now: [one.state for one in now.studies] == ["complete"])
        assert [study.instances for study in state.studies] == [60]
        metrics = node.get("/metrics").text
        assert 'wetread_instances_total{answer="stored"} 120.0' in metrics
        assert "wetread_uploads 0.0" in metrics
