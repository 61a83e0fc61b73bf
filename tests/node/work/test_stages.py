"""How far a job is, told from inside its worker."""

from __future__ import annotations

import pytest

from analyzers.contract import reached
from node.work import stages
from node.work.account import MOST, Account
from node.work.inside import Said
from node.work.stages import Reached, Stage


def test_stages_are_told_at_once_and_counts_a_few_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Reached] = []
    with stages.told_to(told.append):
        stages.enter(Stage.READING)
        with stages.analyzing():
            for done in range(10_000):
                reached(done, 10_000)
            monkeypatch.setattr(stages, "EVERY_S", 0)
            reached(5_000, 10_000)
        reached(1, 2)
    assert [one.stage for one in told[:2]] == [Stage.READING, Stage.ANALYZING]
    assert (told[-1].share, told[0].share) == (0.5, None)
    assert len(told) < 100
    stages.enter(Stage.WRITING)
    reached(1, 2)
    assert told[-1].stage is Stage.ANALYZING, "nobody listens any more"


def test_a_run_keeps_its_first_lines_and_counts_the_rest_and_no_traceback() -> None:
    account = Account()
    fields = {"job": 7, "role": "pet", "exception": "Traceback: PatientName Doe"}
    account.note(Said("info", "companion_left_out", fields))
    for _ in range(MOST + 5):
        account.note(Said("info", "again", {}))
    lines = account.lines()
    assert lines[0].text == "companion_left_out role=pet"
    assert len(lines) == MOST + 1
    assert lines[-1].text == "and 6 lines more, which the node's log has"
