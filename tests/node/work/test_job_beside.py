"""What an analyzer is given beside its own series, and what it leaves for the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
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
    Volume,
)
from node.demo.ct_files import CtFiles
from node.demo.phantom import ChestPhantom
from node.results import reported
from node.work import job
from node.work.executor import Ticket, Verdict
from storage.files.results import JobFolder

COUNT, ONE = Code("COUNT", "99TEST", "Count"), Code("1", "UCUM", "no units")


class Listening:
    """Says how much it was given: slices by role, the sum of what was reported, writable or not."""

    name, version, title = "listening", "1.0", "Listening"
    inputs = InputContract(modalities=frozenset({"CT"}))
    limits = Limits()
    parameters = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        values = [one.finding.value for one in volume.reported
                  if isinstance(one.finding, Measurement)]  # fmt: skip
        roles = [f"{role}: {one.shape[0]} slices, writable {one.stored.flags.writeable}"
                 for role, one in volume.companions.items()]  # fmt: skip
        return Findings((Measurement(COUNT, sum(values) + 1, ONE),), tuple(roles))


@pytest.fixture
def ticket(phantom_paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ticket:
    monkeypatch.setattr(registry, "load", lambda name: Listening)
    job.loaded.cache_clear()
    return Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer="listening",
        analyzer_version="1.0",
        parameters={},
        instances=tuple(phantom_paths),
        place=JobFolder(tmp_path / "out"),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def test_a_companion_is_read_and_cannot_be_written_to(ticket: Ticket, tmp_path: Path) -> None:
    other = ChestPhantom.small().write(tmp_path / "other", CtFiles(multiframe=True))
    outcome = job.perform(replace(ticket, companions={"moving": tuple(other)}), "cpu")
    job.loaded.cache_clear()
    assert outcome.verdict is Verdict.DONE, outcome.reason
    slices = ChestPhantom.small().grid_shape[0]
    assert outcome.results.remarks == (f"moving: {slices} slices, writable False",)


def test_a_companion_that_is_no_volume_is_absent(ticket: Ticket) -> None:
    missing_a_slice = ticket.instances[:3] + ticket.instances[5:]
    outcome = job.perform(replace(ticket, companions={"moving": missing_a_slice}), "cpu")
    job.loaded.cache_clear()
    assert outcome.verdict is Verdict.DONE, outcome.reason
    assert outcome.results.remarks == ()


def test_findings_go_from_one_job_to_the_next(ticket: Ticket, tmp_path: Path) -> None:
    job.perform(ticket, "cpu")
    left = (("listening", tmp_path / "out" / reported.NAME),)
    outcome = job.perform(replace(ticket, place=JobFolder(tmp_path / "next"), reported=left), "cpu")
    job.loaded.cache_clear()
    (row,) = outcome.results.findings
    assert row.value == 2.0
    (found,) = reported.read("listening", tmp_path / "next" / reported.NAME)
    assert isinstance(found.finding, Measurement)
    assert found.finding.value == 2.0
