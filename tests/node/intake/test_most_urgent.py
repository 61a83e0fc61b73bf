"""Completion with many studies: the urgent first, read beside the writers, none overlooked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.config.rules import RuleSettings
from node.config.tables import CompletionSettings
from node.intake import completion as module
from node.intake import planning
from node.intake.completion import Completion
from node.intake.planning import Plan, Planner
from storage import announcements, index, ledger, schema
from storage.announcements import NewAnnouncement
from storage.database import Database, Transaction, open_database
from storage.records import (
    AnnouncementKind,
    Job,
    JobState,
    Priority,
    Reference,
    StepStatus,
    StudyState,
)
from tests.storage.samples import record

START = datetime(2030, 5, 4, 12, tzinfo=UTC)
HEAD = RuleSettings(
    name="head", when={"BodyPartExamined": "HEAD"}, analyzers=("gaussian_filter",),
    priority=Priority.STAT,
)  # fmt: skip
ANY = RuleSettings(name="any", when={"Modality": "CT"}, analyzers=("gaussian_filter",))
SEVEN = (
    "lung_segmentation", "bone_segmentation", "airway_segmentation", "calcium_score", "quality",
    "gaussian_filter", "window_presets",
)  # fmt: skip


@dataclass
class Ward:
    database: Database
    now: datetime = START
    statements: list[str] = field(default_factory=list)

    def completion(self, *rules: RuleSettings) -> Completion:
        settings = CompletionSettings(quiet_period_s=5, announced_wait_s=600)
        made = Completion(self.database, settings, Planner(rules, {}), frozenset, lambda: self.now)
        self.now += timedelta(seconds=60)
        return made

    def receive(self, number: int, images: int = 1, **header: str) -> None:
        study = f"1.2.{number}"
        records = [
            record(n, study, f"{study}.1", at=self.now, **header) for n in range(1, images + 1)
        ]
        with self.database.write() as tx:
            index.add(tx, records)

    def jobs(self) -> list[Job]:
        with self.database.read() as tx:
            return sorted(ledger.list_jobs(tx, limit=10_000), key=lambda job: job.id)

    @contextlib.contextmanager
    def counting(self) -> Iterator[list[str]]:
        seen: list[str] = []

        def note(connection: object, cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        sa.event.listen(self.database._engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(self.database._engine, "before_cursor_execute", note)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield Ward(database)
    database.close()


def test_of_many_due_studies_the_stat_one_is_planned_first_though_it_came_last(ward: Ward) -> None:
    completion = ward.completion(HEAD, ANY)
    for number in range(60):
        ward.receive(number)
        ward.now += timedelta(seconds=1)
    ward.receive(99, BodyPartExamined="HEAD")
    ward.now += timedelta(seconds=5)
    assert completion.step() == 61
    first, *others = ward.jobs()
    assert (first.priority, first.study_instance_uid) == (Priority.STAT, "1.2.99")
    assert [one.study_instance_uid for one in others] == [f"1.2.{n}" for n in range(60)]


def test_what_becomes_due_while_others_are_planned_goes_before_what_waits(ward: Ward) -> None:
    completion = ward.completion(HEAD, ANY)
    for number in range(50):
        ward.receive(number)
    ward.now += timedelta(seconds=5)
    planner = completion._planner
    real = planner.plan

    def plan(tx: Transaction, study_id: int, at: datetime) -> Plan:
        if not ward.jobs():
            ward.receive(99, BodyPartExamined="HEAD")
            ward.now += timedelta(seconds=5)
        return real(tx, study_id, at)

    planner.plan = plan  # type: ignore[method-assign]
    assert completion.step() == 51
    place = [job.study_instance_uid for job in ward.jobs()].index("1.2.99")
    assert place == module.AT_ONCE


def test_a_study_behind_a_thousand_that_are_held_is_completed(ward: Ward) -> None:
    completion = ward.completion(ANY)
    with ward.database.write() as tx:
        for n in range(1001):
            uid = f"1.2.{n}"
            index.add(tx, [record(1, uid, f"{uid}.1", at=ward.now)])
            step = NewAnnouncement(
                AnnouncementKind.MPPS, f"9.{n}", "CT1", StepStatus.IN_PROGRESS, (uid,), (), {}
            )
            announcements.enter(tx, step, ward.now)
    ward.now += timedelta(seconds=1)
    ward.receive(5000)
    ward.now += timedelta(seconds=5)
    assert completion.step() == 1
    assert ward.jobs()[0].study_instance_uid == "1.2.5000"
    word = completion._announced.step(ward.now)
    assert len(word.held) == 1001 and "1.2.1000" in word.held


def test_a_look_at_many_announcements_takes_few_statements_and_counts_no_image_twice(
    ward: Ward,
) -> None:
    completion = ward.completion(ANY)
    with ward.database.write() as tx:
        for n in range(300):
            named = (Reference("1.2.840.10008.5.1.4.1.1.2", f"1.2.{n}.1.1"),)
            status = StepStatus.COMPLETED if n % 2 else StepStatus.IN_PROGRESS
            step = NewAnnouncement(
                AnnouncementKind.MPPS, f"9.{n}", "CT1", status, (f"1.2.{n}",), named, {}
            )
            announcements.enter(tx, step, ward.now)
    completion.step()
    with ward.counting() as seen:
        completion.step()
    assert len([one for one in seen if "announce" in one]) <= 6
    assert not [one for one in seen if "FROM announced_instances" in one and "EXISTS" in one]
    ward.receive(7)
    with ward.counting() as seen:
        completion.step()
    assert len([one for one in seen if "sop_instance_uid" in one and "NOT (EXISTS" in one]) <= 2
    with ward.database.read() as tx:
        (arrived,) = announcements.in_state(tx, announcements.AnnouncementState.ARRIVED)
    assert arrived.studies == ("1.2.7",)


def test_a_study_is_read_before_the_write_transaction_and_once(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node.intake import descriptions

    described: list[str] = []
    real = descriptions.facts
    monkeypatch.setattr(
        descriptions, "facts", lambda one: described.append(one.series_instance_uid) or real(one)
    )
    completion = ward.completion(
        RuleSettings(name="all", when={"Modality": "CT"}, analyzers=SEVEN),
        RuleSettings(name="again", when={"Modality": "CT"}, analyzers=SEVEN[:3]),
    )
    ward.receive(1, images=30)
    ward.now += timedelta(seconds=5)
    with ward.counting() as seen:
        completion.step()
    assert described == ["1.2.1.1"]
    begun = [n for n, one in enumerate(seen) if one == "BEGIN IMMEDIATE"]
    written = seen[begun[0] :]
    reads = [one for one in written if one.startswith("SELECT") and "header" in one]
    assert not reads, "no header is read while writers wait"
    assert len(begun) == 1


def test_a_study_that_changes_while_it_is_planned_is_not_completed(ward: Ward) -> None:
    completion = ward.completion(ANY)
    ward.receive(1)
    ward.now += timedelta(seconds=5)
    planner = completion._planner
    real = planner.plan

    def plan(tx: Transaction, study_id: int, at: datetime) -> Plan:
        made = real(tx, study_id, at)
        late = record(2, "1.2.1", "1.2.1.1", at=START)  # received earlier, indexed later
        with ward.database.write() as other:
            index.add(other, [late])
        return made

    planner.plan = plan  # type: ignore[method-assign]
    assert completion.step() == 0
    assert ward.jobs() == []
    planner.plan = real  # type: ignore[method-assign]
    assert completion.step() == 1
    with ward.database.read() as tx:
        assert len(ledger.input_instances(tx, ward.jobs()[0].id)) == 2


def test_jobs_of_many_images_are_entered_one_by_one_and_are_due_together(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "ROWS_AT_ONCE", 20)
    all_of_them = RuleSettings(name="all", when={"Modality": "CT"}, analyzers=SEVEN[:3])
    completion = ward.completion(all_of_them)
    ward.receive(1, images=10)
    ward.now += timedelta(seconds=5)
    planner = completion._planner
    real = planner.plan

    def plan_and_receive(tx: Transaction, study_id: int, at: datetime) -> Plan:
        made = real(tx, study_id, at)
        ward.receive(1, images=11)
        return made

    planner.plan = plan_and_receive  # type: ignore[method-assign]
    assert completion.step() == 0
    with ward.database.write() as tx:
        assert ledger.claim(tx, ward.now + timedelta(days=1)) is None, "they are not entered yet"
    planner.plan = real  # type: ignore[method-assign]
    ward.now += timedelta(seconds=5)
    with ward.counting() as seen:
        assert completion.step() == 3
    assert seen.count("BEGIN IMMEDIATE") == 4
    states = [job.state for job in ward.jobs()]
    assert states == [JobState.NOT_APPLICABLE] * 3 + [JobState.PENDING] * 3
    with ward.database.write() as tx:
        jobs = [ledger.claim(tx, ward.now) for _ in range(3)]
        counts = [len(ledger.input_instances(tx, job.id)) for job in jobs if job]
        (study,) = index.list_studies(tx)
    assert counts == [11, 11, 11]
    assert study.state is StudyState.COMPLETE


def test_planning_a_study_takes_few_statements(ward: Ward) -> None:
    completion = ward.completion(RuleSettings(name="r", when={"Modality": "CT"}, analyzers=SEVEN))
    ward.receive(1, images=30)
    ward.now += timedelta(seconds=5)
    with ward.counting() as seen:
        assert completion.step() > 0
    jobs = len(ward.jobs())
    assert jobs == len(SEVEN)
    assert len(seen) < 25 + 3 * jobs
    with ward.database.read() as tx:
        rows = tx.scalar(sa.select(sa.func.count()).select_from(schema.job_inputs))
    assert rows == 30 * jobs
