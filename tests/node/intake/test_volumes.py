"""Series that hold a volume several times: which of them an analyzer gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from analyzers import registry
from analyzers.contract import AnalyzerInfo, InputContract, Limits
from node.config.rules import RuleSettings
from node.intake.companions import companions
from node.intake.dry_run import dry_run
from node.intake.planning import Planner
from node.series import parts
from storage import index, ledger
from storage.database import Database
from storage.records import InstanceRecord, Job
from tests.node.intake.test_routing import series
from tests.storage import samples

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MR = InputContract(modalities=frozenset({"MR"}))
INFO = AnalyzerInfo("signal", "1", "Signal", MR, Limits())
RULE = RuleSettings(name="dynamic", when={"Modality": "MR"}, analyzers=("signal",))
SLICES = 5


@dataclass(frozen=True)
class _Nothing: ...


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "info", {"signal": INFO}.__getitem__)
    monkeypatch.setattr(registry, "names", lambda: ("signal",))
    monkeypatch.setattr(registry, "parameters", lambda name, given: _Nothing())


def receive(database: Database, *points: int) -> None:
    """The volumes of these time points, all of one series."""
    numbers = [(point - 1) * SLICES + place + 1 for point in points for place in range(SLICES)]
    with database.write() as tx:
        index.add(tx, [record(number) for number in numbers])


def record(number: int) -> InstanceRecord:
    """One image, which lies where every fifth lies."""
    made = samples.record(number, "1.2", "1.2.3", Modality="MR", SeriesNumber=7)
    place, point = (number - 1) % SLICES, (number - 1) // SLICES + 1
    header = {
        **made.attributes.instance,
        "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "ImagePositionPatient": [0.0, 0.0, 3.0 * place],
        "TemporalPositionIdentifier": point,
    }
    return replace(made, attributes=replace(made.attributes, instance=header))


def plan(database: Database, rule: RuleSettings = RULE) -> list[Job]:
    """The jobs that a plan enters, in their order."""
    with database.write() as tx:
        (study,) = index.list_studies(tx)
        before = {job.id for job in ledger.list_jobs(tx)}
        Planner((rule,), {}).plan(tx, study.id, NOON).enter(tx)
        entered = [job for job in ledger.list_jobs(tx) if job.id not in before]
    return sorted(entered, key=lambda job: job.id)


def points(database: Database, job: Job) -> set[int]:
    """The time points of the images that a job is given."""
    with database.read() as tx:
        images = ledger.input_instances(tx, job.id)
    assert len(images) == SLICES
    return {one.header["TemporalPositionIdentifier"] for one in images}


def test_the_best_of_several_alike_is_the_first(database: Database) -> None:
    receive(database, 1, 2, 3)
    (job,) = plan(database)
    assert not job.refusals
    assert points(database, job) == {1}
    with database.read() as tx:
        study = index.series_of(tx, job.study_id)
    name = parts.named(study, job.series_instance_uid, job.variant)
    assert name == "volume 1 of 3, by Temporal Position"


def test_each_is_analyzed_where_the_rule_wants_all(database: Database) -> None:
    receive(database, 1, 2, 3)
    jobs = plan(database, RULE.model_copy(update={"series": "all"}))
    assert [points(database, job) for job in jobs] == [{1}, {2}, {3}]


def test_one_that_comes_later_leaves_what_was_found_on_the_others(database: Database) -> None:
    every = RULE.model_copy(update={"series": "all"})
    receive(database, 1, 2)
    assert len(plan(database, every)) == 2
    receive(database, 3)
    (third,) = plan(database, every)
    assert points(database, third) == {3}
    assert third.predecessor_id is None


def test_what_a_rule_would_do_names_each(database: Database) -> None:
    receive(database, 1, 2)
    with database.read() as tx:
        (study,) = index.list_studies(tx)
        (tried,) = dry_run(tx, study.id, (RULE,), {})
    assert tried.words == "runs on series 7 (volume 1 of 2, by Temporal Position)"
    assert [one.words for one in tried.series] == [
        "series 7 (volume 1 of 2, by Temporal Position)",
        "series 7 (volume 2 of 2, by Temporal Position)",
    ]


def test_volumes_of_one_image_have_jobs_of_their_own(database: Database) -> None:
    places = [[0.0, 0.0, 3.0 * place] for place in range(SLICES)] * 2
    given = replace(record(1), attributes=replace(record(1).attributes, instance={
        **record(1).attributes.instance, "FramePositions": places, "NumberOfFrames": len(places),
    }))  # fmt: skip
    with database.write() as tx:
        index.add(tx, [given])
    jobs = plan(database, RULE.model_copy(update={"series": "all"}))
    assert [parts.frames_in(job.variant) for job in jobs] == [(1, 2), (2, 2)]
    assert len({job.key for job in jobs}) == 2
    assert plan(database) == []


def test_another_volume_of_the_same_series_plays_no_role() -> None:
    one = series(1, Modality="MR")
    first, second = replace(one, part="volume a"), replace(one, part="volume b", instances=())
    fused = replace(INFO, companions={"second": InputContract(modalities=frozenset({"MR"}))})
    assert companions([first, second], first, fused) == {}
