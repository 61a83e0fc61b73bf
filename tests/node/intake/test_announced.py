"""Completion by announcement: at once, not yet, or after a wait in vain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.config.tables import CompletionSettings
from node.intake.completion import Completion
from node.intake.planning import Planner
from node.observe.gaps import GapWatch
from storage import announcements, events, gaps, index
from storage.announcements import NewAnnouncement
from storage.database import Database, open_database
from storage.records import (
    AnnouncementKind,
    AnnouncementState,
    Reference,
    Stage,
    StepStatus,
    StudyRow,
    StudyState,
)
from tests.storage.samples import record

START = datetime(2030, 5, 4, 12, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.3"


@dataclass
class Ward:
    """A database, a clock and a completion that looks after both."""

    database: Database
    now: datetime = START
    sending: set[str] = field(default_factory=set)
    indexing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        settings = CompletionSettings(
            quiet_period_s=60, open_association_quiet_s=120, announced_wait_s=600
        )
        self.completion = Completion(
            self.database,
            settings,
            Planner((), {}),
            lambda: self.sending,
            lambda: self.now,
            lambda: self.indexing,
        )
        self.watch = GapWatch(self.database, 1800, lambda: self.now)
        self.now += timedelta(seconds=60)  # the first minute is for senders to come back

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def receive(self, *numbers: int, series: str = f"{STUDY}.1") -> None:
        with self.database.write() as tx:
            index.add(tx, [record(n, STUDY, series, self.now) for n in numbers])

    def announce(
        self,
        *numbers: int,
        status: StepStatus = StepStatus.COMPLETED,
        kind: AnnouncementKind = AnnouncementKind.MPPS,
        uid: str = "9.1",
    ) -> None:
        named = tuple(Reference(CT, f"{STUDY}.1.{n}") for n in numbers)
        new = NewAnnouncement(kind, uid, "CT1", status, (STUDY,), named, {})
        with self.database.write() as tx:
            announcements.enter(tx, new, self.now)

    def end_step(self, *numbers: int, status: StepStatus = StepStatus.COMPLETED) -> None:
        named = [Reference(CT, f"{STUDY}.1.{n}") for n in numbers]
        with self.database.write() as tx:
            step = announcements.find(tx, AnnouncementKind.MPPS, "9.1")
            assert step is not None
            announcements.change(tx, step, self.now, status, {}, named)

    def step(self) -> StudyState:
        self.completion.step()
        return self.study.state

    @property
    def study(self) -> StudyRow:
        with self.database.read() as tx:
            (found,) = index.list_studies(tx)
        return found

    @property
    def announced(self) -> AnnouncementState:
        with self.database.read() as tx:
            return announcements.of_study(tx, STUDY)[0].state

    @property
    def alarms(self) -> list[str]:
        with self.database.read() as tx:
            return [one.reason for one in events.open_alarms(tx)]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield Ward(database)
    database.close()


@pytest.mark.parametrize("kind", [AnnouncementKind.MPPS, AnnouncementKind.IAN])
def test_when_all_announced_instances_are_there_the_study_is_complete_at_once(
    ward: Ward, kind: AnnouncementKind
) -> None:
    ward.sending.add(STUDY)  # even while its sender stays connected
    ward.receive(1, 2, 3)
    assert ward.step() is StudyState.RECEIVING
    ward.announce(1, 2, 3, kind=kind)
    assert ward.step() is StudyState.COMPLETE
    with ward.database.read() as tx:
        assert "every announced instance is there" in [
            one.reason for one in events.list_events(tx, subject_id=ward.study.id)
        ]


def test_the_last_announced_instance_completes_the_study(ward: Ward) -> None:
    ward.announce(1, 2, 3)
    ward.receive(1, 2)
    ward.pass_s(500)
    assert ward.step() is StudyState.RECEIVING, "the quiet period is over, but one is missing"
    ward.receive(3)
    assert ward.step() is StudyState.COMPLETE
    assert ward.announced is AnnouncementState.ARRIVED
    assert ward.alarms == []


def test_what_is_stored_and_not_yet_indexed_is_waited_for(ward: Ward) -> None:
    ward.receive(1, 2)
    ward.announce(1, 2)
    ward.indexing.add(STUDY)
    assert ward.step() is StudyState.RECEIVING
    ward.indexing.clear()
    assert ward.step() is StudyState.COMPLETE


def test_instances_that_nobody_announced_leave_the_study_to_the_quiet_period(ward: Ward) -> None:
    ward.receive(1, 2)
    ward.receive(1, series=f"{STUDY}.2")
    ward.announce(1, 2)
    assert ward.step() is StudyState.RECEIVING
    ward.pass_s(60)
    assert ward.step() is StudyState.COMPLETE


def test_a_commitment_request_alone_does_not_shorten_the_quiet_period(ward: Ward) -> None:
    ward.receive(1, 2)
    ward.announce(1, 2, kind=AnnouncementKind.COMMITMENT)
    assert ward.step() is StudyState.RECEIVING
    ward.pass_s(60)
    assert ward.step() is StudyState.COMPLETE


def test_a_step_in_progress_holds_the_study_open_until_it_ends(ward: Ward) -> None:
    ward.announce(status=StepStatus.IN_PROGRESS)
    ward.receive(1, 2)
    ward.pass_s(400)
    assert ward.step() is StudyState.RECEIVING
    ward.end_step(1, 2)
    assert ward.step() is StudyState.COMPLETE


def test_a_discontinued_step_leaves_its_study_to_the_quiet_period(ward: Ward) -> None:
    ward.announce(status=StepStatus.IN_PROGRESS)
    ward.receive(1, 2)
    ward.end_step(1, 2, 3, status=StepStatus.DISCONTINUED)
    assert ward.step() is StudyState.RECEIVING
    ward.pass_s(60)
    assert ward.step() is StudyState.COMPLETE
    ward.pass_s(3600)
    ward.watch.step()
    assert ward.alarms == []


def test_after_the_wait_the_study_goes_on_and_the_gap_is_an_alarm(ward: Ward) -> None:
    ward.receive(1, 2)
    ward.announce(1, 2, 3)
    ward.pass_s(600)
    assert ward.step() is StudyState.RECEIVING
    ward.pass_s(1)
    assert ward.step() is StudyState.COMPLETE
    assert ward.announced is AnnouncementState.GIVEN_UP
    (change,) = ward.watch.step()
    assert (change.gap.stage, change.gap.missing) == (Stage.RECEIVED, 1)
    assert ward.alarms == ["images that were announced have not come"]
    assert ward.watch.step() == []


def test_the_alarm_of_a_gap_goes_when_the_images_come_after_all(ward: Ward) -> None:
    ward.receive(1, 2)
    ward.announce(1, 2, 3)
    ward.pass_s(601)
    ward.step()
    ward.watch.step()
    ward.receive(3)
    assert ward.step() is StudyState.COMPLETE
    assert ward.study.generation == 2
    assert ward.announced is AnnouncementState.ARRIVED
    (change,) = ward.watch.step()
    assert change.closed
    assert ward.alarms == []


def test_a_study_that_was_announced_and_never_came_is_an_alarm(ward: Ward) -> None:
    ward.announce(1, 2, 3)
    ward.pass_s(601)
    ward.completion.step()
    (change,) = ward.watch.step()
    assert (change.gap.study_id, change.gap.missing) == (None, 3)
    assert ward.alarms == ["images that were announced have not come"]


def test_a_step_without_an_end_is_an_alarm_only_when_it_is_old(ward: Ward) -> None:
    ward.announce(status=StepStatus.IN_PROGRESS)
    ward.receive(1)
    ward.pass_s(601)
    assert ward.step() is StudyState.COMPLETE
    assert ward.watch.step() == []
    ward.pass_s(1200)
    assert len(ward.watch.step()) == 1
    ward.end_step(1)
    assert ward.step() is StudyState.COMPLETE
    ward.watch.step()
    assert ward.alarms == []


def test_a_study_that_stays_open_is_a_gap(ward: Ward) -> None:
    ward.receive(1)
    ward.pass_s(1801)
    (change,) = ward.watch.step()
    assert change.gap.stage is Stage.COMPLETED
    with ward.database.read() as tx:
        assert gaps.count_open(tx)[Stage.COMPLETED] == 1
