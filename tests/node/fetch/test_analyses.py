"""What was wanted to be analyzed is, once: also where the rules say the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from node.clock import system_clock
from node.config.rules import RuleSettings
from node.config.tables import CompletionSettings
from node.fetch.analyses import OwedAnalyses
from node.intake.completion import Completion
from node.intake.planning import Planner
from storage import ledger
from storage.records import Job
from tests.node.fetch.archives import running_archive, study
from tests.node.fetch.ward import Ward, running_ward
from tests.waiting import until

QUALITY = RuleSettings(name="all CT", when={"Modality": "CT"}, analyzers=("quality",))


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with running_ward(tmp_path / "ward") as one:
        yield one


def owed(ward: Ward, *rules: RuleSettings) -> OwedAnalyses:
    return OwedAnalyses(ward.database, rules, {}, system_clock, lambda: None)


def complete(ward: Ward, *rules: RuleSettings) -> None:
    settings = CompletionSettings(quiet_period_s=0, announced_wait_s=0)
    later = system_clock() + timedelta(minutes=1)
    Completion(ward.database, settings, Planner(rules, {}), frozenset, lambda: later).step()


def jobs(ward: Ward) -> list[Job]:
    with ward.database.read() as tx:
        return ledger.list_jobs(tx)


def fetched(ward: Ward, analyzer: str = "quality") -> int:
    with running_archive(study(1, 3)) as archive:
        fetch = ward.fetched(ward.dimse(archive.peer), analyzer, accession_number="A1")
    until(lambda: ward.instances() == 3)
    return fetch.id


def analysis(ward: Ward, number: int) -> str:
    return ward.studies(number)[0].analysis


def test_a_study_without_a_rule_is_analyzed_once_it_is_complete(ward: Ward) -> None:
    number = fetched(ward)
    assert owed(ward).step() is False
    assert (jobs(ward), analysis(ward, number)) == ([], "owed")
    complete(ward)
    assert owed(ward).step() is True
    (job,) = jobs(ward)
    assert (job.analyzer, job.rule) == ("quality", f"fetch {number}")
    assert analysis(ward, number) == f"job {job.id}"
    assert owed(ward).step() is False


def test_where_the_rules_say_the_same_it_is_not_run_twice(ward: Ward) -> None:
    number = fetched(ward)
    complete(ward, QUALITY)
    owed(ward, QUALITY).step()
    (job,) = jobs(ward)
    assert job.rule == "all CT"
    assert analysis(ward, number) == "the same job stands in the ledger already"


def test_a_study_that_is_here_already_is_analyzed_too(ward: Ward) -> None:
    fetched(ward, analyzer="")
    complete(ward)
    assert jobs(ward) == []
    fetched(ward)
    owed(ward).step()
    assert [one.analyzer for one in jobs(ward)] == ["quality"]


def test_an_analyzer_that_is_gone_meanwhile_is_said(ward: Ward) -> None:
    number = fetched(ward, "of_yesterday")
    complete(ward)
    owed(ward).step()
    assert analysis(ward, number) == "not analyzed: no analyzer is called 'of_yesterday'"
