"""Other series beside the chosen one, and the order of analyzers that wait for others."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from analyzers import registry
from analyzers.contract import AnalyzerInfo, InputContract, Limits
from node.config.rules import RuleSettings
from node.intake.companions import companions, in_order
from node.intake.planning import Planner
from storage import index, ledger
from storage.database import Database
from storage.header.attributes import extract
from storage.records import InstanceRecord, Job, Placement, PutOutcome
from tests.node.intake.test_routing import series

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PET = InputContract(modalities=frozenset({"PT"}), min_slices=10)


def analyzer(name: str, *after: str, **companions: InputContract) -> AnalyzerInfo:
    inputs = InputContract(modalities=frozenset({"CT"}))
    return AnalyzerInfo(name, "1", name, inputs, Limits(), companions=companions, after=after)


def test_the_thinnest_series_that_keeps_the_contract_plays_the_role() -> None:
    chosen = series(1)
    study = [
        chosen,
        series(2, spacing_mm=5.0, Modality="PT"),
        series(3, spacing_mm=3.0, Modality="PT"),
        series(4, slices=9, spacing_mm=1.0, Modality="PT"),
    ]
    found = companions(study, chosen, analyzer("fusion", moving=PET))
    assert {role: one.header["SeriesNumber"] for role, one in found.items()} == {"moving": 3}


def test_a_role_that_no_series_can_play_is_absent() -> None:
    chosen = series(1)
    assert companions([chosen, series(2)], chosen, analyzer("fusion", moving=PET)) == {}


def test_neither_the_chosen_series_nor_a_result_of_this_node_plays_a_role() -> None:
    chosen = series(1, Modality="PT")
    back = series(3, Modality="PT", ImageType=["DERIVED", "PRIMARY"], Manufacturer="Wetread")
    contract = dataclasses.replace(PET, derived=True)
    assert companions([chosen, back], chosen, analyzer("fusion", moving=contract)) == {}


def test_analyzers_come_behind_those_they_wait_for() -> None:
    known = {
        one.name: one
        for one in (analyzer("rules", "sum", "quality"), analyzer("sum", "lungs"),
                    analyzer("lungs"), analyzer("quality"))
    }  # fmt: skip
    assert in_order(["rules", "sum", "lungs"], known) == ["lungs", "sum", "rules"]


def test_a_ring_of_analyzers_does_not_hang() -> None:
    known = {"a": analyzer("a", "b"), "b": analyzer("b", "a"), "c": analyzer("c", "c")}
    assert sorted(in_order(["a", "b", "c"], known)) == ["a", "b", "c"]


# --- in the ledger --------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three analyzers: "fusion" wants a PET beside the CT, "rules" waits for it and "lungs"."""
    known = {
        one.name: one
        for one in (analyzer("rules", "lungs", "fusion"), analyzer("lungs"),
                    analyzer("fusion", moving=dataclasses.replace(PET, min_slices=1)))
    }  # fmt: skip
    monkeypatch.setattr(registry, "info", known.__getitem__)
    monkeypatch.setattr(registry, "parameters", lambda name, given: _Nothing())


@dataclasses.dataclass(frozen=True)
class _Nothing:
    pass


def receive(database: Database, paths: list[Path], first: int, count: int, modality: str) -> None:
    records = []
    for number in range(first, first + count):
        header = pydicom.dcmread(paths[number], stop_before_pixels=True)
        header.Modality = modality
        header.SeriesInstanceUID = f"{header.SeriesInstanceUID}.{modality == 'PT':d}"
        placement = Placement(PutOutcome.NEW, f"key{number}", 1, f"{number:064d}", "")
        records.append(InstanceRecord(extract(header), placement, NOON, "CT1"))
    with database.write() as tx:
        index.add(tx, records)


def plan(database: Database, *names: str) -> list[Job]:
    """The jobs that a plan enters, in the order in which they were entered."""
    planner = Planner((RuleSettings(name="all", when={"Modality": "CT"}, analyzers=names),), {})
    with database.write() as tx:
        (study,) = index.list_studies(tx)
        before = {job.id for job in ledger.list_jobs(tx)}
        planner.plan(tx, study.id, NOON).enter(tx)
        jobs = [job for job in ledger.list_jobs(tx) if job.id not in before]
    return sorted(jobs, key=lambda job: job.id)


@pytest.mark.usefixtures("installed")
def test_a_late_companion_makes_a_new_job_and_the_same_one_does_not(
    database: Database, phantom_paths: list[Path]
) -> None:
    receive(database, phantom_paths, 0, 3, "CT")
    (alone,) = plan(database, "fusion")
    receive(database, phantom_paths, 3, 3, "PT")
    (joined,) = plan(database, "fusion")
    assert joined.key != alone.key
    assert joined.predecessor_id == alone.id
    assert plan(database, "fusion") == []
    with database.read() as tx:
        given = ledger.companions_of(tx, joined.id)
        own = ledger.input_instances(tx, joined.id)
        assert ledger.companions_of(tx, alone.id) == {}
    assert {role: len(one) for role, one in given.items()} == {"moving": 3}
    assert not {one.id for one in own} & {one.id for one in given["moving"]}


