"""Reports as DCMTK's dsr2html renders them, in English and German: every number with its name."""

from __future__ import annotations

import dataclasses
import html
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Finding,
    Findings,
    Measurement,
    OperatingPoint,
    Statement,
)
from node.results.modules.source import Maker
from node.results.words import sentences
from node.results.write import write_notice, write_results
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs

pytestmark = pytest.mark.skipif(shutil.which("dsr2html") is None, reason="needs DCMTK's dsr2html")

EMPHYSEMA = Code("87433001", "SCT", "Emphysema")
ABSENT = Code("272519000", "SCT", "Absent")
WHOLE = Measurement(Code("TLVCT", "99WETREAD", "Volume of both lungs on CT"), 5234.0, sources.ML)
DIAMETER = Measurement(Code("103339001", "SCT", "Long Axis"), 6.2, Code("mm", "UCUM", "mm"))
BOX = Detection(
    *("nodule_1", sources.NODULE, sources.ABNORMAL, (2, 5, 6), (4, 9, 11), 0.31, sources.RIGHT),
    measurements=(DIAMETER,),
    threshold=0.4,
)
REPORTS: dict[str, tuple[Finding, ...]] = {
    "segments": (lungs(), WHOLE),
    "box": (BOX,),
    "number": (WHOLE,),
    "answer": (
        Classification(EMPHYSEMA, ABSENT, 0.12, OperatingPoint(0.4, 0.9, 0.8, "130 patients")),
    ),
    "conclusion": (
        Statement(EMPHYSEMA, "Some text.", "emphysema", ("Percentage is 7 %",), "Someone 2021"),
    ),
    "nothing found": (sources.empty(),),
}
FIRST_LINES = {
    ("segments", "en"): "Found: Right lung (1.2 L, image 4), Left lung (image 8). "
    "Looked for, not found: Liver. Volume of both lungs on CT: 5.2 L.",
    ("segments", "de"): "Gefunden: Rechte Lunge (1,2 L, Bild 4), Linke Lunge (Bild 8). "
    "Gesucht, nicht gefunden: Leber. Volumen beider Lungen im CT: 5,2 L.",
    ("box", "en"): "Possible: Nodule (right, 6.2 mm, certainty 31%, image 4).",
    ("box", "de"): "Möglich: Rundherd (rechts, 6,2 mm, Sicherheit 31 %, Bild 4).",
    ("number", "en"): "Volume of both lungs on CT: 5.2 L.",
    ("number", "de"): "Volumen beider Lungen im CT: 5,2 L.",
    ("answer", "en"): "Emphysema: Absent (certainty 88%).",
    ("answer", "de"): "Emphysem: Nicht vorhanden (Sicherheit 88 %).",
    ("conclusion", "en"): "By rule: Emphysema.",
    ("conclusion", "de"): "Nach Regel: Emphysem.",
    ("nothing found", "en"): "Looked for, not found: Right lung, Liver, Left lung.",
    ("nothing found", "de"): "Gesucht, nicht gefunden: Rechte Lunge, Leber, Linke Lunge.",
}
TITLES = {
    "segments": ("FOUND 5.2 L: Lung segmentation", "GEFUNDEN 5,2 L: Lungensegmentierung"),
    "box": ("POSSIBLE 6.2 mm: Lung segmentation", "MÖGLICH 6,2 mm: Lungensegmentierung"),
    "number": ("MEASURED 5.2 L: Lung segmentation", "GEMESSEN 5,2 L: Lungensegmentierung"),
    "answer": ("ABSENT: Lung segmentation", "NICHT VORHANDEN: Lungensegmentierung"),
    "conclusion": ("EMPHYSEMA: Lung segmentation", "EMPHYSEM: Lungensegmentierung"),
    "nothing found": ("NOT FOUND: Lung segmentation", "NICHT GEFUNDEN: Lungensegmentierung"),
}


def spoken(language: str) -> Any:
    return dataclasses.replace(PROVENANCE, maker=Maker(language=language))


def rendered(report: Path) -> str:
    """The text of the page, a line an element."""
    page = report.with_suffix(".html")
    subprocess.run(["dsr2html", "+U8", report, page], check=True, capture_output=True)
    tagless = re.sub(r"<[^>]+>", "\n", page.read_text(encoding="utf-8"))
    return re.sub(r"\s*\n\s*", "\n", html.unescape(tagless))


