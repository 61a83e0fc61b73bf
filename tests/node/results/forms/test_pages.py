"""The sheet and the document: they say what the report says, and never whom it is about."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    OperatingPoint,
    Segment,
    Segmentation,
    Statement,
)
from node.results.forms import document, layout, rows
from node.results.forms.account import Account, Section
from node.results.modules.source import Maker
from node.results.write import write_notice, write_results
from node.series.source import Source
from storage.kinds import ObjectKind
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs

PAGES = (ObjectKind.SHEET, ObjectKind.DOCUMENT)
YES = Code("373066001", "SCT", "Yes")
QUESTION = Code("EVIDENCE", "99WETREAD", "Evidence")
POINT = OperatingPoint(0.412, 0.803, 0.771, "49 patients held out")
FINDINGS = Findings(
    (
        lungs(),
        Detection("n", sources.NODULE, sources.ABNORMAL, (2, 3, 4), (4, 8, 9), 0.876),
        Classification(QUESTION, YES, 0.834, POINT, ("Right base.",)),
        Measurement(sources.VOLUME, 0.0123456, sources.ML),
        Measurement(sources.ATTENUATION, float("nan"), sources.HU),
        Statement(YES, "The volume is small.", "small lungs", ("2 mL < 3 mL",), "Textbook."),
    ),
    ("The lungs go on below the images: Größe unsicher, ≥ 3 µm.",),
)


def poppler(*command: str | Path) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pages_of(source: Source, findings: Findings, folder: Path, language: str = "en") -> Dataset:
    """The document; beside it lie its PDF file and the report."""
    run = dataclasses.replace(PROVENANCE, maker=Maker(language=language))
    write_results(source, findings, run, folder, PAGES)
    return unwrapped(folder)


def unwrapped(folder: Path) -> Dataset:
    made = pydicom.dcmread(folder / "document-0.dcm")
    content = made.EncapsulatedDocument[: made.EncapsulatedDocumentLength]
    (folder / "document.pdf").write_bytes(content)
    return made


def text_of(folder: Path) -> str:
    return " ".join(poppler("pdftotext", "-layout", folder / "document.pdf", "-").split())


def numbers_in(report: Dataset) -> Iterator[str]:
    for item in report.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeValue == "111028":  # the image library
            continue
        if item.ValueType == "NUM":
            yield str(item.MeasuredValueSequence[0].NumericValue)
        yield from numbers_in(item)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_document_says_every_number_of_the_report(language: str, tmp_path: Path) -> None:
    pages_of(ct_source(), FINDINGS, tmp_path / "job", language)
    said = text_of(tmp_path / "job")
    wanted = set(numbers_in(pydicom.dcmread(tmp_path / "job/report.dcm")))
    assert len(wanted) >= 8
    for number in wanted:
        spelled = number.replace(".", ",") if language == "de" else number
        assert re.search(rf"(?<![\d.,]){re.escape(spelled)}(?![\d]|[.,]\d)", said), number


def test_the_document_says_the_answer_first_and_the_words_of_the_report(tmp_path: Path) -> None:
    pages_of(ct_source(), FINDINGS, tmp_path / "job")
    said = text_of(tmp_path / "job")
    for words in (
        "Lung segmentation 1.2.0",
        "automatic, not for diagnosis",
        "Found: Right lung",
        "Größe unsicher, ≥ 3 µm.",
        "The volume is small.",
        "Source: Textbook.",
        "Right base.",
        "could not be measured",
        "threshold_hu=-400",
        "not verified by a person",
    ):
        assert words in said
    assert "device" not in said.lower()
    assert said.count("lung_segmentation") == 1
    assert said.index("Found:") < said.index("1230 mL") < said.index("Source:")


def test_no_page_names_the_patient_and_the_header_does(tmp_path: Path) -> None:
    made = pages_of(ct_source(), FINDINGS, tmp_path / "job")
    said = text_of(tmp_path / "job")
    for word in ("Müller", "Jürgen", "4711-0815", "ACC77", "1950", "Grün"):
        assert word not in said
    assert made.PatientName == "Müller^Jürgen"
    assert made.BurnedInAnnotation == "NO"


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 192", "山田^太郎"), ("ISO_IR 144", "Иванов^Иван"), ("ISO_IR 192", "Ğül^Žofie")],
)
def test_names_in_any_script_stand_in_the_header(charset: str, name: str, tmp_path: Path) -> None:
    source = ct_source(SpecificCharacterSet=charset, PatientName=name)
    assert pages_of(source, FINDINGS, tmp_path / "job", "de").PatientName == name


def test_words_of_any_script_do_not_stop_a_page() -> None:
    said = Account("肺 Лёгкие ريه \udce4", "", "w", ("a" * 300,), (), (), ("x\ty\u2028z",), ())
    assert document.pdf(said, "en").startswith(b"%PDF")


def test_the_document_is_sound_and_has_its_letters_with_it(tmp_path: Path) -> None:
    pages_of(ct_source(), FINDINGS, tmp_path / "job")
    poppler("qpdf", "--check", tmp_path / "job/document.pdf")
    fonts = poppler("pdffonts", tmp_path / "job/document.pdf").splitlines()[2:]
    assert fonts and all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts)


def test_the_document_says_what_it_is_and_what_it_was_made_from(tmp_path: Path) -> None:
    source = ct_source()
    made = pages_of(source, FINDINGS, tmp_path / "job")
    assert made.SOPClassUID == EncapsulatedPDFStorage
    assert (made.Modality, made.ConversionType) == ("DOC", "WSD")
    assert made.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert made.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert made.VerificationFlag == "UNVERIFIED"
    assert made.DocumentTitle == "Lung segmentation: report"
    assert len(made.SourceInstanceSequence) == len(source.headers)


def test_the_same_findings_give_the_same_pages(tmp_path: Path) -> None:
    one, two = (
        write_results(ct_source(), FINDINGS, PROVENANCE, tmp_path / name, PAGES).objects
        for name in ("a", "b")
    )
    assert [made.sha256 for made in one] == [made.sha256 for made in two]


def test_a_sheet_is_one_capture_of_a_page(tmp_path: Path) -> None:
    pages_of(ct_source(), Findings((lungs(),)), tmp_path / "job")
    assert len(list((tmp_path / "job").glob("sheet-*.dcm"))) == 1
    made = pydicom.dcmread(tmp_path / "job/sheet-0.dcm")
    assert made.SOPClassUID == SecondaryCaptureImageStorage
    assert (made.Modality, made.BurnedInAnnotation) == ("OT", "NO")
    assert (made.Rows, made.Columns) == (1684, 1190)
    assert np.ptp(made.pixel_array) > 200


def test_what_does_not_fit_on_a_page_goes_on_the_next() -> None:
    sections = [Section(f"Structure {n}", [("Volume", f"{n} mL")] * 3) for n in range(40)]
    said = Account("T", "S", "W", ("A",), sections, (), (), ())
    pages = layout.laid_out(said)
    written = [one for page in pages for one in page if isinstance(one, layout.Letters)]
    assert len(pages) > 2
    assert sum(one.text.endswith(" mL") for one in written) == 120
    assert all(0 < one.y < layout.HEIGHT for one in written)
    for one in written:
        width = layout.width_of(one.text, one.size, bold=one.bold)
        assert one.x + width <= layout.WIDTH - layout.MARGIN + 1


def test_that_there_is_no_result_is_said_on_pages_too(tmp_path: Path) -> None:
    source = dataclasses.replace(ct_source(), frames=(), volume=None)
    reasons, folder = ["the images are coronal"], tmp_path / "job"
    results = write_notice(source, "not applicable", reasons, PROVENANCE, folder, tuple(ObjectKind))
    assert {one.kind for one in results.objects} == {"sr", "sheet", "pdf"}
    made = unwrapped(folder)
    assert made.SeriesDescription.startswith("NOT APPLICABLE: ")
    said = text_of(folder)
    assert "did not analyze these images" in said
    assert "The images are coronal" in said


def test_a_structure_that_has_nothing_to_be_said_of_is_still_named(tmp_path: Path) -> None:
    labels = np.zeros(sources.SHAPE, np.uint8)
    labels[4, 4:12, 2:8] = 1
    segment = Segment("x", 1, "Corner", sources.ANATOMY, sources.LIVER)
    pages_of(ct_source(), Findings((Segmentation(labels, (segment,)),)), tmp_path / "job")
    assert "Corner" in text_of(tmp_path / "job")


def test_a_number_of_a_row_has_the_digits_of_the_report() -> None:
    one = Measurement(sources.VOLUME, 1.2349999, sources.ML)
    assert list(rows.of_one(one, "en")) == [("Volume", "1.23 mL")]
