"""One summary a study and rule: when it is due, of what it speaks, and what supersedes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from node.config.rules import RuleSettings
from node.config.tables import WorkerSettings
from node.results.study.members import Member
from node.work import job
from node.work.dispatcher import Dispatcher
from node.work.executor import Outcome, Summary, Ticket, Verdict
from storage import events, ledger, outbox, own_jobs, retries, suspension
from storage.database import Database, Transaction, open_database
from storage.files.results import JobFolder
from storage.kinds import ObjectKind
from storage.ledger import rows
from storage.records import DeliveryState, Job, JobResults, JobState, Level, Topic
from tests.node.work.test_dispatcher import (  # noqa: F401 - the fixture is used by its name
    START,
    Bench,
    ScriptedExecutor,
    bench,
    results,
)
from tests.postgres import TEMPLATE, Postgres
from tests.storage.samples import NOON, add_study, new_job
from tests.storage.samples import enqueue as enqueue_one

NAMES = ("lung_segmentation", "lung_nodule", "airway_segmentation")
RULE = RuleSettings(name="rule", analyzers=NAMES, destinations=("pacs",))


def ends(**verdicts: Verdict) -> Callable[[Ticket], Outcome]:
    """Each analyzer ends as it is told, with a report; a summary is written as the worker does."""

    def answer(ticket: Ticket) -> Outcome:
        if ticket.above is not None:
            return Outcome(Verdict.DONE, results("summary", uid=f"1.2.9.{ticket.job_id}"))
        verdict = verdicts.get(ticket.analyzer, Verdict.DONE)
        made = results("sr", uid=f"1.2.3.{ticket.job_id}")
        return Outcome(verdict, made if verdict is Verdict.DONE else results(), f"it is {verdict}")

    return answer


@dataclass
class Site:
    """A dispatcher whose rule wants a summary."""

    bench: Bench
    executor: ScriptedExecutor
    rule: RuleSettings = RULE

    def run(self, until: threading.Event | None = None) -> None:
        dispatcher = Dispatcher(
            self.bench.database,
            self.bench.store,
            self.bench.results,
            self.executor,
            WorkerSettings(),
            self.bench.clock,
            rules=(self.rule,),
            poll_s=0,
        )
        for _ in range(12):
            dispatcher.step()
            dispatcher._wait()
            if until is not None and until.is_set():
                dispatcher.stop()
        dispatcher.step()

    def summaries(self) -> list[Job]:
        with self.bench.database.read() as tx:
            jobs = ledger.list_jobs(tx, self.bench.study_id, limit=1000)
        return [one for one in reversed(jobs) if one.analyzer == own_jobs.SUMMARY]

    def told(self) -> list[Summary]:
        return [one.above for one in self.executor.tickets if isinstance(one.above, Summary)]


def enter(bench: Bench, digest: str = "i") -> list[int]:  # noqa: F811
    return [bench.enter(name, notices=False, inputs_digest=digest) for name in NAMES]


def test_a_summary_is_made_once_when_all_jobs_of_the_rule_have_ended(
    bench: Bench,  # noqa: F811
) -> None:
    enter(bench)
    answer = ends(lung_nodule=Verdict.FAILED, airway_segmentation=Verdict.NOT_APPLICABLE)
    site = Site(bench, ScriptedExecutor(answer))
    site.run()
    site.run()
    assert [one.state for one in site.summaries()] == [JobState.DONE]
    (told,) = site.told()
    assert [(one.analyzer, one.state) for one in told.members] == [
        ("lung_segmentation", JobState.DONE),
        ("lung_nodule", JobState.FAILED),
        ("airway_segmentation", JobState.NOT_APPLICABLE),
    ]
    assert [len(one.refers_to) for one in told.members] == [1, 0, 0]
    assert sorted(bench.deliveries()) == ["sr", "summary"]


def test_several_jobs_of_one_analyzer_are_told_apart_by_what_they_looked_at(
    bench: Bench,  # noqa: F811
) -> None:
    for place in ("a", "b"):
        bench.enter(NAMES[0], notices=False, inputs_digest=place, every_series=True, variant=place)
    bench.enter(NAMES[1], notices=False)
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    (told,) = site.told()
    assert [one.place for one in told.members] == ["series 2", "series 2", ""]


def test_a_rule_of_which_one_analyzer_ran_has_no_summary_nor_one_that_wants_none(
    bench: Bench,  # noqa: F811
) -> None:
    bench.enter(NAMES[0])
    alone = Site(bench, ScriptedExecutor(ends()))
    alone.run()
    enter(bench, "j")
    silent = Site(bench, ScriptedExecutor(ends()), RULE.model_copy(update={"summary": False}))
    silent.run()
    assert alone.summaries() == silent.summaries() == []


def test_of_a_study_to_which_no_analyzer_applies_nothing_is_said_unless_that_is_wanted(
    bench: Bench,  # noqa: F811
) -> None:
    enter(bench)
    unfit = ends(**dict.fromkeys(NAMES, Verdict.NOT_APPLICABLE))
    site = Site(bench, ScriptedExecutor(unfit))
    site.run()
    assert site.summaries() == []
    ids = enter(bench, "j")
    site.rule = RULE.model_copy(update={"notices": ("not applicable",)})
    site.run()
    assert len(site.summaries()) == 1
    assert bench.job(ids[0]).state is JobState.NOT_APPLICABLE


def test_a_failure_is_told_in_the_words_that_are_for_a_radiologist(
    bench: Bench,  # noqa: F811
) -> None:
    enter(bench)

    def answer(ticket: Ticket) -> Outcome:
        if ticket.analyzer == NAMES[1]:
            trace = "ValueError: shapes"
            return Outcome(Verdict.FAILED, reason=trace, traceback=trace, told="It stopped.")
        return ends()(ticket)

    site = Site(bench, ScriptedExecutor(answer))
    site.run()
    assert site.told()[0].members[1].reason == "It stopped."


@pytest.mark.parametrize(
    ("settings", "analyzers", "is_told"),
    [
        ({}, 1, True),
        ({}, 2, False),
        ({"summary": False}, 2, True),
        ({"notices": ["failed"]}, 2, True),
        ({"notices": []}, 1, False),
    ],
)
def test_a_failure_has_a_report_of_its_own_where_no_summary_says_it(
    settings: dict[str, Any], analyzers: int, is_told: bool
) -> None:
    rule = RuleSettings(name="rule", analyzers=NAMES[:analyzers], **settings)
    assert rule.tells_failed(analyzers) is is_told


def test_jobs_of_another_rule_are_no_part_of_it_and_shared_jobs_of_both(
    bench: Bench,  # noqa: F811
) -> None:
    bench.enter(NAMES[0], rule="rule, other")
    bench.enter(NAMES[1], rule="rule")
    bench.enter(NAMES[2], rule="another rule")
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    (told,) = site.told()
    assert [one.analyzer for one in told.members] == list(NAMES[:2])


def test_a_job_that_is_redone_with_another_end_gives_another_summary_after_the_first(
    bench: Bench,  # noqa: F811
) -> None:
    ids = enter(bench)
    site = Site(bench, ScriptedExecutor(ends(lung_nodule=Verdict.FAILED)))
    site.run()
    site.executor.answer = ends()
    restart(bench, ids[1])
    site.run()
    restart(bench, ids[1])
    site.run()  # ends as before: no third
    first, second = site.summaries()
    assert second.predecessor_id == first.id
    assert site.executor.tickets[-1].above is None
    second_ticket = [one for one in site.executor.tickets if one.above is not None][1]
    assert second_ticket.predecessor is not None
    assert second_ticket.predecessor.sop_instance_uid.startswith(f"1.2.9.{first.id}")


def test_what_ends_as_it_once_did_is_said_again_after_what_was_said_meanwhile(
    bench: Bench,  # noqa: F811
) -> None:
    ids = enter(bench)
    site = Site(bench, ScriptedExecutor(ends()))
    for verdict in (Verdict.FAILED, Verdict.NOT_APPLICABLE, Verdict.FAILED):
        site.executor.answer = ends(lung_nodule=verdict)
        site.run()
        restart(bench, ids[1])
    assert len(site.summaries()) == 3
    assert [one.members[1].state for one in site.told()] == [
        JobState.FAILED,
        JobState.NOT_APPLICABLE,
        JobState.FAILED,
    ]


def test_what_was_said_again_is_not_said_once_more_when_nothing_has_changed(
    bench: Bench,  # noqa: F811
) -> None:
    ids = enter(bench)
    site = Site(bench, ScriptedExecutor(ends()))
    verdicts = (Verdict.FAILED, Verdict.NOT_APPLICABLE, Verdict.FAILED, Verdict.FAILED)
    for verdict in verdicts:
        site.executor.answer = ends(lung_nodule=verdict)
        site.run()
        restart(bench, ids[1])
    assert len(site.summaries()) == 3


def test_a_job_of_which_no_further_forms_could_be_made_keeps_the_summary_waiting_no_longer(
    bench: Bench,  # noqa: F811
) -> None:
    first, *others = enter(bench)

    def answer(ticket: Ticket) -> Outcome:
        if ticket.forms:
            return Outcome(Verdict.FAILED, reason="broken")
        return ends()(ticket)

    site = Site(bench, ScriptedExecutor(answer))
    with bench.database.write() as tx:
        for later in others:
            rows.change(tx, later, not_before=START + timedelta(hours=1))
    site.run()
    bench.clock.now += timedelta(hours=1)
    with bench.database.write() as tx:
        assert ledger.want_forms(tx, first, {ObjectKind.PICTURE}, bench.clock(), "no SEG")
        rows.change(tx, first, not_before=START + timedelta(hours=2))
    site.run()
    assert site.summaries() == []  # the first is open
    bench.clock.now += timedelta(hours=1)
    site.run()
    assert [one.state for one in site.summaries()] == [JobState.DONE]


@pytest.mark.interop
def test_a_summary_that_the_database_refuses_keeps_no_job_from_ending(
    bench: Bench,  # noqa: F811
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(tx: Transaction, *given: object) -> None:
        events.record(tx, START, Level.INFO, Topic.NODE, 0, "", "", "half of it")
        tx.execute(sa.text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr("node.work.summaries.enter_due", refused)
    bench.clock.now = NOON
    with fresh_database(postgres) as server:
        for database in (server, bench.database):
            with database.write() as tx:
                study_id = add_study(tx)
            with database.write() as tx:
                job_id = enqueue_one(tx, new_job(tx, study_id))
            bench.database = database
            Site(bench, ScriptedExecutor(ends())).run()
            assert bench.job(job_id).state is JobState.DONE
            with database.read() as tx:
                told = {one.reason: one.level for one in events.list_events(tx)}
            assert "half of it" not in told
            (alarm,) = [reason for reason, level in told.items() if level is Level.ALARM]
            assert alarm.startswith("the summary above it cannot be entered: ")


@pytest.mark.interop
def test_a_ticket_that_the_database_refuses_keeps_no_other_job_from_running(
    bench: Bench,  # noqa: F811
    postgres: Postgres,
) -> None:
    def forms(tx: Transaction, asked: Job) -> tuple[ObjectKind, ...]:
        if asked.analyzer == "a":
            tx.execute(sa.text("SELECT nothing FROM nowhere"))
        return ()

    bench.clock.now = NOON
    with fresh_database(postgres) as server:
        for database in (server, bench.database):
            with database.write() as tx:
                study_id = add_study(tx)
            with database.write() as tx:
                first, second = (enqueue_one(tx, new_job(tx, study_id, name)) for name in "ab")
            bench.database = database
            dispatcher = Dispatcher(
                database, bench.store, bench.results, ScriptedExecutor(ends()), WorkerSettings(),
                bench.clock, forms=forms, poll_s=0,
            )  # fmt: skip
            bench.run(dispatcher)
            assert bench.job(first).state is JobState.FAILED
            assert bench.job(first).reason.startswith("the job cannot be started")
            assert bench.job(second).state is JobState.DONE


@contextmanager
def fresh_database(server: Postgres) -> Iterator[Database]:
    name = f"test_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    opened = open_database(server.url(name))
    yield opened
    opened.close()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_study_that_re_opens_gets_a_summary_of_its_new_results_alone(
    bench: Bench,  # noqa: F811
) -> None:
    enter(bench)
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    new = enter(bench, "with a late image")
    site.run()
    first, second = site.summaries()
    assert second.predecessor_id == first.id
    uids = {one.refers_to[0].sop_instance_uid for one in site.told()[1].members}
    assert {uid.split(".")[3] for uid in uids} == {str(one) for one in new}
    with bench.database.read() as tx:
        states = {
            one.job_id: one.state
            for one in outbox.list_deliveries(tx)
            if one.job_id in (first.id, second.id)
        }
    assert states == {first.id: DeliveryState.SUPERSEDED, second.id: DeliveryState.PENDING}


def test_the_summary_is_owed_with_the_end_of_the_last_job_whatever_happens_then(
    bench: Bench,  # noqa: F811
) -> None:
    enter(bench)
    stopping = threading.Event()

    def answer(ticket: Ticket) -> Outcome:
        if ticket.analyzer == NAMES[-1]:
            stopping.set()
        return ends()(ticket)

    site = Site(bench, ScriptedExecutor(answer))
    site.run(until=stopping)  # cut off: the last end is committed, the summary not begun
    assert [one.state for one in site.summaries()] == [JobState.PENDING]
    site.run()
    assert [one.state for one in site.summaries()] == [JobState.DONE]


def test_reports_of_regions_that_are_made_later_bring_the_same_summary_back_for_their_readers(
    bench: Bench,  # noqa: F811
) -> None:
    ids = enter(bench)
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    (first,) = site.summaries()

    def answer(ticket: Ticket) -> Outcome:
        if ticket.above is not None:
            return Outcome(Verdict.DONE, results("summary"), forms=ticket.forms)
        uid = f"1.2.3.{ticket.job_id}"
        found = results("sr", uid=uid).objects + results("sr-regions", uid=f"{uid}.1").objects
        return Outcome(Verdict.DONE, JobResults(found), forms=ticket.forms)

    site.executor.answer = answer
    with bench.database.write() as tx:
        assert ledger.want_forms(tx, ids[0], {ObjectKind.REGIONS}, bench.clock(), "asked")
    site.run()
    site.run()
    (again,) = site.summaries()
    assert again.id == first.id
    assert len(site.told()) == 2
    assert [len(one.regions) for one in site.told()[1].members] == [1, 0, 0]


def test_a_person_may_have_a_summary_made_again(bench: Bench) -> None:  # noqa: F811
    enter(bench)
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    (first,) = site.summaries()
    with bench.database.write() as tx:
        assert retries.retry(tx, first.id, bench.clock()).objects == 0
    site.run()
    assert [one.state for one in site.summaries()] == [JobState.DONE]
    assert len(site.told()) == 2


def test_a_summary_of_which_the_ledger_was_lost_is_found_again_with_its_bytes(
    phantom_paths: list[Path], tmp_path: Path
) -> None:
    member = Member("Lungs", "lungs", "1", JobState.FAILED, "It stopped.", None, ())
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=own_jobs.SUMMARY,
        analyzer_version="1",
        parameters={},
        instances=tuple(phantom_paths[:1]),
        place=JobFolder(tmp_path / ("ab" * 32)),
        started_at=START,
        above=Summary((member,)),
    )
    made = job.perform(ticket, "cpu")
    assert [one.kind for one in made.results.objects] == [ObjectKind.SUMMARY]
    found = job.perform(replace(ticket, started_at=START + timedelta(hours=1)), "cpu")
    assert found.results.objects == made.results.objects


def restart(bench: Bench, job_id: int) -> None:  # noqa: F811
    with bench.database.write() as tx:
        ledger.restart(tx, job_id, bench.clock())


def test_a_job_that_is_cancelled_while_it_waits_keeps_the_summary_waiting_no_longer(
    bench: Bench,  # noqa: F811
) -> None:
    ids = enter(bench)
    with bench.database.write() as tx:
        ledger.cancel(tx, ids[1], bench.clock(), "anna")
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    site.run()
    (told,) = site.told()
    assert [one.state for one in told.members] == [
        JobState.DONE,
        JobState.CANCELLED,
        JobState.DONE,
    ]
    assert [len(one.refers_to) for one in told.members] == [1, 0, 1]


def test_the_last_job_of_a_rule_that_is_cancelled_while_it_waits_has_the_summary_made(
    bench: Bench,  # noqa: F811
) -> None:
    site = Site(bench, ScriptedExecutor(ends()))
    *ids, last = enter(bench)
    with bench.database.write() as tx:
        suspension.suspend(tx, bench.clock(), "anna")
    site.run()
    assert site.summaries() == []
    with bench.database.write() as tx:
        suspension.resume(tx, bench.clock(), "anna")
        ledger.claim(tx, bench.clock())
        ledger.done(tx, ids[0], bench.clock(), results("sr", uid="1.2.3.1"))
        ledger.claim(tx, bench.clock())
        ledger.done(tx, ids[1], bench.clock(), results("sr", uid="1.2.3.2"))
        ledger.cancel(tx, last, bench.clock(), "anna")
    site.run()
    (made,) = site.summaries()
    assert made.state is JobState.DONE


def test_a_node_that_dies_before_it_ends_a_cancelled_job_makes_the_summary_when_it_is_back(
    bench: Bench,  # noqa: F811
) -> None:
    *others, last = enter(bench)
    with bench.database.write() as tx:
        rows.change(tx, last, not_before=START + timedelta(hours=1))
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    assert site.summaries() == []
    with bench.database.write() as tx:
        ledger.claim(tx, START + timedelta(hours=1))
        ledger.cancel(tx, last, bench.clock(), "anna")
    with bench.database.write() as tx:  # the next start
        ledger.release_running(tx, bench.clock())
    site.run()
    (told,) = site.told()
    ended = {one.state for one in told.members}
    assert (len(others), ended) == (2, {JobState.DONE, JobState.CANCELLED})


def test_the_summary_is_made_when_the_further_forms_it_waited_for_are_cancelled(
    bench: Bench,  # noqa: F811
) -> None:
    *others, last = enter(bench)
    with bench.database.write() as tx:
        rows.change(tx, last, not_before=START + timedelta(hours=1))
    site = Site(bench, ScriptedExecutor(ends()))
    site.run()
    with bench.database.write() as tx:
        assert ledger.want_forms(tx, others[0], {ObjectKind.PICTURE}, bench.clock(), "no SEG")
        rows.change(tx, others[0], not_before=START + timedelta(hours=2))
    bench.clock.now += timedelta(hours=1)
    site.run()
    assert site.summaries() == []
    with bench.database.write() as tx:
        ledger.cancel(tx, others[0], bench.clock(), "anna")
    site.run()
    assert [one.state for one in site.summaries()] == [JobState.DONE]
