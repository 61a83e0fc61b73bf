"""Cancelling through the dispatcher: the worker is ended, and nothing of the run is left."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from analyzers.contract import Limits
from node.work.executor import Outcome, Progress, Ticket, Verdict
from node.work.local import LocalExecutor
from node.work.stages import Stage
from storage import ledger, suspension
from storage.records import JobResults, JobState, Priority
from tests.node.work.conftest import WAIT_S, ticket
from tests.node.work.test_dispatcher import START, Bench, ScriptedExecutor, bench, results
from tests.waiting import until

__all__ = ["bench"]


@dataclass
class OpenExecutor(ScriptedExecutor):
    """Answers a ticket when the test, or an end, says so."""

    open: dict[int, Future[Outcome]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)

    def submit(self, ticket: Ticket) -> Future[Outcome]:
        self.tickets.append(ticket)
        self.open[ticket.job_id] = Future()
        return self.open[ticket.job_id]

    def end(self, job_id: int) -> None:
        self.ended.append(job_id)
        self.open[job_id].set_result(Outcome(Verdict.FAILED, reason="ended", transient=True))

    def progress(self) -> dict[int, Progress]:
        return {}


def open_executor() -> OpenExecutor:
    return OpenExecutor(lambda ticket: Outcome(Verdict.DONE))


def test_the_worker_of_a_cancelled_job_is_ended_and_no_report_of_it_is_written(
    bench: Bench,
) -> None:
    job, executor = bench.enter(notices=True), open_executor()
    dispatcher = bench.dispatcher(executor)
    dispatcher.step()
    with bench.database.write() as tx:
        ledger.cancel(tx, job, START, "anna", "wrong study")
    bench.run(dispatcher)
    assert executor.ended == [job]
    assert len(executor.tickets) == 1
    found = bench.job(job)
    assert (found.state, found.reason) == (JobState.CANCELLED, "cancelled by anna: wrong study")
    assert bench.deliveries() == []


def test_an_outcome_that_was_under_way_when_its_job_was_cancelled_is_not_entered(
    bench: Bench,
) -> None:
    job, executor = bench.enter(), open_executor()
    dispatcher = bench.dispatcher(executor)
    dispatcher.step()
    executor.open[job].set_result(Outcome(Verdict.DONE, results("seg", "sr")))
    dispatcher._wait()
    with bench.database.write() as tx:
        ledger.cancel(tx, job, START, "anna")
    bench.run(dispatcher)
    assert bench.job(job).state is JobState.CANCELLED
    assert bench.deliveries() == []


def test_the_next_job_runs_on_the_slot_of_a_cancelled_one(bench: Bench) -> None:
    job, other = bench.enter(), bench.enter("gaussian_filter")
    executor = open_executor()
    dispatcher = bench.dispatcher(executor)
    dispatcher.step()
    with bench.database.write() as tx:
        ledger.cancel(tx, job, START, "anna")
    bench.run(dispatcher)
    assert [ticket.job_id for ticket in executor.tickets] == [job, other]


def test_what_a_cancelled_job_brings_about_waits_for_a_slot(bench: Bench) -> None:
    silent, other = bench.enter(), bench.enter("median_filter")
    with bench.database.write() as tx:
        ledger.claim(tx, START)
        ledger.not_applicable(tx, silent, START, "no lung", JobResults())
    running = bench.enter("gaussian_filter", rule="another", priority=Priority.STAT)
    executor = open_executor()
    dispatcher = bench.dispatcher(executor, tells="rule")
    dispatcher.step()
    assert [one.job_id for one in executor.tickets] == [running]
    with bench.database.write() as tx:
        ledger.cancel(tx, other, START, "anna")
    dispatcher.step()
    assert len(executor.tickets) == 1, "its only slot is busy"
    executor.open[running].set_result(Outcome(Verdict.DONE, results("seg")))
    bench.run(dispatcher)
    assert [one.job_id for one in executor.tickets] == [running, silent]
    notice = executor.tickets[1].notice
    assert notice is not None and "no lung" in notice.reasons[0]


def test_a_suspended_queue_starts_nothing_and_lets_what_runs_end(bench: Bench) -> None:
    job, other = bench.enter(), bench.enter("gaussian_filter")
    executor = open_executor()
    dispatcher = bench.dispatcher(executor)
    dispatcher.step()
    with bench.database.write() as tx:
        suspension.suspend(tx, START, "anna")
    executor.open[job].set_result(Outcome(Verdict.DONE, results("seg")))
    bench.run(dispatcher)
    assert bench.job(job).state is JobState.DONE
    assert bench.job(other).state is JobState.PENDING
    with bench.database.write() as tx:
        suspension.resume(tx, START, "anna")
    dispatcher.step()
    assert bench.job(other).state is JobState.RUNNING


# --- real workers ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(plugins: None) -> Iterator[LocalExecutor]:
    one = LocalExecutor(slots=1, device="cpu")
    yield one
    one.stop()


@pytest.mark.timeout(150)
def test_a_worker_is_ended_in_the_middle_of_a_job_and_the_next_job_runs(
    alone: LocalExecutor,
    tmp_path: Path,
    phantom_paths: list[Path],
) -> None:
    """It tells first which stage it has reached, and its own log has the stages."""
    endless = replace(ticket("hang", tmp_path, phantom_paths), limits=Limits(time_s=WAIT_S))
    running = alone.submit(endless)
    until(lambda: _stage(alone) is Stage.ANALYZING, patience_s=WAIT_S)
    alone.end(endless.job_id + 1)
    assert not running.done()
    alone.end(endless.job_id)
    outcome = running.result(timeout=WAIT_S)
    assert (outcome.verdict, outcome.results.objects) == (Verdict.FAILED, ())
    assert outcome.reason == "its worker was ended, as a person wanted"
    stages = [line.text for line in outcome.lines if line.text in list(Stage)]
    assert stages == ["loading the analyzer", "reading the images", "analyzing"]
    assert alone.progress() == {}
    after = alone.submit(ticket("counting", tmp_path, phantom_paths)).result(timeout=WAIT_S)
    assert after.verdict is Verdict.DONE


def _stage(executor: LocalExecutor) -> Stage | None:
    found = executor.progress().get(1)
    return found.stage if found else None
