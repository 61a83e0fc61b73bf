"""The node is killed at random while modalities push: nothing is lost, nothing comes twice."""

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
from node.dimse.scu.answers import SendResult
from node.dimse.scu.sender import Peer, send
from storage import holdings, index
from storage.database import open_database
from storage.files.blobs import Blob, Files, sha256_of
from storage.files.instances import InstanceStore, dataset_digest
from storage.holdings import Selection
from storage.records import JobState
from tests.node_process import Node, destination, rule
from tests.peers import Orthanc, running_orthanc

QUIET_S = 20.0
"""Longer than a start on a busy machine: a study that is still pushed must not be analyzed."""
GIVE_UP_S = 3300.0
AT_ONCE = 100
"""Images a modality offers in one association: little to prepare, so much is under way."""


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with running_orthanc(folder) as one:
        yield one


class Modality(threading.Thread):
    """Pushes files until each has its 0x0000, and again until ``enough`` is set."""

    def __init__(self, name: str, files: list[Path], port: int, enough: threading.Event) -> None:
        super().__init__(name=name)
        self.acknowledged: set[Path] = set()
        self.answers = 0
        """0x0000 in all: more than files where some were sent again."""
        self._enough = enough
        self._files = files
        self._peer = Peer("node", "WETREAD", "127.0.0.1", port, calling_ae=name)
        self.gave_up = False

    def run(self) -> None:
        deadline = time.monotonic() + GIVE_UP_S
        while len(self.acknowledged) < len(self._files) or not self._enough.is_set():
            rest = [path for path in self._files if path not in self.acknowledged][:AT_ONCE]
            rest = rest or random.Random(self.answers).sample(self._files, AT_ONCE // 4)
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
            self.answers += 1
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
    """Kill and start the node; gives how many kills met one that had answered 0x0000.

    Three of four kills wait for the first answer, so that a busy machine changes nothing.
    """
    chance = random.Random(seed)
    under_load = 0
    for kill in range(kills):
        before = answers = sum(one.answers for one in pushing)
        deadline = time.monotonic() + chance.choice((0.0, 5.0, 5.0, 5.0))
        while answers == before and time.monotonic() < deadline:
            time.sleep(0.01)
            answers = sum(one.answers for one in pushing)
        time.sleep(chance.uniform(0.0, 0.9))
        node.kill()
        answers = sum(one.answers for one in pushing)
        under_load += answers > before
        if kill % 20 == 19:
            first = sum(len(one.acknowledged) for one in pushing)
            print(f"{kill + 1} kills, {under_load} at work, {answers} answers, {first} images")
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
    check_results(node, len(files))
    check_pacs(pacs, len(files))


def check_results(node: Node, number_of_studies: int) -> None:
    """Each study holds its SEG and SR as instances of its own, with the bytes of their files."""
    database = open_database(f"sqlite:///{node.var / 'wetread.db'}")
    results = Files(node.var / "results")
    try:
        with database.read() as tx:
            studies = tuple(one.study_instance_uid for one in index.list_studies(tx))
            everything = holdings.select(tx, Selection(study_uids=studies), limit=1_000_000)
            held = [one for one in everything if one.own]
    finally:
        database.close()
    assert len(held) == 2 * number_of_studies == len({one.series_instance_uid for one in held})
    for one in held:
        assert sha256_of(Blob(results, one.key)) == one.sha256


def check_pacs(pacs: Orthanc, number_of_studies: int) -> None:
    """Each study has one SEG and one SR, each the only one of its kind."""
    found: dict[str, list[str]] = {}
    for one in pacs.instances():
        dataset = pydicom.dcmread(io.BytesIO(pacs.file(one)), stop_before_pixels=True)
        found.setdefault(str(dataset.StudyInstanceUID), []).append(str(dataset.Modality))
    assert len(found) == number_of_studies
    assert {tuple(sorted(kinds)) for kinds in found.values()} == {("SEG", "SR")}


def crash_run(tmp_path: Path, pacs: Orthanc, kills: int, slices: int, modalities: int) -> int:
    """One study for each modality; gives how many kills met the node at work."""
    text = destination(pacs.port) + rule("lung_segmentation")
    node = Node(tmp_path / "node", text, quiet_period_s=QUIET_S, is_alone=True)
    files = studies(tmp_path / "studies", modalities, slices)
    node.start()
    enough = threading.Event()
    pushing = [
        Modality(f"CT{number}", study, node.port, enough) for number, study in enumerate(files)
    ]
    try:
        for one in pushing:
            one.start()
        under_load = kill_at_random(node, kills, seed=7, pushing=pushing)
        enough.set()
        for one in pushing:
            one.join()
            assert not one.gave_up
        check_everything(node, pacs, files)
    finally:
        node.kill()
    return under_load


@pytest.mark.interop
@pytest.mark.timeout(900)
def test_two_kills_lose_nothing_and_double_nothing(tmp_path: Path, pacs: Orthanc) -> None:
    under_load = crash_run(tmp_path, pacs, kills=2, slices=100, modalities=2)
    assert under_load > 0


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(3600)
def test_two_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path, pacs: Orthanc) -> None:
    under_load = crash_run(tmp_path, pacs, kills=200, slices=500, modalities=8)
    print(f"{under_load} of 200 kills met a node that had answered within its last second")
    assert under_load > 100
