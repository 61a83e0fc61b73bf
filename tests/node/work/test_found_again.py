"""A job whose database was lost finds its results again; one that is run again by hand does run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analyzers import registry
from analyzers.contract import (
    Code,
    Findings,
    InputContract,
    Limits,
    Measurement,
    NoParameters,
    NotApplicable,
    Volume,
)
from node.results import kept, reported
from node.work import job
from node.work.executor import Ticket, Verdict
from storage.files.results import JobFolder

START = datetime(2026, 1, 2, 8, tzinfo=UTC)


class Counting:
    """Says something else each time it is asked."""

    name, version, title = "counting", "1.0", "Counting"
    inputs = InputContract(modalities=frozenset({"CT"}))
    limits = Limits()
    parameters = NoParameters
    runs = 0
    fault: Exception | None = None

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        Counting.runs += 1
        if Counting.fault is not None:
            raise Counting.fault
        volume_ml = Code("118565006", "SCT", "Volume"), Code("mL", "UCUM", "mL")
        return Findings((Measurement(volume_ml[0], float(Counting.runs), volume_ml[1]),))


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Counting]]:
    monkeypatch.setattr(registry, "load", lambda name: Counting)
    monkeypatch.setattr(Counting, "runs", 0)
    monkeypatch.setattr(Counting, "fault", None)
    yield Counting
    job.loaded.cache_clear()


@pytest.fixture
def ticket(phantom_paths: list[Path], tmp_path: Path) -> Ticket:
    return Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer="counting",
        analyzer_version="1.0",
        parameters={},
        instances=tuple(phantom_paths),
        place=JobFolder(tmp_path / ("ab" * 32)),
        started_at=START,
    )


def after_the_loss(ticket: Ticket) -> Ticket:
    """The same job in a new database: it has never run there."""
    return replace(ticket, job_id=7, started_at=ticket.started_at + timedelta(days=3))


def folder_of(ticket: Ticket) -> Path:
    assert isinstance(ticket.place, JobFolder)
    return ticket.place.folder


def bytes_of(ticket: Ticket) -> dict[str, bytes]:
    folder = folder_of(ticket)
    return {path.name: path.read_bytes() for path in folder.glob("*.dcm")}


def test_results_are_found_again_with_their_bytes(ticket: Ticket, counting: type[Counting]) -> None:
    first = job.perform(ticket, "cpu")
    written = bytes_of(ticket)
    again = job.perform(after_the_loss(ticket), "cpu")
    assert (first.verdict, counting.runs) == (Verdict.DONE, 1)
    assert (again.verdict, again.results, again.reason) == (Verdict.DONE, first.results, "")
    assert bytes_of(ticket) == written


def test_the_record_beside_results_says_what_they_are_and_when_their_job_began(
    ticket: Ticket,
) -> None:
    first = job.perform(ticket, "cpu")
    found = kept.found(ticket.place)
    assert found is not None
    assert (found.objects, found.at) == (first.results.objects, START)
    assert [one.attributes for one in found.objects] == [
        one.attributes for one in first.results.objects
    ]
    assert all(one.attributes is not None for one in found.objects)


def test_what_no_job_has_ended_with_has_no_record(ticket: Ticket, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "seg.dcm").write_bytes(b"written, and not let through the gate")
    assert kept.found(JobFolder(tmp_path / "half")) is None


def test_what_runs_again_by_hand_after_that_does_run_under_other_uids(
    ticket: Ticket, counting: type[Counting]
) -> None:
    first = job.perform(ticket, "cpu")
    later = after_the_loss(ticket)
    job.perform(later, "cpu")
    by_hand = job.perform(later, "cpu")
    assert counting.runs == 2
    uids = [one.sop_instance_uid for one in (*first.results.objects, *by_hand.results.objects)]
    assert len(uids) == 2 == len(set(uids))


def test_a_job_that_was_cut_off_before_its_end_was_recorded_makes_the_same_objects(
    ticket: Ticket, counting: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job.perform(ticket, "cpu")
    monkeypatch.setattr(counting, "runs", 0)
    assert job.perform(ticket, "cpu").results == first.results


@pytest.mark.parametrize("name", ["report.dcm", reported.NAME, kept.NAME])
@pytest.mark.parametrize("damage", ["gone", "changed", "cut"])
def test_results_that_are_not_whole_are_made_anew(
    ticket: Ticket, counting: type[Counting], name: str, damage: str
) -> None:
    job.perform(ticket, "cpu")
    path = folder_of(ticket) / name
    if damage == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] if damage == "cut" else whole.replace(b"e", b"E"))
    assert job.perform(after_the_loss(ticket), "cpu").verdict is Verdict.DONE
    assert counting.runs == 2


def test_that_there_is_nothing_to_say_is_found_again_too(
    ticket: Ticket, counting: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "fault", NotApplicable("no lungs"))
    first = job.perform(ticket, "cpu")
    again = job.perform(after_the_loss(ticket), "cpu")
    assert first.verdict is again.verdict is Verdict.NOT_APPLICABLE
    assert (again.results, again.reason, counting.runs) == (first.results, first.reason, 1)


def test_what_failed_runs_again_and_its_report_is_the_same_only_where_it_says_the_same(
    ticket: Ticket, counting: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "fault", ValueError("broken"))
    assert job.perform(ticket, "cpu").verdict is Verdict.FAILED
    told = job.perform(ticket.as_notice(Verdict.FAILED, ("broken",)), "cpu")
    later = after_the_loss(ticket)
    assert job.perform(later, "cpu").verdict is Verdict.FAILED
    assert counting.runs == 2
    same = job.perform(later.as_notice(Verdict.FAILED, ("broken",)), "cpu")
    assert same.results == told.results
    other = job.perform(
        after_the_loss(later).as_notice(Verdict.FAILED, ("broken otherwise",)), "cpu"
    )
    assert other.results.objects[0].sop_instance_uid != told.results.objects[0].sop_instance_uid
    monkeypatch.setattr(counting, "fault", None)
    assert job.perform(after_the_loss(after_the_loss(later)), "cpu").verdict is Verdict.DONE


def test_a_job_for_another_model_than_the_one_installed_is_not_run(
    ticket: Ticket, counting: type[Counting]
) -> None:
    outcome = job.perform(replace(ticket, weights="e" * 64), "cpu")
    assert outcome.verdict is Verdict.FAILED
    assert "was trained anew since the job was entered" in outcome.reason
    assert counting.runs == 0
