"""Radiographs that share a series are looked at one by one, each for itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from analyzers import registry
from analyzers.contract import AnalyzerInfo, InputContract, Limits
from node.config.rules import RuleSettings
from node.intake.by_hand import ByHand
from node.intake.planning import Planner
from node.series.parts import divided
from storage import index, ledger
from storage.database import Database
from storage.header.attributes import extract
from storage.records import InstanceRecord, Job, Placement, PutOutcome
from tests.node.intake.test_routing import series

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FRONTAL = InputContract(modalities=frozenset({"CR"}), views=frozenset({"AP", "PA"}))
SECOND = InputContract(modalities=frozenset({"CR"}))
RULE = RuleSettings(name="chest", when={"Modality": "CR"}, analyzers=("opacity",))


@dataclass(frozen=True)
class _Nothing:
    limit: float = 0.5


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that read frontal radiographs; "two_views" wants another radiograph beside it, and
    "rules" hears what was found."""
    known = {
        "opacity": AnalyzerInfo("opacity", "1", "Opacity", FRONTAL, Limits()),
        "rules": AnalyzerInfo("rules", "1", "Rules", SECOND, Limits(), after=("opacity",)),
        "two_views": AnalyzerInfo(
            "two_views", "1", "Two views", FRONTAL, Limits(), companions={"second": SECOND}
        ),
    }
    monkeypatch.setattr(registry, "info", known.__getitem__)
    monkeypatch.setattr(registry, "names", lambda: tuple(known))
    monkeypatch.setattr(
        registry, "parameters", lambda name, given: _Nothing(given.get("limit", 0.5))
    )


def receive(database: Database, *images: tuple[int, str]) -> None:
    """Radiographs of one series: number and view, where the header says one."""
    records = []
    for number, view in images:
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SOPClassUID = ComputedRadiographyImageStorage
        made.SOPInstanceUID = f"1.2.3.{number}"
        made.StudyInstanceUID, made.SeriesInstanceUID = "1.2", "1.2.3"
        made.Modality, made.PatientID, made.SeriesNumber = "CR", "A", 1
        made.InstanceNumber, made.Rows, made.Columns = number, 64, 64
        if view:
            made.ViewPosition = view
        placement = Placement(PutOutcome.NEW, f"key{number}", 1, f"{number:064d}", "")
        records.append(InstanceRecord(extract(made), placement, NOON, "CR1"))
    with database.write() as tx:
        index.add(tx, records)


def plan(database: Database, rule: RuleSettings = RULE) -> list[Job]:
    """The jobs that a plan enters, in their order."""
    with database.write() as tx:
        (study,) = index.list_studies(tx)
        before = {job.id for job in ledger.list_jobs(tx)}
        Planner((rule,), {}).plan(tx, study.id, NOON).enter(tx)
        entered = [job for job in ledger.list_jobs(tx) if job.id not in before]
    return sorted(entered, key=lambda job: job.id)


def numbers(database: Database, job: Job) -> list[int]:
    """Of the images that a job is given."""
    with database.read() as tx:
        return [one.header["InstanceNumber"] for one in ledger.input_instances(tx, job.id)]


def test_each_is_analyzed_by_itself(database: Database) -> None:
    receive(database, (1, ""), (2, ""))
    jobs = plan(database)
    assert [numbers(database, job) for job in jobs] == [[1], [2]]
    assert not any(job.refusals for job in jobs)
    assert plan(database) == []


def test_the_view_of_each_decides_and_not_that_of_the_first(database: Database) -> None:
    receive(database, (1, "LL"), (2, "PA"))
    (job,) = plan(database)
    assert numbers(database, job) == [2]


def test_views_of_which_none_fits_are_refused_image_by_image(database: Database) -> None:
    receive(database, (1, "LL"), (2, "RL"))
    (job,) = plan(database)
    assert job.refusals == (
        "series 1 (image 1): its view is LL, AP or PA is needed",
        "series 1 (image 2): its view is RL, AP or PA is needed",
    )


def test_one_that_comes_later_leaves_what_was_found_on_the_others(database: Database) -> None:
    receive(database, (1, "PA"))
    (first,) = plan(database)
    receive(database, (2, "AP"))
    (second,) = plan(database)
    assert numbers(database, second) == [2]
    assert second.predecessor_id is None
    assert first.id != second.id


def test_the_other_view_of_the_same_series_plays_a_role(database: Database) -> None:
    receive(database, (1, "PA"), (2, "LL"))
    (job,) = plan(database, RULE.model_copy(update={"analyzers": ("two_views",)}))
    with database.read() as tx:
        (beside,) = ledger.companions_of(tx, job.id)["second"]
    assert beside.header["InstanceNumber"] == 2


def test_each_hears_what_was_found_on_itself(database: Database) -> None:
    receive(database, (1, "PA"), (2, "AP"))
    jobs = plan(database, RULE.model_copy(update={"analyzers": ("opacity", "rules")}))
    with database.read() as tx:
        heard = [(job, ledger.waited_for(tx, job.id)) for job in jobs if job.analyzer == "rules"]
    assert len(heard) == 2
    for job, (one,) in heard:
        assert numbers(database, job) == numbers(database, one)


def test_a_person_has_one_of_them_analyzed_again(database: Database) -> None:
    receive(database, (1, "PA"), (2, "AP"))
    _, second = plan(database)
    by_hand = ByHand(database, (RULE,), {}, (), lambda: NOON)
    again = by_hand.again(second.id, {"limit": 0.7}, "anna")
    with database.read() as tx:
        job = ledger.get(tx, again)
    assert numbers(database, job) == [2]
    assert job.predecessor_id == second.id


def test_slices_and_images_of_many_frames_stay_together() -> None:
    slices = series(1)
    cine = series(2, Modality="DX", NumberOfFrames=20)
    assert divided([slices, cine]) == [slices, cine]
