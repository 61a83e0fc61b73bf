"""A job that is done is run again for further forms, and stays done if that fails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from analyzers.contract import Limits
from node.work.executor import Outcome, Ticket, Verdict
from storage import events, ledger, outbox
from storage.kinds import ObjectKind
from storage.records import FindingRow, JobResults, JobState, Level
from tests.node.work import test_dispatcher
from tests.node.work.test_dispatcher import Bench, ScriptedExecutor, results

bench = test_dispatcher.bench
FORMS = (ObjectKind.PICTURE, ObjectKind.SHEET)


def answer(ticket: Ticket) -> Outcome:
    """What is always made, and the forms that are wanted."""
    kinds = ("seg", "sr", *(one.value for one in ticket.forms))
    return Outcome(Verdict.DONE, results(*kinds), forms=ticket.forms)


def want(bench: Bench, job_id: int) -> None:
    with bench.database.write() as tx:
        assert ledger.want_forms(tx, job_id, FORMS, bench.clock(), "pacs takes no SEG")


def test_the_same_objects_are_made_and_the_forms_beside_them(bench: Bench) -> None:
    executor = ScriptedExecutor(answer)
    job_id = bench.enter()
    bench.run(bench.dispatcher(executor))
    want(bench, job_id)
    bench.run(bench.dispatcher(executor))
    first, second = executor.tickets
    assert (first.forms, second.forms) == ((), FORMS)
    assert first.started_at == second.started_at
    assert sorted(bench.deliveries()) == ["picture", "seg", "sheet", "sr"]
    job = bench.job(job_id)
    assert (job.state, job.forms, job.is_further) == (JobState.DONE, FORMS, False)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.NOT_APPLICABLE])
def test_if_they_cannot_be_made_the_job_is_done_as_it_was(bench: Bench, verdict: Verdict) -> None:
    outcomes = iter(
        [Outcome(Verdict.DONE, results("seg", "sr")), Outcome(verdict, reason="broken")]
    )
    executor = ScriptedExecutor(lambda ticket: next(outcomes))
    job_id = bench.enter()
    bench.run(bench.dispatcher(executor))
    with bench.database.read() as tx:
        before = ledger.results_of(tx, job_id)
    want(bench, job_id)
    bench.run(bench.dispatcher(executor))
    assert len(executor.tickets) == 2
    assert bench.job(job_id).state is JobState.DONE
    with bench.database.read() as tx:
        after = ledger.results_of(tx, job_id)
        assert after == replace(before, unmade=dict.fromkeys(FORMS, "broken"))
        (alarm,) = events.list_events(tx, level=Level.ALARM)
        assert len(outbox.list_deliveries(tx)) == 2
    assert "broken" in alarm.reason


def test_if_the_run_for_them_cannot_begin_the_job_is_done_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = bench.enter()
    bench.run(bench.dispatcher(ScriptedExecutor(answer)))
    want(bench, job_id)

    def limits(analyzer: str) -> Limits:
        raise TypeError("its parameters have no defaults")

    monkeypatch.setattr("node.work.tickets._limits", limits)
    bench.run(bench.dispatcher(ScriptedExecutor(answer)))
    assert (bench.job(job_id).state, bench.job(job_id).is_further) == (JobState.DONE, False)


def test_if_what_the_run_for_them_made_cannot_be_recorded_the_job_is_done_as_it_was(
    bench: Bench,
) -> None:
    odd = JobResults(findings=(FindingRow("lung", "volume", Decimal(1), "mL"),))  # type: ignore[arg-type]
    outcomes = iter([results("seg", "sr"), odd])
    executor = ScriptedExecutor(lambda ticket: Outcome(Verdict.DONE, next(outcomes)))
    job_id = bench.enter()
    bench.run(bench.dispatcher(executor))
    want(bench, job_id)
    bench.run(bench.dispatcher(executor))
    assert (bench.job(job_id).state, bench.job(job_id).is_further) == (JobState.DONE, False)
