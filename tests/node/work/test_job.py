"""One job inside a worker, without the worker."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from analyzers import codes, registry
from analyzers.contract import (
    Findings,
    InputContract,
    Limits,
    Measurement,
    NoParameters,
    Volume,
)
from node.demo.ct_files import CtFiles
from node.demo.phantom import ChestPhantom
from node.work import job
from node.work.executor import Ticket, Verdict
from storage.files.results import JobFolder


class Quoting:
    """Raises what pydicom's errors do: a header value in the text."""

    name, version, title = "quoting", "1.0", "Quoting"
    inputs = InputContract(modalities=frozenset({"CT"}))
    limits = Limits()
    parameters = NoParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        raise ValueError("Invalid value for VR PN: 'Doe^Jane' in 1.2.840.113619.2.1.1.1")


def test_what_an_exception_quotes_of_a_header_does_not_reach_the_ledger(
    phantom_paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load", lambda name: Quoting)
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer="quoting",
        analyzer_version="1.0",
        parameters={},
        instances=tuple(phantom_paths),
        place=JobFolder(tmp_path / "out"),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    outcome = job.perform(ticket, "cpu")
    job.loaded.cache_clear()
    assert outcome.verdict is Verdict.FAILED
    assert outcome.reason.startswith("ValueError: Invalid value for VR PN:")
    for text in (outcome.reason, outcome.traceback):
        assert "Jane" not in text
        assert "113619" not in text


class Counting(Quoting):
    """Says how many slices there are."""

    def analyze(self, volume: Volume, parameters: NoParameters) -> Findings:
        return Findings((Measurement(codes.VOLUME, volume.shape[0], codes.MILLILITER),))


def test_a_report_on_images_called_derived_says_for_what_they_were_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load", lambda name: Counting)
    paths = ChestPhantom.small().write(tmp_path / "study")
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        dataset.save_as(path)
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer="quoting",
        analyzer_version="1.0",
        parameters={},
        instances=tuple(paths),
        place=JobFolder(tmp_path / "out"),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    outcome = job.perform(ticket, "cpu")
    job.loaded.cache_clear()
    assert outcome.verdict is Verdict.DONE, outcome.reason
    (report,) = (tmp_path / "out").rglob("*.dcm")
    assert "taken for slices as scanned" in pydicom.dcmread(report).to_json()


def test_images_that_no_derived_series_can_be_made_of_are_not_applicable(tmp_path: Path) -> None:
    paths = ChestPhantom.small().write(tmp_path / "study", CtFiles(multiframe=True))
    gaussian = registry.info("gaussian_filter")
    ticket = Ticket(
        job_id=1,
        key="ab" * 32,
        analyzer=gaussian.name,
        analyzer_version=gaussian.version,
        parameters=dict(gaussian.defaults),
        instances=tuple(paths),
        place=JobFolder(tmp_path / "out"),
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    outcome = job.perform(ticket, "cpu")
    assert outcome.verdict is Verdict.NOT_APPLICABLE
    assert "Enhanced CT" in outcome.reason
    assert [item.kind for item in outcome.results.objects] == ["sr"]
