"""What the written report of an opacity model says of an absence and of a presence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest

from analyzers.contract import Findings
from analyzers.models import stored_model
from analyzers.radiograph.opacity import verdict
from node.results.write import write_results
from tests.node.results.sources import PROVENANCE, ct_source

NAMES = (
    "opacity_svm", "opacity_random_forest", "opacity_cnn", "opacity_ensemble",
    "opacity_faster_rcnn", "multimodal_classifier",
)  # fmt: skip


def below(item: Any) -> list[Any]:
    children = list(item.get("ContentSequence", ()))
    return [*children, *(one for child in children for one in below(child))]


def named(report: Any, name: str) -> list[Any]:
    found = (one for one in below(report) if "ConceptNameCodeSequence" in one)
    return [one for one in found if one.ConceptNameCodeSequence[0].CodeMeaning == name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.05, 0.9, 1.2])
def test_the_report_says_present_or_absent_and_is_sure_of_what_it_says(
    name: str, share: float, tmp_path: Path
) -> None:
    """share: of the operating point, so that both sides of it are written."""
    model = stored_model.load(name)
    probability = share * model.operating_point().threshold
    write_results(
        ct_source(), Findings((verdict(model, probability, ()),)), PROVENANCE, tmp_path / "job"
    )
    report = pydicom.dcmread(tmp_path / "job" / "report.dcm")
    (certainty,) = named(report, "Certainty of Finding")
    stated = float(certainty.MeasuredValueSequence[0].NumericValue)
    (conclusion,) = named(report, "Conclusion")
    answer, sure = ("Present", probability) if share >= 1 else ("Absent", 1 - probability)
    assert stated == pytest.approx(min(100 * sure, 99), abs=0.51)
    assert f": {answer} (certainty {stated:g}%)." in conclusion.TextValue
