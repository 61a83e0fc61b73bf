"""Cancelling jobs and suspending the queue: who comes first wins, and it is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from storage import events, gaps, ledger, outbox, retries, schema, suspension
from storage.database import Database, Transaction, open_database
from storage.kinds import ObjectKind
from storage.ledger import JobRunning, NotCancelled
from storage.records import JobLine, JobState, Level, Stage, Topic
from storage.successors import Superseded
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, results


@pytest.fixture
def job(database: Database) -> int:
    with database.write() as tx:
        return enqueue(tx, new_job(tx, add_study(tx)))


def state(tx: Transaction, job: int) -> tuple[JobState, str]:
    found = ledger.get(tx, job)
    return found.state, found.reason


def told(tx: Transaction, job: int) -> list[str]:
    return [one.reason for one in events.list_events(tx, Topic.JOB, job)]


def test_a_waiting_job_is_cancelled_at_once_with_who_and_why(database: Database, job: int) -> None:
    with database.write() as tx:
        assert ledger.cancel(tx, job, NOON, "anna", "wrong study") is JobState.CANCELLED
        assert state(tx, job) == (JobState.CANCELLED, "cancelled by anna: wrong study")
        assert ledger.claim(tx, NOON + minutes(1)) is None
        assert told(tx, job)[0] == "cancelled by anna: wrong study"
        assert events.open_alarms(tx) == []


def test_cancelling_twice_is_cancelling_once(database: Database, job: int) -> None:
    with database.write() as tx:
        ledger.cancel(tx, job, NOON, "anna", "first")
        assert ledger.cancel(tx, job, NOON + minutes(1), "bert", "second") is JobState.CANCELLED
        assert state(tx, job)[1] == "cancelled by anna: first"
        assert sum("cancelled" in one for one in told(tx, job)) == 1


@pytest.mark.parametrize("end", ["done", "failed", "not_applicable", "retry_later", "wait_for"])
def test_a_job_that_ends_after_it_was_cancelled_leaves_nothing(
    database: Database, job: int, end: str
) -> None:
    with database.write() as tx:
        ledger.claim(tx, NOON)
        assert ledger.cancel(tx, job, NOON, "anna") is JobState.RUNNING
        assert ledger.wanted_cancelled(tx) == [job]
        ends: dict[str, Callable[[], object]] = {
            "done": lambda: ledger.done(tx, job, NOON, results()),
            "failed": lambda: ledger.failed(tx, job, NOON, "it broke", "Traceback", results()),
            "not_applicable": lambda: ledger.not_applicable(tx, job, NOON, "no", results()),
            "retry_later": lambda: ledger.retry_later(tx, job, NOON, NOON + minutes(1), "away", ""),
            "wait_for": lambda: ledger.wait_for(tx, job, NOON, NOON + minutes(1), "waits for disk"),
        }
        ends[end]()
        assert state(tx, job) == (JobState.CANCELLED, "cancelled by anna")
        assert ledger.wanted_cancelled(tx) == []
        assert ledger.results_of(tx, job).objects == ()
        assert outbox.list_deliveries(tx) == []
        assert events.open_alarms(tx) == []


def test_a_job_that_has_ended_before_is_not_cancelled_any_more(
    database: Database, job: int
) -> None:
    with database.write() as tx:
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results())
        with pytest.raises(NotCancelled, match=r"job 1 has ended \(done\): there is nothing"):
            ledger.cancel(tx, job, NOON, "anna")
        assert len(outbox.list_deliveries(tx)) == 3


def test_a_job_whose_node_died_before_its_worker_was_ended_is_cancelled_by_the_next_start(
    database: Database, job: int
) -> None:
    with database.write() as tx:
        ledger.claim(tx, NOON)
        ledger.cancel(tx, job, NOON, "anna")
        ledger.release_running(tx, NOON + minutes(1))
        assert state(tx, job) == (JobState.CANCELLED, "cancelled by anna")
        assert ledger.claim(tx, NOON + minutes(2)) is None
        assert ledger.cancelled_not_told_of(tx) == [job], "a summary may wait for it"
        ledger.told_of(tx, job)
        assert ledger.cancelled_not_told_of(tx) == []


def test_what_was_done_and_is_due_for_further_forms_stays_done(
    database: Database, job: int
) -> None:
    with database.write() as tx:
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results())
        assert ledger.want_forms(tx, job, [ObjectKind.IMAGE], NOON, "wanted")
        assert ledger.cancel(tx, job, NOON, "anna") is JobState.DONE
        found = ledger.get(tx, job)
        assert found.is_further is False
        assert found.unmade == {} and found.forms == (ObjectKind.IMAGE,)
        assert ledger.cancelled_not_told_of(tx) == [job]
        assert len(ledger.results_of(tx, job).objects) == 3


def test_forms_that_nobody_wants_are_not_waited_for_and_it_is_said_why(
    database: Database, job: int
) -> None:
    with database.write() as tx:
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results())
        assert ledger.want_forms(tx, job, [ObjectKind.PICTURE], NOON, "wanted")
        for one in outbox.claim(tx, "pacs", NOON):
            outbox.give_back(tx, [one.id], NOON, NOON + minutes(60), "waits for a form")
        table = schema.deliveries
        tx.execute(sa.update(table).values(attempts=0))
        ledger.cancel(tx, job, NOON + minutes(1), "anna", "too slow")
        unmade = ledger.get(tx, job).unmade
        assert unmade == {ObjectKind.PICTURE: "cancelled by anna: too slow"}
        assert outbox.next_due(tx, "pacs") == NOON + minutes(1)
        assert ledger.want_forms(tx, job, [ObjectKind.SHEET], NOON, "wanted")
        claimed = ledger.claim(tx, NOON)
        assert claimed is not None and claimed.cancel_wish == ""


def test_a_planned_job_that_was_cancelled_stays_so_when_its_plan_is_carried_out(
    database: Database,
) -> None:
    with database.write() as tx:
        planned = new_job(tx, add_study(tx))
        ledger.prepare(tx, planned, NOON)
        found = ledger.find(tx, ledger.key_of(planned))
        assert found is not None
        ledger.cancel(tx, found.id, NOON, "anna")
        assert ledger.enqueue_all(tx, [planned], NOON) == []
        assert state(tx, found.id) == (JobState.CANCELLED, "cancelled by anna")
        assert ledger.claim(tx, NOON + minutes(1)) is None


def test_who_is_cancelled_is_looked_up_along_an_index_of_its_own(database: Database) -> None:
    with database.read() as tx:
        if tx.dialect.name != "sqlite":
            pytest.skip("the plan of SQLite")
        seen: list[str] = []
        engine = tx.engine

        def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
            seen.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        ledger.cancelled_not_told_of(tx)
        sa.event.remove(engine, "before_cursor_execute", note)
        states = ("cancelled", "done")
        steps = [row[3] for row in tx.exec_driver_sql("EXPLAIN QUERY PLAN " + seen[-1], states)]
    assert steps == ["SCAN jobs USING INDEX ix_jobs_cancel_wish"]


def test_a_cancelled_job_is_run_again_when_somebody_wants_it(database: Database, job: int) -> None:
    with database.write() as tx:
        ledger.cancel(tx, job, NOON, "anna")
        retries.retry(tx, job, NOON, "bert")
        retries.retry(tx, job, NOON, "bert")
        assert sum(one == "restarted by bert" for one in told(tx, job)) == 1
        assert ledger.claim(tx, NOON + minutes(1)) is not None
        with pytest.raises(JobRunning):
            retries.retry(tx, job, NOON, "bert")


def test_who_waits_for_a_cancelled_job_goes_on(database: Database, job: int) -> None:
    with database.write() as tx:
        first = ledger.get(tx, job)
        later = replace(new_job(tx, first.study_id, "rules"), waits_for=(first.key,))
        behind = enqueue(tx, later)
        ledger.cancel(tx, job, NOON, "anna")
        claimed = ledger.claim(tx, NOON)
        assert claimed is not None
        assert claimed.id == behind


def test_a_cancelled_job_has_taken_nobodys_place(database: Database, job: int) -> None:
    with database.write() as tx:
        ledger.claim(tx, NOON)
        ledger.failed(tx, job, NOON, "it broke", "")
        study = ledger.get(tx, job).study_id
        newer = enqueue(tx, new_job(tx, study, inputs="i2"))
        with pytest.raises(Superseded):
            retries.retry(tx, job, NOON)
        ledger.cancel(tx, newer, NOON, "anna")
        retries.retry(tx, job, NOON)
        claimed = ledger.claim(tx, NOON)
        assert claimed is not None
        assert claimed.id == job


def test_a_job_that_is_cancelled_while_it_ends_is_one_of_both_and_whole(
    database: Database, job: int
) -> None:
    """Two threads, one moment: whichever transaction comes first decides."""
    with database.write() as tx:
        ledger.claim(tx, NOON)
    barrier, refused = threading.Barrier(2), list[str]()

    def end() -> None:
        barrier.wait()
        with database.write() as tx:
            ledger.done(tx, job, NOON, results())

    def cancel() -> None:
        barrier.wait()
        try:
            with database.write() as tx:
                ledger.cancel(tx, job, NOON, "anna")
        except NotCancelled as error:
            refused.append(str(error))

    threads = [threading.Thread(target=one) for one in (end, cancel)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with database.read() as tx:
        was_done = ledger.get(tx, job).state is JobState.DONE
        assert was_done == bool(refused)
        assert len(outbox.list_deliveries(tx)) == (3 if was_done else 0)
        assert was_done or ledger.get(tx, job).state is JobState.CANCELLED


def test_nothing_is_claimed_once_the_queue_is_suspended_while_others_claim(
    database: Database,
) -> None:
    """Claims and the suspension come as they may: after it nothing is claimed, and nothing of a
    claim is lost."""
    with database.write() as tx:
        study = add_study(tx)
        jobs = [enqueue(tx, new_job(tx, study, f"analyzer {n}")) for n in range(8)]
    barrier, claimed = threading.Barrier(3), list[tuple[bool, int]]()

    def claim() -> None:
        barrier.wait()
        for _ in range(4):
            with database.write() as tx:
                is_suspended = suspension.current(tx) is not None
                job = None if is_suspended else ledger.claim(tx, NOON)
            if job is not None:
                claimed.append((is_suspended, job.id))

    def suspend() -> None:
        barrier.wait()
        with database.write() as tx:
            suspension.suspend(tx, NOON, "anna")

    threads = [threading.Thread(target=one) for one in (claim, claim, suspend)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not any(is_suspended for is_suspended, _ in claimed)
    with database.read() as tx:
        running = {one.id for one in ledger.list_jobs(tx, state=JobState.RUNNING)}
        waiting = {one.id for one in ledger.list_jobs(tx, state=JobState.PENDING)}
    assert running == {job for _, job in claimed}
    assert running | waiting == set(jobs)


# --- lines ----------------------------------------------------------------------------------------


def test_a_jobs_own_log_keeps_its_newest_lines(database: Database, job: int) -> None:
    with database.write() as tx:
        for run in range(3):
            lines = [JobLine(NOON + minutes(run), "info", f"{run}.{n}") for n in range(200)]
            ledger.add_lines(tx, job, lines)
        kept = ledger.lines_of(tx, job)
    assert (len(kept), kept[0].text, kept[-1].text) == (500, "0.100", "2.199")


# --- the queue ------------------------------------------------------------------------------------


def test_a_suspended_queue_is_kept_and_shown_and_told_once(database: Database, url: str) -> None:
    with database.write() as tx:
        assert suspension.suspend(tx, NOON, "anna", "an upgrade")
        assert not suspension.suspend(tx, NOON + minutes(1), "bert", "another")
    again = open_database(url)
    with again.write() as tx:
        found = suspension.current(tx)
        assert found is not None
        assert (found.since, found.in_words()) == (NOON, "suspended by anna: an upgrade")
        assert suspension.resume(tx, NOON + minutes(2), "bert")
        assert not suspension.resume(tx, NOON + minutes(3), "bert")
        assert suspension.current(tx) is None
        told = events.list_events(tx, Topic.NODE)
    again.close()
    assert [one.reason for one in told] == [
        "the queue goes on: resumed by bert",
        "the queue was suspended by anna: an upgrade",
    ]
    assert {one.level for one in told} == {Level.INFO}


def test_what_waits_in_a_suspended_queue_was_not_left_behind(database: Database, job: int) -> None:
    def stages(before: int) -> list[Stage]:
        with database.read() as tx:
            return [one.stage for one in gaps.find(tx, NOON + minutes(before))]

    assert stages(1) == [Stage.ANALYZED]
    with database.write() as tx:
        suspension.suspend(tx, NOON + minutes(1), "anna")
    assert stages(30) == []
    with database.write() as tx:
        suspension.resume(tx, NOON + minutes(60), "anna")
    assert stages(59) == []  # it has not gone on for long enough
    assert stages(60) == [Stage.ANALYZED]
