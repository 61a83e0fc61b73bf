"""What has changed since the report that a newer one supersedes: in its words and in rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import Findings, Measurement, Reported
from node.results import reported
from node.results.modules.source import Maker
from node.results.report import changes
from node.results.write import write_results
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs

WHOLE = Measurement(sources.VOLUME, 5234.0, sources.ML)


def before(structure: str, value: float) -> Reported:
    return Reported("lungs", structure, Measurement(sources.VOLUME, value, sources.ML))


@pytest.mark.parametrize(
    ("structure", "value", "language", "said"),
    [("", 5000.0, "en", "Volume: 5.2 L, before 5 L (+4.7%)."),
     ("", 5000.0, "de", "Volumen: 5,2 L, zuvor 5 L (+4,7 %)."),
     ("", 6543.0, "en", "Volume: 5.2 L, before 6.5 L (-20%)."),
     ("right_lung", 600.0, "en", "Right lung, Volume: 1.2 L, before 600 mL (+106%)."),
     ("right_lung", 0.0, "en", "Right lung, Volume: 1.2 L, before 0 mL.")],
)  # fmt: skip
def test_a_number_that_differs_is_said_with_what_it_was(
    structure: str, value: float, language: str, said: str
) -> None:
    findings = Findings((lungs(), WHOLE))
    (change,) = changes.since([before(structure, value)], findings, language)
    assert change.in_words(language) == said


@pytest.mark.parametrize("value", [5234.0, 5231.0, float("nan")])
def test_what_people_see_no_difference_in_has_not_changed(value: float) -> None:
    assert changes.since([before("", value)], Findings((WHOLE,)), "en") == []


def test_numbers_of_other_structures_names_and_units_are_not_compared() -> None:
    litres = Reported("x", "", dataclasses.replace(WHOLE, unit=sources.HU, value=3.0))
    means = Reported("x", "", dataclasses.replace(WHOLE, derivation=sources.MEAN, value=3.0))
    then = [before("left_lung", 5.0), litres, means]
    assert changes.since(then, Findings((WHOLE,)), "en") == []


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_report_and_its_rows_say_what_was_before(language: str, tmp_path: Path) -> None:
    reported.write(Findings((dataclasses.replace(WHOLE, value=5000.0),)), Dataset(), tmp_path)
    then = reported.read("lungs", tmp_path / reported.NAME)
    run = dataclasses.replace(PROVENANCE, earlier=then, maker=Maker(language=language))
    results = write_results(ct_source(), Findings((WHOLE,)), run, tmp_path / "job")
    expected = {"en": "5 L (+4.7%)", "de": "5 L (+4,7 %)"}[language]
    assert results.findings[-1].text == expected
    assert expected in pydicom.dcmread(tmp_path / "job" / "report.dcm").to_json()


def test_a_report_after_another_has_other_uids(tmp_path: Path) -> None:
    run = dataclasses.replace(PROVENANCE, earlier=(before("", 5000.0),))
    for name, provenance in (("one", PROVENANCE), ("two", run)):
        write_results(ct_source(), Findings((WHOLE,)), provenance, tmp_path / name)
    uids = {pydicom.dcmread(tmp_path / n / "report.dcm").SOPInstanceUID for n in ("one", "two")}
    assert len(uids) == 2
