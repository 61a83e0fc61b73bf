"""What did not apply: nothing is sent, or one report a study and rule, once its jobs have ended."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.config.load import load
from node.config.rules import RuleSettings
from node.errors import SettingsError
from node.intake.planning import tells_not_applicable
from node.work.executor import Outcome, Ticket, Verdict
from node.work.tickets import Tickets
from storage import events, ledger, schema
from storage.database import Transaction
from storage.errors import NotFound
from storage.records import Job, JobState, Level
from tests.node.work.test_dispatcher import (  # noqa: F401 - the fixture is used by its name
    Bench,
    ScriptedExecutor,
    bench,
    results,
)

NAMES = ("lung_segmentation", "bone_segmentation", "lung_nodule", "airway_segmentation")


def answer(ticket: Ticket) -> Outcome:
    """All but the airways do not apply; whoever is asked for a report writes it."""
    if ticket.notice is not None:
        written = results("sr", uid="1.2.4") if ticket.notices else results()
        return Outcome(ticket.notice.verdict, written, "; ".join(ticket.notice.reasons))
    if ticket.analyzer == "airway_segmentation":
        return Outcome(Verdict.DONE, results("seg"))
    return Outcome(Verdict.NOT_APPLICABLE, reason=f"the gantry is tilted ({ticket.analyzer})")


def run(bench: Bench, wanted: bool) -> tuple[list[int], ScriptedExecutor]:  # noqa: F811
    ids = [bench.enter(name) for name in NAMES]
    executor = ScriptedExecutor(answer)
    bench.run(bench.dispatcher(executor, tells="rule" if wanted else ""), rounds=12)
    return ids, executor


def test_nothing_is_sent_of_what_did_not_apply_unless_it_is_wanted(
    bench: Bench,  # noqa: F811
) -> None:
    ids, _ = run(bench, wanted=False)
    assert bench.deliveries() == ["seg"]
    reasons = [bench.job(one).reason for one in ids[:3]]
    assert reasons == [f"the gantry is tilted ({name})" for name in NAMES[:3]]


def test_one_report_speaks_of_all_that_did_not_apply(bench: Bench) -> None:  # noqa: F811
    ids, executor = run(bench, wanted=True)
    assert sorted(bench.deliveries()) == ["seg", "sr"]
    (ticket,) = [one for one in executor.tickets if one.notices]
    assert (ticket.analyzer, ticket.parameters) == ("wetread", {})  # and none of the three
    notice = ticket.notice
    assert notice is not None
    assert notice.verdict is Verdict.NOT_APPLICABLE
    assert [reason.partition(": ")[2] for reason in notice.reasons] == [
        f"the gantry is tilted ({name})" for name in NAMES[:3]
    ]
    assert bench.job(ids[0]).state is JobState.NOT_APPLICABLE
    assert bench.job(ids[0]).reason == f"the gantry is tilted ({NAMES[0]})"


class Killed(BaseException):
    """The process is gone at this moment."""


def test_a_node_that_dies_before_the_report_is_written_writes_it_at_its_next_start(
    bench: Bench,  # noqa: F811
) -> None:
    def dying(ticket: Ticket) -> Outcome:
        if ticket.notices:
            raise Killed
        return answer(ticket)

    for name in NAMES:
        bench.enter(name)
    with pytest.raises(Killed):
        bench.run(bench.dispatcher(ScriptedExecutor(dying), tells="rule"), rounds=12)
    assert bench.deliveries() == ["seg"]
    bench.run(bench.dispatcher(ScriptedExecutor(answer), tells="rule"))
    assert sorted(bench.deliveries()) == ["seg", "sr"]


def test_a_report_that_is_cut_off_is_written_later_and_once(bench: Bench) -> None:  # noqa: F811
    cut_off = [True, True]

    def failing(ticket: Ticket) -> Outcome:
        if ticket.notices and cut_off:
            cut_off.pop()
            return Outcome(Verdict.FAILED, reason="its worker died", transient=True)
        return answer(ticket)

    for name in NAMES:
        bench.enter(name)
    executor = ScriptedExecutor(failing)
    dispatcher = bench.dispatcher(executor, tells="rule")
    bench.run(dispatcher, rounds=12)
    assert bench.deliveries() == ["seg"]
    for _ in range(4):
        bench.clock.pass_s(3600)
        bench.run(dispatcher)
    assert sorted(bench.deliveries()) == ["seg", "sr"]
    assert sum(one.notices for one in executor.tickets) == 3


def test_a_report_that_can_never_be_written_is_given_up(bench: Bench) -> None:  # noqa: F811
    def broken(ticket: Ticket) -> Outcome:
        if ticket.notices:
            return Outcome(Verdict.FAILED, reason="no report can be built")
        return answer(ticket)

    for name in NAMES:
        bench.enter(name)
    executor = ScriptedExecutor(broken)
    bench.run(bench.dispatcher(executor, tells="rule"), rounds=12)
    bench.run(bench.dispatcher(executor, tells="rule"))
    assert sum(one.notices for one in executor.tickets) == 1
    assert "no report can be built" in alarm(bench)


def alarm(bench: Bench) -> str:  # noqa: F811
    with bench.database.read() as tx:
        (one,) = [one for one in events.list_events(tx) if one.level is Level.ALARM]
    return one.reason


def test_no_report_is_entered_with_a_job_that_runs_again_meanwhile(
    bench: Bench,  # noqa: F811
) -> None:
    ids: list[int] = []

    def restarting(ticket: Ticket) -> Outcome:
        if ticket.notices:
            with bench.database.write() as tx:
                ledger.restart(tx, ids[0], bench.clock())
        return answer(ticket)

    ids += [bench.enter(name) for name in NAMES]
    executor = ScriptedExecutor(restarting)
    dispatcher = bench.dispatcher(executor, tells="rule")
    while not any(one.notices for one in executor.tickets):
        dispatcher.step()
        dispatcher._wait()
    executor.answer = answer
    bench.run(dispatcher, rounds=12)
    assert sorted(bench.deliveries()) == ["seg", "sr"]
    assert bench.job(ids[0]).attempts == 1
    assert sum(one.notices for one in executor.tickets) == 2


def test_a_report_whose_job_has_lost_its_images_holds_up_no_other_job(
    bench: Bench,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in NAMES:
        bench.enter(name)
    dispatcher = bench.dispatcher(ScriptedExecutor(answer), tells="rule")
    of = Tickets.of

    def gone(tickets: Tickets, tx: Transaction, job: Job) -> Ticket:
        if job.state is JobState.NOT_APPLICABLE:
            raise NotFound("its images are gone")
        return of(tickets, tx, job)

    monkeypatch.setattr(Tickets, "of", gone)
    bench.run(dispatcher, rounds=12)
    later = bench.enter("median_filter", rule="another")
    bench.run(dispatcher)
    assert bench.job(later).state is JobState.NOT_APPLICABLE
    assert "NotFound" in alarm(bench)


def test_a_report_on_a_study_that_is_deleted_meanwhile_stops_nobody(
    bench: Bench,  # noqa: F811
) -> None:
    def deleting(ticket: Ticket) -> Outcome:
        if ticket.notices:
            with bench.database.write() as tx:
                tx.execute(sa.delete(schema.jobs))
        return answer(ticket)

    for name in NAMES:
        bench.enter(name)
    dispatcher = bench.dispatcher(ScriptedExecutor(deleting), tells="rule")
    bench.run(dispatcher, rounds=12)
    later = bench.enter("airway_segmentation")
    bench.run(dispatcher)
    assert bench.job(later).state is JobState.DONE


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("", {"failed"}), ("notices = true", {"failed", "not applicable"}),
     ("notices = false", set()), ('notices = ["not applicable"]', {"not applicable"})],
)  # fmt: skip
def test_a_rule_says_which_verdicts_are_reported(
    written: str, wanted: set[str], tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[[rules]]\nname = "r"\nanalyzers = ["lung_nodule"]\n{written}\n')
    (rule,) = load(path).rules
    assert rule.tells_failed(analyzers=1) == ("failed" in wanted)
    assert tells_not_applicable((rule,), "another, r") == ("not applicable" in wanted)
    assert not tells_not_applicable((rule,), "another")


def test_a_verdict_that_there_is_not_is_refused_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[[rules]]\nname = "r"\nanalyzers = ["lung_nodule"]\nnotices = ["done"]\n')
    with pytest.raises(SettingsError, match="notices"):
        load(path)


def test_a_failure_is_reported_if_nothing_else_is_said() -> None:
    assert RuleSettings(name="r", analyzers=("lung_nodule",)).tells_failed
