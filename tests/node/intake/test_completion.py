"""When a study is complete, and what is entered then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest

from node.config.rules import RuleSettings
from node.config.tables import CompletionSettings
from node.intake.completion import LEAST_S, LOOK_S, Completion
from node.intake.planning import Planner
from node.news import News
from storage import events, index, ledger
from storage.database import Database, Transaction, open_database
from storage.header.attributes import extract
from storage.records import (
    InstanceRecord,
    Job,
    JobState,
    Placement,
    Priority,
    PutOutcome,
    StudyRow,
    StudyState,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULE = RuleSettings(name="chest", when={"Modality": "CT"}, analyzers=("gaussian_filter",))


@dataclass
class Ward:
    """A database, a clock, and who is still sending."""

    database: Database
    paths: list[Path]
    now: datetime = START
    sending: set[str] = field(default_factory=set)

    def completion(self, *rules: RuleSettings) -> Completion:
        return Completion(
            self.database,
            CompletionSettings(quiet_period_s=5, open_association_quiet_s=60),
            Planner(rules, {}),
            lambda: self.sending,
            lambda: self.now,
        )

    def receive(self, *numbers: int) -> None:
        self.enter({n: pydicom.dcmread(self.paths[n], stop_before_pixels=True) for n in numbers})

    def enter(self, datasets: dict[int, pydicom.Dataset]) -> None:
        records = []
        for number, dataset in datasets.items():
            attributes = extract(dataset)
            placement = Placement(PutOutcome.NEW, f"key{number}", 1, f"{number:064d}", "")
            records.append(InstanceRecord(attributes, placement, self.now, "CT1"))
        with self.database.write() as tx:
            index.add(tx, records)

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def study(self) -> StudyRow:
        with self.database.read() as tx:
            return index.list_studies(tx)[0]

    @property
    def jobs(self) -> list[Job]:
        with self.database.read() as tx:
            return sorted(ledger.list_jobs(tx), key=lambda job: job.id)


@pytest.fixture
def ward(tmp_path: Path, phantom_paths: list[Path]) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield Ward(database, phantom_paths)
    database.close()


def test_a_study_is_complete_after_the_quiet_period_and_its_jobs_are_entered(ward: Ward) -> None:
    completion = ward.completion(RULE)
    ward.pass_s(10)
    ward.receive(0, 1, 2)
    ward.pass_s(4.9)
    assert completion.step() == 0
    assert ward.study.state is StudyState.RECEIVING
    ward.pass_s(0.1)
    assert completion.step() == 1
    assert ward.study.state is StudyState.COMPLETE
    assert [job.analyzer for job in ward.jobs] == ["gaussian_filter"]


def test_the_next_step_waits_for_the_end_of_a_quiet_period_and_no_longer(ward: Ward) -> None:
    completion = ward.completion(RULE)
    completion.step()
    assert completion.rest_s() == LOOK_S
    ward.receive(0)
    ward.pass_s(4.9)
    completion.step()
    assert completion.rest_s() == pytest.approx(0.1)
    assert completion.rest_s() == LOOK_S  # the step that follows may be left out
    completion.step()
    ward.pass_s(0.2)
    assert completion.rest_s() == LEAST_S
    ward.sending.add(ward.study.study_instance_uid)
    completion.step()
    assert completion.rest_s() == LOOK_S  # nobody knows when its sender goes


def test_a_sender_that_stays_connected_keeps_its_study_open_for_longer(ward: Ward) -> None:
    completion = ward.completion(RULE)
    ward.receive(0, 1)
    ward.sending.add(ward.study.study_instance_uid)
    ward.pass_s(59)
    assert completion.step() == 0
    ward.pass_s(2)
    assert completion.step() == 1


def test_after_a_start_senders_get_the_quiet_period_to_come_back(ward: Ward) -> None:
    ward.receive(0, 1)
    ward.pass_s(3600)
    completion = ward.completion(RULE)
    ward.pass_s(4)
    assert completion.step() == 0
    ward.pass_s(1)
    assert completion.step() == 1


def test_a_late_image_reopens_the_study_and_a_second_job_supersedes_the_first(ward: Ward) -> None:
    completion = ward.completion(RULE)
    ward.pass_s(10)
    ward.receive(0, 1)
    ward.pass_s(5)
    completion.step()
    ward.receive(2)
    assert ward.study.state is StudyState.RECEIVING
    ward.pass_s(5)
    assert completion.step() == 1
    first, second = ward.jobs
    assert second.predecessor_id == first.id
    assert first.state is JobState.NOT_APPLICABLE
    assert first.reason == f"superseded by job {second.id} before it ran"
    assert ward.study.generation == 2


def test_the_same_image_again_neither_reopens_nor_runs_anything(ward: Ward) -> None:
    completion = ward.completion(RULE)
    ward.pass_s(10)
    ward.receive(0, 1)
    ward.pass_s(5)
    completion.step()
    ward.receive(0, 1)
    ward.pass_s(5)
    assert completion.step() == 0
    assert len(ward.jobs) == 1


def test_a_study_that_no_rule_concerns_says_so(ward: Ward) -> None:
    mr = RuleSettings(name="brain", when={"Modality": "MR"}, analyzers=("gaussian_filter",))
    completion = ward.completion(mr)
    ward.pass_s(10)
    ward.receive(0)
    ward.pass_s(5)
    assert completion.step() == 0
    assert ward.study.state is StudyState.COMPLETE
    assert "rule 'brain'" in ward.study.note
    assert "Modality is CT, not MR" in ward.study.note


def test_a_study_whose_series_are_all_refused_enters_a_job_that_will_say_so(ward: Ward) -> None:
    lungs = RuleSettings(name="lungs", when={"Modality": "CT"}, analyzers=("lung_segmentation",))
    completion = ward.completion(lungs)
    ward.pass_s(10)
    ward.receive(0)
    ward.pass_s(5)
    assert completion.step() == 1
    (job,) = ward.jobs
    assert job.refusals
    assert "slices" in job.refusals[0]


def test_two_rules_for_one_analysis_share_a_job_with_all_destinations(ward: Ward) -> None:
    urgent = RULE.model_copy(
        update={"name": "urgent", "destinations": ("b", "a"), "priority": Priority.URGENT}
    )
    completion = ward.completion(RULE.model_copy(update={"destinations": ("a",)}), urgent)
    ward.pass_s(10)
    ward.receive(0, 1)
    ward.pass_s(5)
    assert completion.step() == 1
    (job,) = ward.jobs
    assert job.destinations == ("a", "b")
    assert job.priority is Priority.URGENT


def test_a_study_that_cannot_be_planned_raises_an_alarm_and_holds_up_no_other(ward: Ward) -> None:
    class FaultyPlanner(Planner):
        def plan(self, tx: Transaction, study_id: int, at: datetime) -> int:
            raise KeyError("a fault of ours")

    completion = ward.completion(RULE)
    completion._planner = FaultyPlanner((RULE,), {})
    ward.pass_s(10)
    ward.receive(0)
    ward.pass_s(5)
    assert completion.step() == 0
    assert ward.study.state is StudyState.COMPLETE
    assert ward.study.note == "not analyzed: a fault of this node (KeyError), see its log"
    assert ward.jobs == []
    with ward.database.read() as tx:
        (alarm,) = events.open_alarms(tx)
    assert alarm.reason == ward.study.note


def test_an_image_type_that_is_no_text_stops_nothing(ward: Ward) -> None:
    completion = ward.completion(RULE)
    dataset = pydicom.dcmread(ward.paths[0], stop_before_pixels=True)
    dataset.add_new("ImageType", "US", 5)
    ward.pass_s(10)
    ward.enter({0: dataset})
    ward.pass_s(5)
    assert completion.step() == 1


def test_a_quiet_study_is_complete_when_its_time_comes_though_nothing_is_written(
    ward: Ward,
) -> None:
    completion, entered = ward.completion(RULE), list[int]()
    news = News(ward.database, completion.is_settled)

    def step() -> None:
        entered.append(completion.step())

    news.have(step)
    ward.pass_s(10)
    ward.receive(0, 1)
    news.have(step)
    ward.pass_s(5)
    news.have(step)
    assert entered == [0, 0, 1]
    for _ in range(3):
        news.have(step)
    assert len(entered) == 4
