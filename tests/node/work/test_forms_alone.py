"""A further form stands or falls alone: the objects of a job go out, whatever becomes of a form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from analyzers import registry
from analyzers.contract import Findings, InputContract, Limits, Measurement, NoParameters, Volume
from node.results import identity, kept
from node.results.bench import Bench as Run
from node.results.errors import GateRefused
from node.results.forms import document, table
from node.work import cut_off, job
from node.work.executor import Outcome, Ticket, Verdict
from node.work.local import LocalExecutor
from storage import events, ledger
from storage.files.results import JobFolder
from storage.kinds import ObjectKind
from storage.records import JobState, Level
from tests.node.results.sources import ML, VOLUME
from tests.node.work import test_dispatcher
from tests.node.work.conftest import WAIT_S, ticket
from tests.node.work.test_dispatcher import Bench, ScriptedExecutor, results

bench = test_dispatcher.bench
DOCUMENT, SHEET = ObjectKind.DOCUMENT, ObjectKind.SHEET


class Sure:
    """Says one number, and another once it is told."""

    name, version, title = "sure", "1.0", "Sure"
    inputs = InputContract(modalities=frozenset({"CT"}))
    limits = Limits()
    parameters = NoParameters
    number = 1.0

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        return Findings((Measurement(VOLUME, Sure.number, ML),))


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Sure]]:
    monkeypatch.setattr(registry, "load", lambda name: Sure)
    monkeypatch.setattr(Sure, "number", 1.0)
    yield Sure
    job.loaded.cache_clear()


@pytest.fixture
def given(phantom_paths: list[Path], tmp_path: Path, sure: type[Sure]) -> Ticket:
    (tmp_path / "quarantine").mkdir()
    return Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer="sure",
        analyzer_version="1.0",
        parameters={},
        instances=tuple(phantom_paths),
        place=JobFolder(tmp_path / ("ab" * 32), tmp_path / "quarantine"),
        started_at=datetime(2026, 1, 2, 8, tzinfo=UTC),
        forms=(SHEET, DOCUMENT),
    )


def with_form(kind: ObjectKind, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    forms = tuple(
        dataclasses.replace(one, **changes) if one.kind is kind else one for one in table.FORMS
    )
    monkeypatch.setattr(table, "FORMS", forms)


def breaks(run: Run) -> Iterator[Dataset]:
    yield from document.build(run)
    raise ZeroDivisionError("after its first object")


def refuses(path: Path, run: Run, number: int) -> None:
    raise GateRefused("document", ("its pages are blank",))


def kinds(outcome: Outcome) -> set[str]:
    return {one.kind.value for one in outcome.results.objects}


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"build": breaks}, "failed: ZeroDivisionError"),
     ({"read_back": refuses}, "document refused: its pages are blank")],
    ids=["raises", "is refused"],
)  # fmt: skip
def test_the_objects_go_out_without_a_form_that(
    given: Ticket,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    why: str,
    tmp_path: Path,
) -> None:
    with_form(DOCUMENT, monkeypatch, **changes)
    outcome = job.perform(given, "cpu")
    assert outcome.verdict is Verdict.DONE
    assert kinds(outcome) == {"sr", "sheet"}
    assert outcome.results.unmade == {DOCUMENT: why}
    (aside,) = (tmp_path / "quarantine").iterdir()
    assert aside.name.startswith("forms-1-")
    assert [one.name for one in aside.iterdir()] == ["document-0.dcm.refused"]
    made = kept.last(given.place)
    assert made is not None
    assert made.results.unmade == outcome.results.unmade


def full_disk(run: Run) -> Iterator[Dataset]:
    raise OSError(28, "No space left on device")
    yield


def test_a_form_that_finds_no_room_on_the_disk_is_made_once_there_is_some(
    given: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        with_form(DOCUMENT, full, build=full_disk)
        outcome = job.perform(given, "cpu")
    assert (outcome.verdict, outcome.waits_for) == (Verdict.FAILED, "room on the disk")
    later = job.perform(given, "cpu")
    assert kinds(later) == {"sr", "sheet", "pdf"}
    assert later.results.unmade == {}


def test_a_form_that_could_not_be_made_is_an_alarm_and_nothing_waits_for_it(bench: Bench) -> None:
    made = dataclasses.replace(results("seg", "sr"), unmade={DOCUMENT: "it is blank"})
    executor = ScriptedExecutor(lambda one: Outcome(Verdict.DONE, made, forms=(DOCUMENT,)))
    job_id = bench.enter()
    bench.run(bench.dispatcher(executor))
    done = bench.job(job_id)
    assert (done.state, done.unmade) == (JobState.DONE, {DOCUMENT: "it is blank"})
    assert sorted(bench.deliveries()) == ["seg", "sr"]
    with bench.database.write() as tx:
        told = [one.reason for one in events.list_events(tx) if one.level is Level.ALARM]
        assert told == ["pdf could not be made of the findings, and goes nowhere: it is blank"]
        assert not ledger.want_forms(tx, job_id, (DOCUMENT,), bench.clock(), "pacs takes no SR")


@pytest.mark.timeout(150)
def test_a_worker_that_is_killed_while_it_makes_a_form_has_made_the_objects(
    executor: LocalExecutor, tmp_path: Path, phantom_paths: list[Path]
) -> None:
    one = dataclasses.replace(
        ticket("form_killer", tmp_path, phantom_paths), forms=(SHEET, DOCUMENT)
    )
    outcome = executor.submit(one).result(timeout=WAIT_S)
    assert outcome.verdict is Verdict.DONE
    assert kinds(outcome) == {"sr"}
    assert set(outcome.results.unmade) == {SHEET, DOCUMENT}
    assert "killed by SIGKILL" in outcome.results.unmade[SHEET]
    assert not (tmp_path / "form_killer" / kept.OBJECTS).exists()
    made = kept.last(one.place)
    assert made is not None
    assert made.results.objects == outcome.results.objects


def test_a_slot_outlives_a_disk_that_is_full_when_its_worker_was_cut_off(
    executor: LocalExecutor,
    tmp_path: Path,
    phantom_paths: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(ticket: Ticket, why: str) -> Outcome:
        raise OSError(28, "No space left on device")

    one = dataclasses.replace(ticket("form_killer", tmp_path, phantom_paths), forms=(SHEET,))
    monkeypatch.setattr(cut_off, "outcome_of", full)
    outcome = executor.submit(one).result(timeout=WAIT_S)
    assert outcome.verdict is Verdict.FAILED
    assert "killed by SIGKILL" in outcome.reason
    after = executor.submit(ticket("counting", tmp_path, phantom_paths)).result(timeout=WAIT_S)
    assert after.verdict is Verdict.DONE


def test_what_a_run_left_that_was_cut_off_is_not_taken_for_another_run(given: Ticket) -> None:
    job.perform(given, "cpu")
    with given.place.open(kept.NAME) as file:
        record = file.read()
    given.place.put(kept.OBJECTS, record)
    assert kept.objects(given.started_at, given.place) is not None
    later = datetime(2026, 1, 3, tzinfo=UTC)
    assert kept.objects(later, given.place) is None
    changed = json.loads(record)
    changed["results"]["objects"][0]["sha256"] = "0" * 64
    given.place.put(kept.OBJECTS, json.dumps(changed).encode())
    assert kept.objects(given.started_at, given.place) is None


# --- by another version of the node ---------------------------------------------------------------


def renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What encodes is another version from now on: every UID of a run changes with it."""
    monkeypatch.setattr(identity, "writers", lambda: ("another highdicom",))


