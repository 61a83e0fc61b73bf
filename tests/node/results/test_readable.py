"""What a person reads: digits, units, titles, certainty, the examination, the kind of method."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzers import registry
from analyzers.codes import NO_UNIT
from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Finding,
    Findings,
    Measurement,
    OperatingPoint,
    ParametricMap,
)
from node.results.words import numbers
from node.results.write import write_notice, write_results
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs, single

UNIT = Code("1", "UCUM", "no units")


def report(folder: Path, *items: Finding, **header: Any) -> Any:
    write_results(ct_source(**header), Findings(items), PROVENANCE, folder / "job")
    return pydicom.dcmread(folder / "job" / "report.dcm")


def contents(item: Any, name: str) -> list[Any]:
    found = []
    for child in item.get("ContentSequence", []):
        if child.get("ConceptNameCodeSequence", [{}])[0].get("CodeMeaning") == name:
            found.append(child)
        found += contents(child, name)
    return found


def numeric(item: Any) -> tuple[str, float]:
    value = item.MeasuredValueSequence[0]
    return str(value.NumericValue), float(value.get("FloatingPointValue", value.NumericValue))


@pytest.mark.parametrize(
    ("value", "written"),
    [(58.5777, "58.6"), (1234.56789, "1230"), (0.0000186563, "0.0000187"), (-820.51, "-821"),
     (16.1, "16.1"), (47.0, "47"), (0.0, "0"), (99.96, "100"), (2.4996, "2.5")],
)  # fmt: skip
def test_a_report_shows_three_digits_and_keeps_six(
    value: float, written: str, tmp_path: Path
) -> None:
    (number,) = contents(report(tmp_path, Measurement(sources.VOLUME, value, sources.ML)), "Volume")
    shown, kept = numeric(number)
    assert float(shown) == float(written)
    assert len(shown.strip("-").replace(".", "").strip("0").split("e")[0]) <= 3
    assert kept == pytest.approx(value, rel=1e-5)


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_no_number_is_shown_on_the_other_side_of_its_limit(value: float, limit: float) -> None:
    kept = numbers.kept(value)
    shown = numbers.shown(kept, numbers.kept(limit))
    assert (shown >= numbers.kept(limit)) == (kept >= numbers.kept(limit))
    assert shown == pytest.approx(kept, rel=5.1e-3)


def test_how_sure_absence_is_is_shown_on_its_side_of_the_threshold(tmp_path: Path) -> None:
    point = OperatingPoint(0.5, 0.9, 0.8, "some patients")
    answer = Classification(sources.NODULE, Code("272519000", "SCT", "Absent"), 0.49996, point)
    made = report(tmp_path, answer)
    (sure,) = contents(made, "Certainty of Finding")
    (limit,) = contents(made, "Probability from which presence is stated")
    assert float(numeric(sure)[0]) > float(numeric(limit)[0]) == 50


@pytest.mark.parametrize("probability", [1.0, 0.99999, 0.995])
def test_no_certainty_is_a_hundred_per_cent(probability: float, tmp_path: Path) -> None:
    box = Detection("box", sources.NODULE, sources.ABNORMAL, (0, 3, 4), (1, 9, 11), probability)
    answer = Classification(sources.NODULE, Code("52101004", "SCT", "Present"), probability)
    for sure in contents(report(tmp_path, box, answer), "Certainty of Finding"):
        assert numeric(sure) == ("99", 99.0)
    results = write_results(ct_source(), Findings((box, answer)), PROVENANCE, tmp_path / "again")
    assert not [row for row in results.findings if row.value == 100 or "100" in row.text]


@pytest.mark.parametrize(
    ("unit", "written"),
    [("[hnsf'U]", "HU"), ("1", ""), ("{ratio}", ""), ("g/ml{SUVbw}", "g/mL"), ("mm3", "mm³"),
     ("cm2", "cm²"), ("%", "%"), ("deg", "°"), ("10*-6.mm2/s", "10*-6.mm²/s"), ("mL", "mL")],
)  # fmt: skip
def test_units_are_written_as_people_write_them(unit: str, written: str) -> None:
    assert numbers.unit_words(Code(unit, "UCUM", unit)) == written


def test_a_title_needs_no_other_character_set() -> None:
    volume = Measurement(sources.VOLUME, 2016.6, Code("mm3", "UCUM", "mm3"))
    assert numbers.in_words(volume, "en") == "2020 mm3"


WHOLE = Measurement(Code("TLVCT", "99WETREAD", "Volume of both lungs on CT"), 5234.0, sources.ML)
BOX = Detection(
    "box", sources.NODULE, sources.ABNORMAL, (2, 5, 6), (4, 9, 11), 0.87,
    measurements=(Measurement(Code("SPREAD", "99WETREAD", "Spread"), 0.009, NO_UNIT),),
)  # fmt: skip
YES = Code("52101004", "SCT", "Present")
TITLES: dict[str, tuple[tuple[Finding, ...], str]] = {
    "a whole": ((lungs(), WHOLE), "FOUND 5.2 L: Lung segmentation"),
    "several": ((lungs(),), "FOUND (2): Lung segmentation"),
    "one": ((single(),), "FOUND: Lung segmentation"),
    "a box of which only its score is measured": ((BOX,), "FOUND: Lung segmentation"),
    "none": ((sources.empty(),), "NOT FOUND: Lung segmentation"),
    "an answer": ((Classification(sources.NODULE, YES),), "PRESENT: Lung segmentation"),
    "nothing": ((), "NOTHING FOUND: Lung segmentation"),
}


@pytest.mark.parametrize("case", list(TITLES))
def test_the_verdict_stands_in_the_list_of_series(case: str, tmp_path: Path) -> None:
    items, title = TITLES[case]
    assert report(tmp_path, *items).SeriesDescription == title


@pytest.mark.parametrize("verdict", ["failed", "not applicable"])
def test_the_verdict_of_a_notice_stands_there_too_whatever_the_title(
    verdict: str, tmp_path: Path
) -> None:
    long = dataclasses.replace(PROVENANCE, analyzer_title="Ä" * 64)
    write_notice(ct_source(), verdict, ["why"], long, tmp_path / "job")
    title = pydicom.dcmread(tmp_path / "job" / "report.dcm").SeriesDescription
    assert title.startswith(f"{verdict.upper()}: Ä") and len(title.encode()) <= 64


@pytest.mark.parametrize(
    ("modality", "part", "meaning"),
    [("CT", "CHEST", "CT Chest"), ("CT", "THORAX", "CT Chest"), ("CT", "ABDOMEN", "CT Abdomen"),
     ("CT", "", "Computed tomography"), ("MR", "BRAIN", "MRI Head"),
     ("XX", "", "Imaging procedure"),
     ("PT", "KNEE", "Positron emission tomography"), ("DX", "CHEST", "Plain radiography")],
)  # fmt: skip
def test_the_examination_is_named_as_far_as_it_is_known(
    modality: str, part: str, meaning: str, tmp_path: Path
) -> None:
    (named,) = contents(
        report(tmp_path, Modality=modality, BodyPartExamined=part), "Procedure reported"
    )
    assert named.ConceptCodeSequence[0].CodeMeaning == meaning


def test_a_colour_picture_is_no_image_of_the_modality_it_was_made_from(tmp_path: Path) -> None:
    """A map over a radiograph: hanging protocols for the originals must not take it."""
    source = ct_source(Modality="CR", ImagePositionPatient=None, ImageOrientationPatient=None)
    assert source.volume is not None
    chart = ParametricMap(
        source.volume.values(np.float32), "Grad-CAM", Code("X", "99WETREAD", "Evidence"), UNIT
    )
    write_results(source, Findings((chart,)), PROVENANCE, tmp_path / "job")
    picture = pydicom.dcmread(next((tmp_path / "job").glob("overlay-*.dcm")))
    assert picture.Modality == "OT"
    assert picture.SeriesDescription == "Lung segmentation, Grad-CAM, colour picture"


TRAINED = ("hippocampus", "lung_nodule", "opacity", "series_classifier", "multimodal")


@pytest.mark.parametrize("name", registry.names())
def test_only_what_was_trained_calls_itself_artificial_intelligence(name: str) -> None:
    found: Any = registry.load(name)
    if not found.__module__.startswith("analyzers."):
        pytest.skip("not one of ours")
    is_trained = name.startswith(TRAINED)
    assert (found.family.meaning == "Artificial Intelligence") == is_trained
