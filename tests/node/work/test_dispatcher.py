"""The dispatcher: what an outcome becomes in the ledger, and what a restart makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from analyzers.contract import Limits
from node.config.tables import WorkerSettings
from node.errors import DEVICE_MEMORY, DISK
from node.news import NewsWatch
from node.work.dispatcher import Dispatcher
from node.work.executor import Outcome, Ticket, Verdict
from storage import events, index, ledger, outbox, schema
from storage.database import Database, open_database
from storage.errors import DatabaseUnavailable
from storage.files.blobs import Blob
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.header.attributes import extract
from storage.records import (
    DeliveryState,
    FindingRow,
    InstanceRecord,
    Job,
    JobLine,
    JobResults,
    JobState,
    NewJob,
    Priority,
    ResultObject,
    Topic,
)
from tests.clocks import Clock
from tests.storage.samples import LosingAnswers
from tests.waiting import until

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class ScriptedExecutor:
    """Answers each ticket by a function, at once; remembers the tickets."""

    answer: Callable[[Ticket], Outcome]
    slots: int = 1
    tickets: list[Ticket] = field(default_factory=list)

    def submit(self, ticket: Ticket) -> Future[Outcome]:
        self.tickets.append(ticket)
        future: Future[Outcome] = Future()
        future.set_result(self.answer(ticket))
        return future

    def prove(self) -> None:
        return

    def stop(self) -> None:
        return


@dataclass
class Bench:
    """A dispatcher on a real database with one stored series."""

    database: Database
    store: InstanceStore
    results: ResultStore
    clock: Clock
    study_id: int
    series_id: int
    instance_ids: tuple[int, ...]

    def enter(self, analyzer: str = "lung_segmentation", **changes: object) -> int:
        job = NewJob(
            **{
                "inputs_digest": "i",
                "analyzer": analyzer,
                "analyzer_version": "1.0.0",
                "parameters_digest": "p",
                "parameters": {},
                "study_id": self.study_id,
                "series_id": self.series_id,
                "instance_ids": self.instance_ids,
                "rule": "rule",
                "priority": Priority.ROUTINE,
                "destinations": ("pacs",),
                **changes,
            }  # type: ignore[arg-type]
        )
        with self.database.write() as tx:
            entered = ledger.enqueue(tx, job, self.clock())
        assert entered is not None
        return entered

    def dispatcher(
        self,
        executor: ScriptedExecutor,
        attempts: int = 3,
        tells: str = "",
        watch: NewsWatch | None = None,
    ) -> Dispatcher:
        """tells: the rule that wants a report of what did not apply."""
        return Dispatcher(
            self.database,
            self.store,
            self.results,
            executor,
            WorkerSettings(attempts=attempts, retry_delay_s=10),
            self.clock,
            tells_not_applicable=lambda rule: rule == tells,
            poll_s=0,
            watch=watch,
        )

    def run(self, dispatcher: Dispatcher, rounds: int = 4) -> None:
        for _ in range(rounds):
            dispatcher.step()
            dispatcher._wait()
        dispatcher.step()

    def job(self, job_id: int) -> Job:
        with self.database.read() as tx:
            return ledger.get(tx, job_id)

    def deliveries(self) -> list[str]:
        with self.database.read() as tx:
            return [one.object.kind for one in outbox.list_deliveries(tx)]


@pytest.fixture
def bench(tmp_path: Path, phantom_paths: list[Path]) -> Iterator[Bench]:
    import pydicom

    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    store = InstanceStore(tmp_path / "instances", tmp_path / "quarantine")
    records = []
    for path in phantom_paths[:3]:
        attributes = extract(pydicom.dcmread(path, stop_before_pixels=True))
        with store.open_incoming() as file:
            file.write(path.read_bytes())
            placement = file.place(attributes.sop_instance_uid)
        records.append(InstanceRecord(attributes, placement, START))
    with database.write() as tx:
        index.add(tx, records)
        study = index.list_studies(tx)[0]
        (series,) = index.series_of(tx, study.id)
    yield Bench(
        database,
        store,
        ResultStore(tmp_path / "results", tmp_path / "quarantine"),
        Clock(START),
        study.id,
        series.id,
        tuple(instance.id for instance in series.instances),
    )
    database.close()


def results(*kinds: str, uid: str = "1.2.3") -> JobResults:
    return JobResults(
        tuple(
            ResultObject(
                f"{uid}.{n}", "1.2", f"{uid}.9{n}", "1.2.840.10008.1.2.1", kind, kind, 1, ""
            )
            for n, kind in enumerate(kinds)
        )
    )


def test_a_finished_job_and_its_deliveries_are_entered_together(bench: Bench) -> None:
    job_id = bench.enter()
    done = Outcome(Verdict.DONE, results("seg", "sr"))
    bench.run(bench.dispatcher(ScriptedExecutor(lambda ticket: done)))
    assert bench.job(job_id).state is JobState.DONE
    assert sorted(bench.deliveries()) == ["seg", "sr"]


def test_a_permanent_failure_is_not_repeated_and_is_reported(bench: Bench) -> None:
    def answer(ticket: Ticket) -> Outcome:
        if ticket.notice is not None:
            return Outcome(Verdict.FAILED, results("sr"), "said so")
        return Outcome(Verdict.FAILED, reason="it broke", traceback="Traceback: line 1", lines=log)

    log = (JobLine(START, "info", "analyzing"), JobLine(START, "error", "no_room"))

    job_id = bench.enter()
    executor = ScriptedExecutor(answer)
    bench.run(bench.dispatcher(executor))
    job = bench.job(job_id)
    assert (job.state, job.reason, job.traceback) == (
        JobState.FAILED,
        "it broke",
        "Traceback: line 1",
    )
    assert [ticket.notice is not None for ticket in executor.tickets] == [False, True]
    assert bench.deliveries() == ["sr"]
    with bench.database.read() as tx:
        assert tuple(ledger.lines_of(tx, job_id)) == log


def test_a_report_that_cannot_be_written_either_is_said(bench: Bench) -> None:
    def answer(ticket: Ticket) -> Outcome:
        if ticket.notice is not None:
            return Outcome(Verdict.FAILED, reason="no header", traceback="Traceback")
        return Outcome(Verdict.FAILED, reason="it broke")

    job_id = bench.enter()
    bench.run(bench.dispatcher(ScriptedExecutor(answer)))
    assert bench.job(job_id).state is JobState.FAILED
    assert "no report of it could be written: no header" in bench.job(job_id).reason


def test_a_rule_without_notices_sends_no_report_of_a_failure(bench: Bench) -> None:
    job_id = bench.enter(notices=False)
    broken = Outcome(Verdict.FAILED, reason="it broke")
    executor = ScriptedExecutor(lambda ticket: broken)
    bench.run(bench.dispatcher(executor))
    assert bench.job(job_id).state is JobState.FAILED
    assert len(executor.tickets) == 1


def test_a_transient_failure_is_repeated_with_growing_pauses_and_then_given_up(
    bench: Bench,
) -> None:
    job_id = bench.enter(notices=False)
    full = Outcome(Verdict.FAILED, reason="No space left on device", transient=True)
    executor = ScriptedExecutor(lambda ticket: full)
    dispatcher = bench.dispatcher(executor, attempts=3)
    for pause_s, tries in ((9, 1), (2, 2), (18, 2), (3, 3), (1000, 3)):
        bench.run(dispatcher, rounds=2)
        assert len(executor.tickets) == tries - (pause_s in (2, 3)), pause_s
        bench.clock.pass_s(pause_s)
        bench.run(dispatcher, rounds=2)
        assert len(executor.tickets) == tries
    assert bench.job(job_id).state is JobState.FAILED
    assert bench.job(job_id).attempts == 3


def test_a_job_whose_every_series_was_refused_only_writes_the_report(bench: Bench) -> None:
    job_id = bench.enter(refusals=("series 1: 3 slices, at least 20 are needed",))

    def answer(ticket: Ticket) -> Outcome:
        assert ticket.notice is not None
        return Outcome(Verdict.NOT_APPLICABLE, results("sr"), "; ".join(ticket.notice.reasons))

    bench.run(bench.dispatcher(ScriptedExecutor(answer)))
    job = bench.job(job_id)
    assert job.state is JobState.NOT_APPLICABLE
    assert job.reason == "series 1: 3 slices, at least 20 are needed"


def test_no_more_jobs_run_at_once_than_there_are_slots(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.enter(name)
    waiting: list[Future[Outcome]] = []

    class Slow(ScriptedExecutor):
        def submit(self, ticket: Ticket) -> Future[Outcome]:
            self.tickets.append(ticket)
            waiting.append(Future())
            return waiting[-1]

    executor = Slow(lambda ticket: Outcome(Verdict.DONE), slots=2)
    dispatcher = bench.dispatcher(executor)
    dispatcher.step()
    assert len(executor.tickets) == 2
    waiting[0].set_result(Outcome(Verdict.DONE))
    bench.run(dispatcher, rounds=1)
    assert len(executor.tickets) == 3


def test_a_restarted_job_keeps_its_first_start_and_what_was_sent_stays_sent(bench: Bench) -> None:
    job_id = bench.enter()
    done = Outcome(Verdict.DONE, results("seg", "sr"))
    executor = ScriptedExecutor(lambda ticket: done)
    dispatcher = bench.dispatcher(executor)
    bench.run(dispatcher)
    with bench.database.write() as tx:
        for one in outbox.claim(tx, "pacs", bench.clock()):
            outbox.sent(tx, one.id, bench.clock(), 0)
    bench.clock.pass_s(60)
    with bench.database.write() as tx:
        ledger.restart(tx, job_id, bench.clock())
    bench.run(dispatcher)
    assert [ticket.started_at for ticket in executor.tickets] == [START, START]
    with bench.database.read() as tx:
        states = [one.state for one in outbox.list_deliveries(tx)]
    assert states == [DeliveryState.SENT, DeliveryState.SENT]


def test_the_newest_report_of_an_earlier_job_is_the_predecessor(bench: Bench) -> None:
    bench.enter()
    done = Outcome(Verdict.DONE, results("seg", "sr"))
    executor = ScriptedExecutor(lambda ticket: done)
    dispatcher = bench.dispatcher(executor)
    bench.run(dispatcher)
    executor.answer = lambda ticket: Outcome(Verdict.DONE, results("seg", "sr", uid="1.2.4"))
    bench.enter(inputs_digest="larger")
    bench.run(dispatcher)
    predecessor = executor.tickets[-1].predecessor
    assert predecessor is not None
    assert predecessor.sop_instance_uid == "1.2.3.1"
    first, second = executor.tickets[0], executor.tickets[-1]
    assert first.earlier is None and second.earlier is not None
    analyzer, file = second.earlier
    assert isinstance(file, Blob)
    assert (analyzer, file.key) == (first.analyzer, f"{first.key}/reported.json")


def test_results_that_cannot_be_recorded_fail_their_job_and_the_next_one_runs(
    bench: Bench,
) -> None:
    first, second = bench.enter("a"), bench.enter("b")
    odd = JobResults(findings=(FindingRow("lung", "volume", Decimal(1), "mL"),))  # type: ignore[arg-type]

    def answer(ticket: Ticket) -> Outcome:
        return Outcome(Verdict.DONE, odd if ticket.analyzer == "a" else results("sr"))

    bench.run(bench.dispatcher(ScriptedExecutor(answer)))
    assert bench.job(first).state is JobState.FAILED
    assert bench.job(first).reason == "the outcome cannot be recorded: StatementError"
    assert "not JSON serializable" in bench.job(first).traceback
    assert bench.job(second).state is JobState.DONE


def test_a_job_that_cannot_be_started_fails_and_the_next_one_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bench.enter("a"), bench.enter("b")

    def limits(analyzer: str) -> Limits:
        if analyzer == "a":
            raise TypeError("its parameters have no defaults")
        return Limits()

    monkeypatch.setattr("node.work.tickets._limits", limits)
    bench.run(bench.dispatcher(ScriptedExecutor(lambda ticket: Outcome(Verdict.DONE))))
    assert bench.job(first).reason == "the job cannot be started: TypeError"
    assert bench.job(second).state is JobState.DONE


def test_a_claim_whose_answer_was_lost_strands_no_job_and_leaves_the_running_ones_alone(
    bench: Bench,
) -> None:
    first, second = bench.enter("a"), bench.enter("b")
    waiting: list[Future[Outcome]] = []

    class Slow(ScriptedExecutor):
        def submit(self, ticket: Ticket) -> Future[Outcome]:
            self.tickets.append(ticket)
            waiting.append(Future())
            return waiting[-1]

    executor = Slow(lambda ticket: Outcome(Verdict.DONE), slots=1)
    dispatcher = bench.dispatcher(executor)
    dispatcher.step()
    executor.slots = 2
    dispatcher._database = LosingAnswers(bench.database)
    with pytest.raises(DatabaseUnavailable):
        dispatcher.step()
    assert bench.job(second).state is JobState.RUNNING
    dispatcher._database = bench.database
    dispatcher.step()
    assert [ticket.job_id for ticket in executor.tickets] == [first, second]
    assert bench.job(first).attempts == 1


# --- waiting --------------------------------------------------------------------------------------


def waiting_for(what: str) -> Outcome:
    return Outcome(
        Verdict.FAILED, reason="OutOfSpace: full", traceback="Traceback", transient=True,
        waits_for=what,
    )  # fmt: skip


def alarms(bench: Bench) -> list[str]:
    with bench.database.read() as tx:
        return [one.reason for one in events.open_alarms(tx)]


def test_a_full_disk_uses_up_no_attempt_and_work_goes_on_by_itself(bench: Bench) -> None:
    jobs = [bench.enter(name) for name in ("a", "b", "c")]
    executor = ScriptedExecutor(lambda ticket: waiting_for(DISK))
    dispatcher = bench.dispatcher(executor, attempts=2)
    for _ in range(60):
        bench.run(dispatcher, rounds=1)
        bench.clock.pass_s(10)
    assert {bench.job(one).state for one in jobs} == {JobState.PENDING}
    assert {bench.job(one).attempts for one in jobs} == {0}
    assert {bench.job(one).reason for one in jobs} >= {f"waits for {DISK}"}
    assert len(executor.tickets) <= 30, "one tries now and then, the others are held"
    assert alarms(bench) == [f"no job can go on: waits for {DISK}"]
    executor.answer = lambda ticket: Outcome(Verdict.DONE)
    bench.clock.pass_s(60)
    bench.run(dispatcher)
    assert {bench.job(one).state for one in jobs} == {JobState.DONE}
    assert {bench.job(one).attempts for one in jobs} == {1}
    with bench.database.read() as tx:
        nodes = [one.reason for one in events.list_events(tx, Topic.NODE)]
    assert nodes[0] == f"jobs go on: {DISK} is there again"


def test_a_job_that_waits_for_the_device_keeps_no_other_from_running(bench: Bench) -> None:
    large, small = bench.enter("large"), bench.enter("small")
    executor = ScriptedExecutor(
        lambda ticket: (
            waiting_for(DEVICE_MEMORY) if ticket.analyzer == "large" else Outcome(Verdict.DONE)
        )
    )
    dispatcher = bench.dispatcher(executor, attempts=1)
    for _ in range(10):
        bench.run(dispatcher, rounds=2)
        bench.clock.pass_s(60)
    assert bench.job(small).state is JobState.DONE
    job = bench.job(large)
    assert (job.state, job.attempts, job.reason) == (
        JobState.PENDING,
        0,
        f"waits for {DEVICE_MEMORY}",
    )
    with bench.database.read() as tx:
        history = [one.reason for one in events.list_events(tx, Topic.JOB, large)]
    assert history.count(job.reason) == 1, "the same reason is entered once"
    assert alarms(bench) == []


def test_a_failure_whose_report_finds_no_room_waits_with_it(bench: Bench) -> None:
    job_id = bench.enter()
    broken = Outcome(Verdict.FAILED, reason="broken", traceback="Traceback")
    executor = ScriptedExecutor(lambda ticket: waiting_for(DISK) if ticket.notice else broken)
    dispatcher = bench.dispatcher(executor)
    bench.run(dispatcher)
    assert (bench.job(job_id).state, bench.job(job_id).attempts) == (JobState.PENDING, 0)
    executor.answer = lambda ticket: (
        Outcome(Verdict.FAILED, results("sr")) if ticket.notice else broken
    )
    bench.clock.pass_s(60)
    bench.run(dispatcher)
    assert bench.job(job_id).state is JobState.FAILED
    assert bench.deliveries() == ["sr"]


def test_a_superseded_job_that_waits_gives_way(bench: Bench) -> None:
    first = bench.enter()

    def answer(ticket: Ticket) -> Outcome:
        if ticket.job_id == first:
            bench.enter(inputs_digest="larger")
            return waiting_for(DISK)
        return Outcome(Verdict.DONE)

    dispatcher = bench.dispatcher(ScriptedExecutor(answer))
    bench.run(dispatcher)
    bench.clock.pass_s(60)
    bench.run(dispatcher)
    assert bench.job(first).state is JobState.NOT_APPLICABLE
    assert bench.job(first + 1).state is JobState.DONE


def test_a_job_that_runs_after_a_correction_is_given_the_digests_of_the_corrected_images(
    bench: Bench,
) -> None:
    executor = ScriptedExecutor(lambda ticket: Outcome(Verdict.DONE))
    job_id = bench.enter()
    bench.run(bench.dispatcher(executor))
    with bench.database.write() as tx:
        corrected = sa.update(schema.instances).where(
            schema.instances.c.id == bench.instance_ids[0]
        )
        tx.execute(corrected.values(sha256="c" * 64))
        ledger.restart(tx, job_id, bench.clock())
    bench.run(bench.dispatcher(executor))
    before, after = executor.tickets
    assert (before.key, before.started_at) == (after.key, after.started_at)
    assert [one.sha256 for one in after.inputs].count("c" * 64) == 1
    assert before.inputs_digest != after.inputs_digest


def test_a_job_that_is_to_be_tried_again_is_when_its_time_comes_though_nothing_is_written(
    bench: Bench,
) -> None:
    full = Outcome(Verdict.FAILED, reason="No space left on device", transient=True)
    executor = ScriptedExecutor(lambda ticket: full)
    dispatcher = bench.dispatcher(executor)
    bench.enter()
    bench.run(dispatcher)
    assert len(executor.tickets) == 1
    dispatcher._news.have(dispatcher.step)
    dispatcher._news.have(dispatcher.step)
    assert len(executor.tickets) == 1
    bench.clock.pass_s(10)
    dispatcher._news.have(dispatcher.step)
    assert len(executor.tickets) == 2


def test_an_idle_dispatcher_begins_what_another_process_enters_without_being_woken(
    bench: Bench,
) -> None:
    begun = threading.Event()

    def answer(ticket: Ticket) -> Outcome:
        begun.set()
        return Outcome(Verdict.DONE, results("sr"))

    watch = NewsWatch(bench.database)
    watch.step()
    dispatcher = bench.dispatcher(ScriptedExecutor(answer), watch=watch)
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        until(lambda: dispatcher._news._is_dozing)
        bench.enter()
        watch.step()
        assert begun.wait(60)
    finally:
        dispatcher.stop()
        thread.join()
