"""The node is killed at random while two modalities push: nothing is lost, nothing comes twice."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from node.demo.ct_files import CtSeries
from node.demo.phantom import ChestPhantom
from node.dimse.errors import PeerUnavailable
from node.dimse.sender import Peer, SendResult, send
from storage.instances import InstanceStore, dataset_digest
from storage.records import JobState
from tests.node_process import Node, destination, rule
from tests.peers import Orthanc, running_orthanc

QUIET_S = 6.0
GIVE_UP_S = 2400.0
AT_ONCE = 100
"""Images a modality offers in one association: little to prepare, so much is under way."""


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder) as one:
        yield one


class Modality(threading.Thread):
    """Pushes files until each has its 0x0000; remembers which have, and when it was told so."""

    def __init__(self, name: str, files: list[Path], port: int) -> None:
        super().__init__(name=name)
        self.acknowledged: set[Path] = set()
        self._files = files
        self._peer = Peer("node", "WETREAD", "127.0.0.1", port, calling_ae=name)
        self.gave_up = False

    def run(self) -> None:
        deadline = time.monotonic() + GIVE_UP_S
        while len(self.acknowledged) < len(self._files):
            rest = [path for path in self._files if path not in self.acknowledged][:AT_ONCE]
            try:
                send(
                    rest,
                    self._peer,
                    lambda index, result, rest=rest: self._note(rest[index], result),
                )
            except PeerUnavailable:
                time.sleep(0.05)
            if time.monotonic() > deadline:
                self.gave_up = True
                return

    def _note(self, path: Path, result: SendResult) -> None:
        if result.status == 0:
            self.acknowledged.add(path)


def studies(folder: Path, number: int, slices: int) -> list[list[Path]]:
    return [
        ChestPhantom(
            shape=(slices, 64, 64),
            spacing_mm=(300 / slices, 6.0, 6.0),
            seed=seed,
            series=CtSeries(study=str(seed)),
        ).write(folder / str(seed))
        for seed in range(number)
    ]


def kill_at_random(node: Node, kills: int, seed: int, pushing: list[Modality]) -> int:
    """Kill and start the node; gives how many kills met a sender at work."""
    chance = random.Random(seed)
    under_load = 0
    for _ in range(kills):
        time.sleep(chance.uniform(0.0, 0.9))
        under_load += any(one.is_alive() for one in pushing)
        node.kill()
        node.start()
    return under_load


def check_everything(node: Node, pacs: Orthanc, files: list[list[Path]]) -> None:
    state = node.wait(
        lambda now: (
            len(now.studies) == len(files)
            and len({job.study_id for job in now.jobs}) == len(files)
            and all(study.state == "complete" for study in now.studies)
            and now.is_settled
        ),
        timeout_s=240,
    )
    assert {job.state for job in state.jobs} == {JobState.DONE}
    assert [alarm.reason for alarm in state.alarms] == []
    assert [study.instances for study in state.studies] == [len(one) for one in files]
    store = InstanceStore(node.var / "instances", node.var / "quarantine")
    assert store.unindexed() == []
    for path in (path for study in files for path in study):
        uid = pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
        assert dataset_digest(store.path(store.key_of(uid))) == dataset_digest(path)
    check_pacs(pacs, len(files))


def check_pacs(pacs: Orthanc, number_of_studies: int) -> None:
    """Each study has one SEG and one SR, each the only one of its kind."""
    found: dict[str, list[str]] = {}
    for one in pacs.instances():
        dataset = pydicom.dcmread(io.BytesIO(pacs.file(one)), stop_before_pixels=True)
        found.setdefault(str(dataset.StudyInstanceUID), []).append(str(dataset.Modality))
    assert len(found) == number_of_studies
    assert {tuple(sorted(kinds)) for kinds in found.values()} == {("SEG", "SR")}


def crash_run(tmp_path: Path, pacs: Orthanc, kills: int, slices: int, studies_each: int) -> int:
    text = destination(pacs.port) + rule("lung_segmentation")
    node = Node(tmp_path / "node", text, quiet_period_s=QUIET_S)
    files = studies(tmp_path / "studies", 2 * studies_each, slices)
    node.start()
    half = len(files) // 2
    pushing = [
        Modality(name, [path for study in part for path in study], node.port)
        for name, part in (("CT1", files[:half]), ("CT2", files[half:]))
    ]
    try:
        for one in pushing:
            one.start()
        under_load = kill_at_random(node, kills, seed=7, pushing=pushing)
        for one in pushing:
            one.join()
            assert not one.gave_up
        check_everything(node, pacs, files)
    finally:
        node.kill()
    return under_load


@pytest.mark.interop
@pytest.mark.timeout(900)
def test_fifty_kills_lose_nothing_and_double_nothing(tmp_path: Path, pacs: Orthanc) -> None:
    under_load = crash_run(tmp_path, pacs, kills=50, slices=300, studies_each=2)
    assert under_load > 10


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(3600)
def test_two_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path, pacs: Orthanc) -> None:
    under_load = crash_run(tmp_path, pacs, kills=200, slices=300, studies_each=5)
    assert under_load > 60
