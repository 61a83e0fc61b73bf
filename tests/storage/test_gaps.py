"""Gaps at every stage, their alarms, and the ledger of a study."""

from __future__ import annotations

from storage import (
    announcements,
    events,
    gaps,
    index,
    instance_ledger,
    ledger,
    outbox,
    result_commitments,
)
from storage.database import Database
from storage.instance_ledger import Count
from storage.records import AnnouncementState, Priority, Stage, StepStatus
from tests.storage.samples import (
    NOON,
    add_study,
    announce,
    enqueue,
    minutes,
    new_job,
    record,
    results,
)


def stages(database: Database, after: float) -> list[Stage]:
    """The gaps that are found so many minutes after noon, when 30 are allowed."""
    with database.read() as tx:
        return [one.stage for one in gaps.find(tx, NOON + minutes(after - 30))]


def test_each_stage_is_a_gap_until_it_is_reached(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1)])
    assert stages(database, 29) == []
    assert stages(database, 30) == [Stage.COMPLETED]
    with database.write() as tx:
        study = index.find_study(tx, "1.2.3")
        assert study is not None
        index.complete(tx, study.id, NOON, NOON)
        job = enqueue(tx, new_job(tx, study.id))
    assert stages(database, 30) == [Stage.ANALYZED]
    with database.write() as tx:
        ledger.claim(tx, NOON)
    assert stages(database, 30) == [Stage.ANALYZED]
    with database.write() as tx:
        ledger.done(tx, job, NOON, results())
    assert stages(database, 30) == [Stage.SENT]
    with database.write() as tx:
        for one in outbox.claim(tx, "pacs", NOON):
            outbox.sent(tx, one.id, NOON, 0)
            result_commitments.owe(tx, one.id, NOON)
    assert stages(database, 30) == [Stage.COMMITTED]
    with database.write() as tx:
        due = result_commitments.claim(tx, "pacs", "9.1", NOON)
        assert stages(database, 30) == [Stage.COMMITTED]
        result_commitments.settle(tx, "9.1", [one.reference for one in due], {}, NOON)
    assert stages(database, 30) == []


def test_a_gap_raises_one_alarm_and_its_end_acknowledges_it(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1)])
    with database.write() as tx:
        (opened,) = gaps.watch(tx, gaps.find(tx, NOON), NOON)
        assert gaps.watch(tx, gaps.find(tx, NOON), NOON) == []
        (alarm,) = events.open_alarms(tx)
        assert alarm.subject_id == opened.gap.study_id
        assert [one.stage for one in gaps.open_gaps(tx, opened.gap.study_id)] == [Stage.COMPLETED]
    with database.write() as tx:
        (closed,) = gaps.watch(tx, [], NOON + minutes(1))
        assert closed.closed and events.open_alarms(tx) == []
        assert gaps.open_gaps(tx) == []
        assert set(gaps.count_open(tx).values()) == {0}
    with database.write() as tx:
        assert len(gaps.watch(tx, gaps.find(tx, NOON), NOON)) == 1, "it can open again"


def test_the_ledger_counts_every_stage(database: Database) -> None:
    with database.write() as tx:
        announce(tx, 1, 2, 3, 99)
        study_id = add_study(tx)
        job = enqueue(tx, new_job(tx, study_id))
        enqueue(tx, new_job(tx, study_id, analyzer="bones", inputs="i2"))
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results())
        first, *_ = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, first.id, NOON, 0)
        result_commitments.owe(tx, first.id, NOON)
        way = instance_ledger.of_study(tx, index.get_study(tx, study_id))
    assert (way.announced, way.missing, way.stored) == (4, 1, 3)
    assert way.jobs == Count(1, 2)
    assert way.sent == Count(1, 3)
    assert way.committed == Count(0, 1)


def test_without_announcements_the_ledger_says_so(database: Database) -> None:
    with database.write() as tx:
        way = instance_ledger.of_study(tx, index.get_study(tx, add_study(tx)))
    assert (way.announced, way.missing, way.stored) == (None, 0, 3)


def test_a_gap_is_found_behind_any_number_of_announcements_that_were_given_up(
    database: Database,
) -> None:
    with database.write() as tx:
        for n in range(1001):
            announce(tx, n, study=f"1.9.{n}", uid=f"9.{n}")
        for one in announcements.in_state(tx, AnnouncementState.AWAITED):
            announcements.give_up(tx, one, NOON, "did not come")
        newest = announce(tx, 1, study="1.8", uid="8.1")
    with database.read() as tx:
        found = gaps.find(tx, NOON)
    assert newest in {one.announcement_id for one in found}
    assert len(found) == 1002


def test_a_step_that_nobody_ends_is_no_gap_of_nothing_and_not_for_ever(database: Database) -> None:
    with database.write() as tx:
        announce(tx, status=StepStatus.IN_PROGRESS)
        (step,) = announcements.in_state(tx, AnnouncementState.IN_PROGRESS)
        announcements.give_up(tx, step, NOON, "the step has no end")
    found = {}
    with database.read() as tx:
        for days in (1, 6, 8, 365):
            found[days] = [one.missing for one in gaps.find(tx, NOON + minutes(days * 1440))]
    assert found == {1: [1], 6: [1], 8: [], 365: []}


def test_a_job_that_is_put_off_again_and_again_is_a_gap_all_the_same(database: Database) -> None:
    with database.write() as tx:
        job = enqueue(tx, new_job(tx, add_study(tx), priority=Priority.STAT))
        for minute in range(0, 40, 5):
            ledger.claim(tx, NOON + minutes(minute))
            due = NOON + minutes(minute + 5)
            ledger.wait_for(tx, job, NOON + minutes(minute), due, "the disk is full")
        (gap,) = gaps.find(tx, NOON + minutes(5))
    assert (gap.stage, gap.missing, gap.since) == (Stage.ANALYZED, 1, NOON)


def test_many_alarms_are_raised_a_few_at_a_time(database: Database) -> None:
    with database.write() as tx:
        for n in range(12):
            index.add(tx, [record(1, f"1.9.{n}", f"1.9.{n}.1")])
    opened, closed = [], []
    for _ in range(4):
        with database.write() as tx:
            opened.append(len(gaps.watch(tx, gaps.find(tx, NOON), NOON, limit=5)))
    for _ in range(4):
        with database.write() as tx:
            closed.append(len(gaps.watch(tx, [], NOON, limit=5)))
    assert opened == closed == [5, 5, 2, 0]