@pytest.mark.usefixtures("installed")
def test_an_analyzer_waits_for_those_that_are_routed_and_hears_of_new_ones(
    database: Database, phantom_paths: list[Path]
) -> None:
    receive(database, phantom_paths, 0, 3, "CT")
    jobs = plan(database, "rules", "lungs")
    assert [job.analyzer for job in jobs] == ["lungs", "rules"]
    with database.read() as tx:
        waited = ledger.waited_for(tx, jobs[1].id)
    assert [job.analyzer for job in waited] == ["lungs"]
    again = plan(database, "rules", "lungs", "fusion")
    assert [job.analyzer for job in again] == ["fusion", "rules"]
    with database.read() as tx:
        waited = ledger.waited_for(tx, again[1].id)
    assert [job.analyzer for job in waited] == ["fusion", "lungs"]


def series_heard(database: Database, *rules: RuleSettings) -> dict[int, list[int]]:
    """Of each series that "rules" runs on, by its count of images: of what series it hears."""
    with database.write() as tx:
        (study,) = index.list_studies(tx)
        Planner(rules, {}).plan(tx, study.id, NOON).enter(tx)

        def images(job: Job) -> int:
            return len(ledger.input_instances(tx, job.id))

        return {
            images(job): [images(one) for one in ledger.waited_for(tx, job.id)]
            for job in ledger.list_jobs(tx)
            if job.analyzer == "rules"
        }


@pytest.fixture
def three_series(
    installed: None, database: Database, phantom_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CT of 3 images, a PET of 4 and a CT of 2; "lungs" and "rules" take them all."""
    inputs = InputContract(modalities=frozenset({"CT", "PT"}))
    known = {
        one.name: dataclasses.replace(one, inputs=inputs)
        for one in (analyzer("rules", "lungs"), analyzer("lungs"))
    }
    monkeypatch.setattr(registry, "info", known.__getitem__)
    receive(database, phantom_paths, 0, 3, "CT")
    receive(database, phantom_paths, 3, 4, "PT")
    receive_further(database, phantom_paths, range(7, 9))


@pytest.mark.usefixtures("three_series")
def test_each_series_hears_what_was_found_on_itself(database: Database) -> None:
    both = {"analyzers": ("lungs", "rules"), "series": "all"}
    of_ct = RuleSettings(name="a", when={"Modality": "CT"}, **both)
    of_pet = RuleSettings(name="b", when={"Modality": "PT"}, **both)
    assert series_heard(database, of_ct, of_pet) == {3: [3], 4: [4], 2: [2]}


@pytest.mark.usefixtures("three_series")
def test_where_nothing_was_looked_for_in_a_series_its_own_modality_comes_next(
    database: Database,
) -> None:
    further = RuleSettings(name="a", when={"SeriesNumber": 77}, analyzers=("lungs",))
    of_pet = RuleSettings(name="b", when={"Modality": "PT"}, analyzers=("lungs",))
    rules = RuleSettings(name="c", when={"Modality": "CT"}, analyzers=("rules",), series="all")
    assert series_heard(database, further, of_pet, rules) == {3: [2], 2: [2]}


def receive_further(database: Database, paths: list[Path], numbers: range) -> None:
    """A further CT of the same patient, series 77."""
    records = []
    for number in numbers:
        header = pydicom.dcmread(paths[number], stop_before_pixels=True)
        header.SeriesNumber = 77
        header.SeriesInstanceUID = f"{header.SeriesInstanceUID}.8"
        placement = Placement(PutOutcome.NEW, f"key{number}", 1, f"{number:064d}", "")
        records.append(InstanceRecord(extract(header), placement, NOON, "CT1"))
    with database.write() as tx:
        index.add(tx, records)


def receive_as(database: Database, paths: list[Path], numbers: range, modality: str) -> None:
    """Images of another patient in a series of their own, under the same study."""
    records = []
    for number in numbers:
        header = pydicom.dcmread(paths[number], stop_before_pixels=True)
        header.Modality, header.PatientID = modality, "SOMEBODY ELSE"
        header.SeriesInstanceUID = f"{header.SeriesInstanceUID}.7"
        placement = Placement(PutOutcome.NEW, f"other{number}", 1, f"{number:064d}", "")
        records.append(InstanceRecord(extract(header), placement, NOON, "CT1"))
    with database.write() as tx:
        index.add(tx, records)


@pytest.mark.usefixtures("installed")
def test_a_series_of_another_patient_is_no_companion(
    database: Database, phantom_paths: list[Path]
) -> None:
    receive(database, phantom_paths, 0, 3, "CT")
    receive_as(database, phantom_paths, range(3, 6), "PT")
    (job,) = plan(database, "fusion")
    with database.read() as tx:
        assert ledger.companions_of(tx, job.id) == {}


@pytest.mark.usefixtures("installed")
def test_what_was_found_on_another_patient_is_not_listened_to(
    database: Database, phantom_paths: list[Path]
) -> None:
    receive(database, phantom_paths, 0, 3, "CT")
    receive_as(database, phantom_paths, range(3, 6), "CT")
    theirs = RuleSettings(name="a", when={"PatientID": "SOMEBODY ELSE"}, analyzers=("lungs",))
    own = pydicom.dcmread(phantom_paths[0], stop_before_pixels=True).PatientID
    ours = RuleSettings(name="b", when={"PatientID": own}, analyzers=("rules",))
    with database.write() as tx:
        (study,) = index.list_studies(tx)
        Planner((theirs, ours), {}).plan(tx, study.id, NOON).enter(tx)
        jobs = {job.analyzer: job for job in ledger.list_jobs(tx)}
        assert set(jobs) == {"lungs", "rules"}
        assert ledger.waited_for(tx, jobs["rules"].id) == []
