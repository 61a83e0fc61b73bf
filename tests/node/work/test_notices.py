"""What did not apply: nothing is sent, or one report a study and rule, once its jobs have ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config.load import load
from node.config.rules import RuleSettings
from node.config.tables import WorkerSettings
from node.errors import SettingsError
from node.intake.planning import tells_not_applicable
from node.work.dispatcher import Dispatcher
from node.work.executor import Outcome, Ticket, Verdict
from storage.records import JobState
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
    dispatcher = Dispatcher(
        bench.database,
        bench.store,
        bench.results,
        executor,
        WorkerSettings(),
        bench.clock,
        tells_not_applicable=lambda rule: wanted and rule == "rule",
        poll_s=0,
    )
    bench.run(dispatcher, rounds=12)
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
    (notice,) = [one.notice for one in executor.tickets if one.notice and one.notices]
    assert notice.verdict is Verdict.NOT_APPLICABLE
    assert [reason.partition(": ")[2] for reason in notice.reasons] == [
        f"the gantry is tilted ({name})" for name in NAMES[:3]
    ]
    assert bench.job(ids[0]).state is JobState.NOT_APPLICABLE
    assert bench.job(ids[0]).reason == f"the gantry is tilted ({NAMES[0]})"


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