def numbers_in(item: Any) -> list[tuple[str, str]]:
    """Name and value of every number."""
    found = []
    for child in item.get("ContentSequence", ()):
        if child.ValueType == "NUM":
            value = str(child.MeasuredValueSequence[0].NumericValue)
            found.append((child.ConceptNameCodeSequence[0].CodeMeaning, value))
        found += numbers_in(child)
    return found


@pytest.mark.parametrize("language", sentences.LANGUAGES)
@pytest.mark.parametrize("case", list(REPORTS))
def test_a_rendered_report_begins_with_the_answer_and_names_every_number(
    case: str, language: str, tmp_path: Path
) -> None:
    write_results(ct_source(), Findings(REPORTS[case]), spoken(language), tmp_path / "job")
    report = tmp_path / "job" / "report.dcm"
    page, written = rendered(report), pydicom.dcmread(report)
    assert f"Conclusion:\n{FIRST_LINES[case, language]}" in page
    assert written.SeriesDescription == TITLES[case][sentences.LANGUAGES.index(language)]
    for name, value in numbers_in(written):
        assert re.search(rf"{re.escape(name)}[\s:=]+{re.escape(value)}\b", page), (name, value)
    last = page.index(sentences.MADE_BY(language, maker="", version="1.2.0")[-20:])
    assert page.index("Conclusion:\n") < page.index("Measurement Group") < last


@pytest.mark.parametrize(
    ("verdict", "language", "said"),
    [("failed", "en", "Failed: there is no result of Lung segmentation"),
     ("failed", "de", "Fehlgeschlagen: kein Ergebnis von Lungensegmentierung"),
     ("not applicable", "en", "Not applicable: The images show no bone."),
     ("not applicable", "de", "Nicht anwendbar: Die Bilder zeigen keinen Knochen.")],
)  # fmt: skip
def test_a_rendered_notice_begins_with_why_there_is_no_result(
    verdict: str, language: str, said: str, tmp_path: Path
) -> None:
    reasons = ["The images show no bone."]
    write_notice(ct_source(), verdict, reasons, spoken(language), tmp_path / "job")
    assert f"Conclusion:\n{said}" in rendered(tmp_path / "job" / "report.dcm")


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_the_language_of_a_report_is_coded(language: str, tmp_path: Path) -> None:
    write_results(ct_source(), Findings((lungs(),)), spoken(language), tmp_path / "job")
    (item,) = (
        one
        for one in pydicom.dcmread(tmp_path / "job" / "report.dcm").ContentSequence
        if one.ConceptNameCodeSequence[0].CodeValue == "121049"
    )
    (code,) = item.ConceptCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == (language, "RFC5646")


@pytest.mark.parametrize(
    ("charset", "name", "expected"),
    [(None, "Mueller^J", "ISO_IR 100"), ("ISO_IR 100", "Müller^J", "ISO_IR 100"),
     ("ISO_IR 144", "Иванов", "ISO_IR 144"), ("ISO_IR 144", "Ivanov", "ISO_IR 192"),
     ("ISO_IR 192", "Иванов", "ISO_IR 192")],
)  # fmt: skip
def test_umlauts_are_written_and_the_names_keep_their_bytes(
    charset: str | None, name: str, expected: str, tmp_path: Path
) -> None:
    source = ct_source(SpecificCharacterSet=charset, PatientName=name, ReferringPhysicianName="A^B")
    write_results(source, Findings((BOX,)), spoken("de"), tmp_path / "job")
    report = pydicom.dcmread(tmp_path / "job" / "report.dcm")
    assert report.SpecificCharacterSet == expected
    assert str(report.PatientName) == name
    beginning = "MOEGLICH" if expected == "ISO_IR 144" else "MÖGLICH"
    assert report.SeriesDescription.startswith(beginning)
    assert (
        name.encode({"ISO_IR 100": "latin-1", "ISO_IR 144": "iso8859_5"}.get(expected, "utf-8"))
        in (tmp_path / "job" / "report.dcm").read_bytes()
    )
