"""Reference ranges: in the first lines, in rows and in the codes of PS3.16 TID 310 and 312."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import Findings, Measurement, Reference
from analyzers.segmentation.airways import AREA_SOURCE
from analyzers.segmentation.body_composition import MUSCLE_SOURCE
from analyzers.segmentation.lungs import VOLUME_SOURCE
from node.results import reported
from node.results.forms import rows, table
from node.results.modules.source import Maker
from node.results.report import lines, ranges
from node.results.words import numbers
from node.results.write import write_results
from storage.kinds import ObjectKind
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, single

ADULTS = Reference(2.96, 5.0, "adults, Someone 2019")


def measured(value: float, reference: Reference | None = ADULTS) -> Measurement:
    return Measurement(sources.VOLUME, value, sources.ML, reference=reference)


def report_of(item: Any, folder: Path, language: str = "en") -> Any:
    run = dataclasses.replace(PROVENANCE, maker=Maker(language=language))
    write_results(ct_source(), Findings((item,)), run, folder / "job")
    return pydicom.dcmread(folder / "job" / "report.dcm")


def conclusion(report: Any) -> str:
    return next(
        str(one.TextValue)
        for one in report.ContentSequence
        if one.ConceptNameCodeSequence[0].CodeMeaning == "Conclusion"
    )


@pytest.mark.parametrize(
    ("value", "reference", "said"),
    [(1.0004, Reference(None, 1.0, "x"), "1.0004 mL"),
     (0.99996, Reference(1.0, None, "x"), "0.99996 mL"),
     (1.01, Reference(None, 1.0, "x"), "1.01 mL"), (1.0004, Reference(None, 2.0, "x"), "1 mL"),
     (5012.0, Reference(None, 5000.0, "x"), "5.01 L"), (5012.0, None, "5 L")],
)  # fmt: skip
def test_a_number_beyond_its_range_is_seen_beyond_it(
    value: float, reference: Reference | None, said: str
) -> None:
    assert numbers.in_words(measured(value, reference), "en") == said


@pytest.mark.parametrize(
    ("value", "normality", "said"),
    [(2.5, "Abnormally Low", "2.5 mL, below the reference range"),
     (2.96, "Normal", "2.96 mL, within the reference range"),
     (5.01, "Abnormally High", "5.01 mL, above the reference range")],
)  # fmt: skip
def test_a_number_says_whether_it_is_usual_in_words_and_codes(
    value: float, normality: str, said: str, tmp_path: Path
) -> None:
    report = report_of(measured(value), tmp_path)
    assert conclusion(report) == f"Volume: {said}: 2.96 mL to 5 mL (adults, Someone 2019)."
    document: Any = hd.sr.Comprehensive3DSR.from_dataset(report)
    (group,) = document.content.get_image_measurement_groups()
    (number,) = group.get_measurements()
    below = {one.ConceptNameCodeSequence[0].CodeMeaning: one for one in number[0].ContentSequence}
    assert below["Normality"].ConceptCodeSequence[0].CodeMeaning == normality
    for name, limit in (("Lower", 2.96), ("Upper", 5.0)):
        (numeric,) = below[f"Normal Range {name} Limit"].MeasuredValueSequence
        assert float(numeric.NumericValue) == limit
        assert numeric.MeasurementUnitsCodeSequence[0].CodeValue == "mL"
    assert below["Normal Range Authority"].TextValue == "adults, Someone 2019"


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_structure_outside_of_its_range_is_said_to_be_so_at_once(
    language: str, tmp_path: Path
) -> None:
    segment = dataclasses.replace(single().segments[0], measurements=(measured(2.5),))
    item = dataclasses.replace(single(), segments=(segment,))
    expected = {
        "en": "Found: Nodule (left, 2.5 mL, below the reference range, image 8).",
        "de": "Gefunden: Nodule (links, 2,5 mL, unter dem Referenzbereich, Bild 8).",
    }
    said = conclusion(report_of(item, tmp_path, language))
    assert said.replace("Rundherd", "Nodule") == expected[language]


@pytest.mark.parametrize(
    ("reference", "said"),
    [(Reference(None, 3.0, "x"), "within the reference range: up to 3 mL (x)"),
     (Reference(1.0, None, "x"), "within the reference range: from 1 mL (x)")],
)  # fmt: skip
def test_a_range_may_have_one_limit(reference: Reference, said: str) -> None:
    _, row = lines.of_measurement(measured(2.5, reference), "en")
    assert (row.name, row.value, row.text) == ("Volume, reference", None, said)


@pytest.mark.parametrize("value", [2.5, float("nan")])
def test_without_range_or_number_nothing_is_said_of_it(value: float) -> None:
    reference = None if value == 2.5 else ADULTS
    assert len(list(lines.of_measurement(measured(value, reference), "en"))) == 1


def test_a_range_comes_back_to_the_analyzers_after_it(tmp_path: Path) -> None:
    path = reported.write(Findings((measured(2.5),)), Dataset(), tmp_path)
    (found,) = reported.read("x", path)
    assert found.finding == measured(2.5)


def test_every_further_form_says_whether_a_number_is_usual() -> None:
    high = measured(7.0)
    (page,) = rows.of_one(high, "en")
    assert page == (
        "Volume",
        "7 mL, above the reference range: 2.96 mL to 5 mL (adults, Someone 2019)",
    )
    assert list(rows.of_one(high, "de", briefly=True)) == [
        ("Volumen", "7 mL, über dem Referenzbereich")
    ]
    assert list(rows.of_one(measured(4.0), "en", briefly=True)) == [("Volume", "4 mL")]


def test_findings_with_a_reference_range_have_every_further_form(tmp_path: Path) -> None:
    item = single()
    (segment,) = item.segments
    segment = dataclasses.replace(segment, measurements=(measured(7.0),))
    findings = Findings((dataclasses.replace(item, segments=(segment,)), measured(7.0)))
    forms = {one.kind for one in table.FORMS} - {ObjectKind.PROBABILITY}
    made = write_results(ct_source(), findings, PROVENANCE, tmp_path / "job", forms)
    assert forms <= {one.kind for one in made.objects}


@pytest.mark.parametrize("source", [AREA_SOURCE, MUSCLE_SOURCE, VOLUME_SOURCE])
def test_on_whose_word_it_is_is_said_in_the_language_of_the_report(source: str) -> None:
    said = ranges.in_words(measured(3.0, Reference(2.0, 4.0, source)), "de")
    assert "gesunde" in said
    assert "healthy" not in said
