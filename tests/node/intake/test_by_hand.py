"""Analyses that a person wants: other parameters, other analyzers, a study that is not complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.config.rules import RuleSettings
from node.errors import NotPossible
from node.intake.by_hand import ByHand
from node.intake.dry_run import dry_run
from node.wishes import Wish
from storage import events, index, ledger
from storage.database import open_database
from storage.records import Job, JobState, StudyState, Topic
from tests.node.intake.test_completion import Ward

RULE = RuleSettings(
    name="chest",
    when={"Modality": "CT"},
    analyzers=("gaussian_filter",),
    parameters={"gaussian_filter": {"sigma_mm": 2.0}},
    destinations=("pacs",),
)


@pytest.fixture
def ward(tmp_path: Path, phantom_paths: list[Path]) -> Iterator[Ward]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    yield Ward(database, phantom_paths)
    database.close()


def by_hand(ward: Ward, *rules: RuleSettings) -> ByHand:
    return ByHand(ward.database, rules or (RULE,), {}, ("pacs",), lambda: ward.now)


def complete(ward: Ward, *rules: RuleSettings) -> None:
    completion = ward.completion(*(rules or (RULE,)))
    ward.pass_s(10)
    ward.receive(*range(20))
    ward.pass_s(5)
    completion.step()


def jobs(ward: Ward) -> dict[int, Job]:
    with ward.database.read() as tx:
        return {one.id: one for one in ledger.list_jobs(tx)}


def test_a_job_again_with_other_parameters_takes_the_place_of_the_first(ward: Ward) -> None:
    complete(ward)
    again = by_hand(ward).again(1, {"sigma_mm": 3.5}, "anna")
    first, newer = jobs(ward)[1], jobs(ward)[again]
    assert (newer.parameters["sigma_mm"], newer.rule) == (3.5, "chest")
    assert newer.destinations == ("pacs",)
    assert newer.predecessor_id == first.id
    assert first.state is JobState.NOT_APPLICABLE  # it had not run, and never will
    with ward.database.read() as tx:
        told = [one.reason for one in events.list_events(tx, Topic.JOB, again)]
    assert told[0] == "wanted by anna"


def test_it_stands_beside_the_first_where_that_is_wanted(ward: Ward) -> None:
    complete(ward)
    again = by_hand(ward).again(1, {"sigma_mm": 3.5}, "anna", beside=True)
    assert {one.state for one in jobs(ward).values()} == {JobState.PENDING}
    assert jobs(ward)[again].predecessor_id is None


def test_a_person_can_go_back_to_the_parameters_of_before_however_often(ward: Ward) -> None:
    complete(ward)
    hand = by_hand(ward)
    for sigma_mm in (3.5, 2.0, 3.5):
        newest = max(jobs(ward))
        entered = hand.again(newest, {"sigma_mm": sigma_mm}, "anna")
        assert jobs(ward)[entered].predecessor_id == newest
        assert jobs(ward)[entered].parameters["sigma_mm"] == sigma_mm
        with pytest.raises(NotPossible, match=f"job {entered} is the same"):
            hand.again(entered, {}, "anna")
        with pytest.raises(NotPossible, match=f"job {entered} is the same"):
            hand.again(1, {"sigma_mm": sigma_mm}, "anna")
    assert len({one.key for one in jobs(ward).values()}) == 4


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"sigma_mm": 2.0}, "job 1 is the same"),
        ({"sigma_mm": 500.0}, "from 0.1 to 20 mm is accepted"),
        ({"sigma": 1.0}, "did you mean 'sigma_mm'"),
    ],
)
def test_what_cannot_be_wanted_is_refused_in_words(
    ward: Ward, parameters: dict[str, float], reason: str
) -> None:
    complete(ward)
    with pytest.raises(NotPossible, match=reason):
        by_hand(ward).again(1, parameters, "anna")
    assert len(jobs(ward)) == 1


def test_any_analyzer_runs_on_a_stored_study_beside_the_rules(ward: Ward) -> None:
    complete(ward)
    wish = Wish(1, "mean_filter", "anna", destinations=("pacs",))
    entered = by_hand(ward).analyze(wish)
    assert (jobs(ward)[entered].analyzer, jobs(ward)[entered].rule) == ("mean_filter", "by hand")
    with pytest.raises(NotPossible, match="no analyzer 'mean_fliter'"):
        by_hand(ward).analyze(Wish(1, "mean_fliter", "anna"))
    with pytest.raises(NotPossible, match="no destination is called 'pcas'"):
        by_hand(ward).analyze(Wish(1, "mean_filter", "anna", destinations=("pcas",)))


def test_an_analyzer_that_no_series_fits_is_refused_with_the_reason(ward: Ward) -> None:
    complete(ward)
    with pytest.raises(NotPossible, match=r"series \d+ \(20 images\): .*MR"):
        by_hand(ward).analyze(Wish(1, "hippocampus_unet", "anna"))
    assert len(jobs(ward)) == 1


def test_a_study_that_is_not_complete_is_analyzed_at_once_and_says_what_was_missing(
    ward: Ward,
) -> None:
    ward.receive(*range(20))
    assert by_hand(ward).now(1, "anna") == 1
    assert ward.study.state is StudyState.COMPLETE
    assert jobs(ward)[1].missing == "?"
    with ward.database.read() as tx:
        told = events.list_events(tx, Topic.STUDY, 1)[0].reason
    assert told == ("analyzed at once, as anna wanted; nobody has announced how many images it has")
    with pytest.raises(NotPossible, match="study 1 is complete"):
        by_hand(ward).now(1, "anna")


def test_what_comes_later_opens_the_study_again_and_its_job_takes_the_place(ward: Ward) -> None:
    completion = ward.completion(RULE)
    ward.pass_s(10)
    ward.receive(*range(20))
    by_hand(ward).now(1, "anna")
    ward.receive(20)
    assert ward.study.state is StudyState.RECEIVING
    ward.pass_s(5)
    assert completion.step() == 1
    assert (jobs(ward)[2].missing, jobs(ward)[2].predecessor_id) == ("", 1)


def test_rules_with_other_parameters_stand_beside_one_another(ward: Ward) -> None:
    other = RULE.model_copy(
        update={"name": "soft", "parameters": {"gaussian_filter": {"sigma_mm": 5.0}}}
    )
    complete(ward, RULE, other)
    assert [(one.rule, one.variant, one.state) for one in jobs(ward).values()] == [
        ("soft", "soft", JobState.PENDING),
        ("chest", "", JobState.PENDING),
    ]
    assert {one.parameters["sigma_mm"] for one in jobs(ward).values()} == {2.0, 5.0}


def test_a_dry_run_says_of_every_rule_why_and_makes_no_job(ward: Ward) -> None:
    ward.receive(*range(20))
    rules = (RULE, RULE.model_copy(update={"name": "brain", "when": {"Modality": "MR"}}))
    with ward.database.read() as tx:
        chest, brain = dry_run(tx, 1, rules, {})
        assert index.get_study(tx, 1).state is StudyState.RECEIVING
    assert (chest.runs, chest.parameters) == (True, {"sigma_mm": 2.0})
    assert chest.words.startswith("runs on series ")
    assert (brain.fires, brain.words) == (False, "does not fire")
    assert brain.series[0].reasons == ("Modality is CT, not MR",)
    assert jobs(ward) == {}