def test_forms_made_later_by_another_version_stand_beside_the_objects_that_were_sent(
    given: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job.perform(dataclasses.replace(given, forms=(SHEET,)), "cpu")
    folder = Path(given.place.folder)  # type: ignore[attr-defined]
    bytes_before = {one.name: one.read_bytes() for one in folder.glob("*.dcm")}
    renewed(monkeypatch)
    later = job.perform(dataclasses.replace(given, is_further=True), "cpu")
    assert later.verdict is Verdict.DONE
    assert later.results.objects[: len(first.results.objects)] == first.results.objects
    assert kinds(later) == {"sr", "sheet", "pdf"}
    assert {n: (folder / n).read_bytes() for n in bytes_before} == bytes_before
    before, after = (kept.last(given.place), first.results)
    assert before is not None
    assert before.results.findings == after.findings


def test_forms_of_other_findings_than_were_sent_are_not_made(
    given: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job.perform(dataclasses.replace(given, forms=()), "cpu")
    renewed(monkeypatch)
    Sure.number = 2.0
    later = job.perform(dataclasses.replace(given, is_further=True), "cpu")
    assert later.verdict is Verdict.FAILED
    assert "something else is found now than what was sent" in later.reason
    made = kept.last(given.place)
    assert made is not None
    assert made.results == first.results


def test_forms_made_later_by_the_same_version_change_no_byte(given: Ticket) -> None:
    first = job.perform(dataclasses.replace(given, forms=()), "cpu")
    later = job.perform(dataclasses.replace(given, is_further=True), "cpu")
    assert first.results.objects[0] in later.results.objects
    assert kinds(later) == {"sr", "sheet", "pdf"}
