"""A study is complete when its sender says that it has no more of it; events, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from node.config.tables import CompletionSettings
from node.dimse.scu.sender import Peer, send
from node.fetch.told import APART, REST, Told
from node.intake.completion import TOLD, Completion
from node.intake.planning import Planner
from storage import events, index
from storage.records import StudyState
from tests.instances import write_instance
from tests.node.fetch.archives import FakeArchive, running_archive, running_dcmqrscp, study
from tests.node.fetch.ward import Ward, running_ward
from tests.peers import running_orthanc

START = datetime(2030, 5, 4, 12, tzinfo=UTC)
QUIET_S = 3600


def store(images: list[Dataset], to: Peer, folder: Path) -> None:
    files = [write_instance(folder / f"{n}.dcm", one) for n, one in enumerate(images)]
    outcomes: list[int | None] = []
    send(files, to, lambda _, result: outcomes.append(result.status))
    assert outcomes == [0] * len(images)


@dataclass
class Listener:
    """A ward, and a completion that believes senders; its clock stands still."""

    ward: Ward
    peer: Peer
    folder: Path
    now: datetime = START
    sending: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.told = Told(
            {self.peer.ae_title: self.ward.dimse(self.peer)},
            self.ward.database,
            lambda: self.sending,
            lambda: self.now,
        )
        self.completion = Completion(
            self.ward.database,
            CompletionSettings(quiet_period_s=QUIET_S),
            Planner((), {}),
            lambda: self.sending,
            lambda: self.now,
            told=self.told.vouched,
        )

    def receive(self, images: list[Dataset], by: str = "") -> None:
        by = by or self.peer.ae_title
        store(images, Peer("node", "WETREAD", "127.0.0.1", self.ward.server.port, by), self.folder)
        self.ward.indexer.catch_up()

    def asked(self, times: int = 2) -> StudyState:
        """Ask so many times, each when the next answer would count."""
        for _ in range(times):
            self.told.step()
            self.completion.step()
            self.now += APART
        with self.ward.database.read() as tx:
            (found,) = index.list_studies(tx)
        return found.state

    def reasons(self) -> list[str]:
        with self.ward.database.read() as tx:
            return [one.reason for one in events.list_events(tx)]


@pytest.fixture
def archive() -> Iterator[FakeArchive]:
    with running_archive(study(1, 3)) as running:
        yield running


@pytest.fixture
def listener(tmp_path: Path, archive: FakeArchive) -> Iterator[Listener]:
    with running_ward(tmp_path) as ward:
        yield Listener(ward, archive.peer, tmp_path)


def test_all_that_the_sender_has_is_there_and_the_study_is_complete(listener: Listener) -> None:
    listener.receive(study(1, 3))
    assert listener.asked(1) is StudyState.RECEIVING, "it may itself still receive"
    assert listener.asked(2) is StudyState.COMPLETE
    assert TOLD in listener.reasons()


def test_a_sender_that_has_more_is_waited_for(listener: Listener, archive: FakeArchive) -> None:
    archive.held = study(1, 4)
    listener.receive(study(1, 3))
    assert listener.asked(3) is StudyState.RECEIVING
    listener.receive(study(1, 4)[3:])
    assert listener.asked(2) is StudyState.COMPLETE


def test_an_archive_that_receives_what_it_sends_on_does_not_complete_the_study(
    listener: Listener, archive: FakeArchive
) -> None:
    for so_many in (1, 2, 3):
        archive.held = study(1, so_many)
        listener.receive(study(1, so_many)[so_many - 1 :])
        assert listener.asked(1) is StudyState.RECEIVING, so_many
    assert listener.asked(1) is StudyState.COMPLETE


def test_while_the_sender_is_connected_it_is_not_asked(
    listener: Listener, archive: FakeArchive
) -> None:
    listener.receive(study(1, 3))
    listener.sending.add("2.25.2")
    assert listener.asked(3) is StudyState.RECEIVING
    assert archive.requests == []


def test_images_of_somebody_else_leave_the_study_to_the_quiet_period(listener: Listener) -> None:
    listener.receive(study(1, 2))
    listener.receive(study(1, 3)[2:], by="SOMEBODY")
    assert listener.asked(3) is StudyState.RECEIVING


def test_a_late_image_opens_the_study_again(listener: Listener, archive: FakeArchive) -> None:
    listener.receive(study(1, 3))
    assert listener.asked(2) is StudyState.COMPLETE
    archive.held = study(1, 4)
    listener.receive(study(1, 4)[3:])
    assert listener.asked(1) is StudyState.RECEIVING
    assert listener.asked(1) is StudyState.COMPLETE


def test_an_archive_that_does_not_answer_is_said_once_and_left_alone(
    listener: Listener, archive: FakeArchive
) -> None:
    archive.find_status = 0xC000
    listener.receive(study(1, 3))
    with capture_logs() as lines:
        assert listener.asked(5) is StudyState.RECEIVING
    assert [one["event"] for one in lines].count("sender_did_not_tell") == 1
    assert "2.25.2" not in str(lines)
    archive.find_status = 0
    listener.now += REST
    assert listener.asked(2) is StudyState.COMPLETE


def test_without_an_answer_the_quiet_period_ends_the_wait(
    listener: Listener, archive: FakeArchive
) -> None:
    archive.find_status = 0xC000
    listener.receive(study(1, 3))
    with listener.ward.database.read() as tx:
        (found,) = index.list_studies(tx)
    listener.now = max(listener.now, found.last_received_at) + timedelta(seconds=QUIET_S + 1)
    assert listener.asked(1) is StudyState.COMPLETE
    assert TOLD not in listener.reasons()


def prove(folder: Path, peer: Peer) -> None:
    store(study(1, 3), peer, folder)
    with running_ward(folder) as ward:
        listener = Listener(ward, peer, folder)
        listener.receive(study(1, 2))
        assert listener.asked(2) is StudyState.RECEIVING
        listener.receive(study(1, 3)[2:])
        assert listener.asked(2) is StudyState.COMPLETE


@pytest.mark.interop
def test_orthanc_tells_what_it_has(tmp_path: Path) -> None:
    with running_orthanc(tmp_path) as orthanc:
        orthanc.name_modality("wetread", "WETREAD", 1)
        prove(tmp_path, Peer("orthanc", "ORTHANC", "127.0.0.1", orthanc.port, "WETREAD"))


@pytest.mark.interop
def test_dcmqrscp_tells_what_it_has(tmp_path: Path) -> None:
    with running_dcmqrscp(tmp_path / "qrscp", {}) as peer:
        prove(tmp_path, peer)
