"""What the gate asks of every further form, and of all objects: each condition by a file that
breaks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import Detection, Findings
from node.results import colours
from node.results.bench import Bench
from node.results.errors import GateRefused
from node.results.forms.table import FORMS, Form
from node.results.forms.writing import PAPER
from node.results.gate import gate, identifying, resolved
from node.results.write import write_results
from storage.kinds import ObjectKind
from tests.node.results import sources
from tests.node.results.every_kind import fused_source, in_space
from tests.node.results.sources import PROVENANCE, ct_source, lungs

BOX = Detection("n", sources.NODULE, sources.ABNORMAL, (2, 3, 4), (4, 8, 9), 0.87)
FINDINGS = colours.told_apart(Findings((lungs(), BOX)))
KINDS = (
    *(ObjectKind.OUTLINES, ObjectKind.MESH, ObjectKind.DOCUMENT),
    *(ObjectKind.PICTURE, ObjectKind.SHEET),
)
Change = Callable[[Dataset], None]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with every form that is read back here."""
    folder = tmp_path_factory.mktemp("run") / "job"
    write_results(ct_source(), FINDINGS, PROVENANCE, folder, KINDS)
    return folder


def form_of(kind: ObjectKind) -> Form:
    (one,) = (form for form in FORMS if form.kind is kind)
    return one


def read_back(kind: ObjectKind, path: Path) -> None:
    form_of(kind).read_back(path, Bench.of(ct_source(), FINDINGS, PROVENANCE), 0)


def changed(file: Path, folder: Path, change: Change) -> Path:
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(folder / "changed.dcm")
    return folder / "changed.dcm"


# --- pictures -------------------------------------------------------------------------------------


def _blank(dataset: Dataset) -> None:
    dataset.PixelData = bytes(len(dataset.PixelData))


def _of_paper(dataset: Dataset) -> None:
    count = dataset.Rows * dataset.Columns
    dataset.PixelData = bytes(PAPER) * count + bytes(count % 2)


def _faded(dataset: Dataset) -> None:
    """Still a picture, without a colour of anything found."""
    pixels = np.frombuffer(dataset.PixelData, np.uint8).copy()
    dataset.PixelData = (pixels // 3).tobytes()


def _cut_off(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-3000]


def _smaller(dataset: Dataset) -> None:
    dataset.Rows = 100
    dataset.PixelData = dataset.PixelData[: 100 * dataset.Columns * 3]


def _burned_in(dataset: Dataset) -> None:
    dataset.BurnedInAnnotation = "YES"


def _stacked(dataset: Dataset) -> None:
    dataset.Modality = "CT"


BOTH_WRONG: list[tuple[Change, str]] = [
    (_blank, "blank"),
    (_of_paper, "blank"),
    (_cut_off, "cannot be decoded"),
    (_smaller, "100 pixels"),
    (_burned_in, "burned in text"),
    (_stacked, "calls itself an original"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", [ObjectKind.PICTURE, ObjectKind.SHEET])
@pytest.mark.parametrize(("change", "why"), BOTH_WRONG)
def test_a_picture_is_looked_at_again(
    kind: ObjectKind, change: Change, why: str, written: Path, tmp_path: Path
) -> None:
    path = written / f"{form_of(kind).file}-0.dcm"
    read_back(kind, path)
    with pytest.raises(GateRefused, match=why):
        read_back(kind, changed(path, tmp_path, change))


def test_a_key_picture_shows_something_that_was_found(written: Path, tmp_path: Path) -> None:
    faded = changed(written / "picture-0.dcm", tmp_path, _faded)
    with pytest.raises(GateRefused, match="nothing of what is found"):
        read_back(ObjectKind.PICTURE, faded)


# --- outlines -------------------------------------------------------------------------------------


def _moved(dataset: Dataset) -> None:
    graphic = dataset.GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    graphic.GraphicData = (np.array(graphic.GraphicData, np.float32) + 1).tolist()


def _without_one(dataset: Dataset) -> None:
    dataset.GraphicAnnotationSequence.pop(0)


def _elsewhere(dataset: Dataset) -> None:
    first = dataset.GraphicAnnotationSequence[0]
    first.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "2.25.1"


def _box_moved(dataset: Dataset) -> None:
    item = next(one for one in dataset.GraphicAnnotationSequence if one.GraphicLayer[0] == "3")
    graphic = item.GraphicObjectSequence[0]
    graphic.GraphicData = (np.array(graphic.GraphicData, np.float32) + 1).tolist()


# --- meshes and documents -------------------------------------------------------------------------


def _facets(dataset: Dataset) -> np.ndarray:  # type: ignore[type-arg]
    kind = np.dtype([("numbers", "<f4", (4, 3)), ("attributes", "<u2")])
    count = int.from_bytes(dataset.EncapsulatedDocument[80:84], "little")
    return np.frombuffer(dataset.EncapsulatedDocument, kind, count, 84).copy()


def _with_facets(dataset: Dataset, facets: np.ndarray) -> None:  # type: ignore[type-arg]
    held = dataset.EncapsulatedDocument
    end = 84 + facets.nbytes
    dataset.EncapsulatedDocument = held[:84] + facets.tobytes() + held[end:]


def _swollen(dataset: Dataset) -> None:
    facets = _facets(dataset)
    middle = facets["numbers"][:, 1:].mean(axis=(0, 1))
    facets["numbers"][:, 1:] = middle + 1.5 * (facets["numbers"][:, 1:] - middle)
    _with_facets(dataset, facets)


def _inside_out(dataset: Dataset) -> None:
    facets = _facets(dataset)
    facets["numbers"][:, 1:] = facets["numbers"][:, :0:-1].copy()
    _with_facets(dataset, facets)


def _shifted(dataset: Dataset) -> None:
    facets = _facets(dataset)
    facets["numbers"][:, 1:] += 10
    _with_facets(dataset, facets)


def _shortened(dataset: Dataset) -> None:
    dataset.EncapsulatedDocumentLength -= 50


def _another_file(dataset: Dataset) -> None:
    dataset.EncapsulatedDocument = b"<html>" + dataset.EncapsulatedDocument[6:]


def _too_long(dataset: Dataset) -> None:
    dataset.EncapsulatedDocumentLength += 50


def _said_to_be_else(dataset: Dataset) -> None:
    dataset.MIMETypeOfEncapsulatedDocument = "text/plain"


@pytest.mark.parametrize(
    ("kind", "file", "change", "sentence"),
    [
        (ObjectKind.OUTLINES, "outlines-0.dcm", _moved, "enclose other pixels"),
        (ObjectKind.OUTLINES, "outlines-0.dcm", _box_moved, "enclose other pixels"),
        (ObjectKind.OUTLINES, "outlines-0.dcm", _without_one, "has no lines on an image"),
        (ObjectKind.OUTLINES, "outlines-0.dcm", _elsewhere, "lines on images where nothing"),
        (ObjectKind.MESH, "mesh-0.dcm", _swollen, "encloses another volume"),
        (ObjectKind.MESH, "mesh-0.dcm", _inside_out, "encloses another volume"),
        (ObjectKind.MESH, "mesh-0.dcm", _shifted, "middle of the surface"),
        (ObjectKind.MESH, "mesh-0.dcm", _shortened, "no whole STL file"),
        (ObjectKind.DOCUMENT, "document-0.dcm", _shortened, "no whole PDF file"),
        (ObjectKind.DOCUMENT, "document-0.dcm", _another_file, "no whole PDF file"),
        (ObjectKind.DOCUMENT, "document-0.dcm", _too_long, "length that it says"),
        (ObjectKind.DOCUMENT, "document-0.dcm", _said_to_be_else, "not said to be a PDF"),
    ],
)
def test_a_form_that_says_something_else_than_the_finding_is_refused(
    kind: ObjectKind, file: str, change: Change, sentence: str, written: Path, tmp_path: Path
) -> None:
    read_back(kind, written / file)
    with pytest.raises(GateRefused, match=sentence):
        read_back(kind, changed(written / file, tmp_path, change))


# --- all objects ----------------------------------------------------------------------------------


def _of_another(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY-ELSE"


def _of_another_study(dataset: Dataset) -> None:
    dataset.StudyInstanceUID = "2.25.99"


def _with_an_address(dataset: Dataset) -> None:
    dataset.PatientAddress = "1 Some Street"


def _with_a_name_below(dataset: Dataset) -> None:
    item = Dataset()
    item.RequestedProcedureID = "P-77"
    item.NamesOfIntendedRecipientsOfResults = "Roe^Richard"
    dataset.RequestAttributesSequence = [item]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (_of_another, ["PatientID"]),
        (_of_another_study, ["StudyInstanceUID"]),
        (_with_an_address, ["PatientAddress"]),
        (_with_a_name_below, ["NamesOfIntendedRecipientsOfResults", "RequestedProcedureID"]),
    ],
)
@pytest.mark.parametrize("file", ["report.dcm", "document-0.dcm", "mesh-0.dcm"])
def test_what_identifies_anybody_whom_the_images_do_not_name_is_refused(
    file: str, change: Change, names: list[str], written: Path, tmp_path: Path
) -> None:
    path = changed(written / file, tmp_path, change)
    with pytest.raises(GateRefused) as refused:
        gate.check_required(path, ct_source(), validate=False)
    found = [one for one in refused.value.reasons if "that of the images" in one]
    assert sorted(reason.split()[0] for reason in found) == names
    assert "SOMEBODY" not in str(refused.value), "the value is not repeated"


def test_a_name_in_other_letters_is_the_same_person() -> None:
    source = ct_source(PatientName="Grün^Ägid", SpecificCharacterSet="ISO_IR 100")
    ours = Dataset()
    ours.PatientName = "Grün^Ägid"
    assert identifying.foreign(ours, source) == []
    ours.PatientName = "Grün^Egon"
    assert identifying.foreign(ours, source) == ["PatientName is not that of the images"]


def test_what_the_images_lack_may_be_empty() -> None:
    source = ct_source()
    for header in source.headers:
        header.PatientName = ""
    ours = Dataset()
    ours.PatientName = ""
    assert identifying.foreign(ours, source) == []
    ours.PatientName = "Roe^Richard"
    assert identifying.foreign(ours, source) == ["PatientName is not that of the images"]


@pytest.mark.parametrize("file", ["document-0.dcm", "mesh-0.dcm", "outlines-0.dcm"])
def test_a_reference_that_leads_nowhere_is_refused(file: str, written: Path) -> None:
    bench = Bench.of(ct_source(), FINDINGS, PROVENANCE)
    gate.check_resolved(written / file, bench.known())
    first = str(bench.source.headers[0].SOPInstanceUID)
    with pytest.raises(GateRefused, match="references lead to no image analyzed"):
        gate.check_resolved(written / file, bench.known() - {first})


def test_references_that_were_copied_from_the_images_are_theirs() -> None:
    ours, item = Dataset(), Dataset()
    item.ReferencedSOPInstanceUID = "2.25.5"
    ours.ReferencedStudySequence = [item]
    assert resolved.dangling(ours, ()) == []
    ours.SourceImageSequence = [item]
    assert resolved.dangling(ours, ()) != []


def test_every_form_of_every_kind_of_finding_passes(tmp_path: Path) -> None:
    source = fused_source(slices=4)
    kinds = [form.kind for form in FORMS if form.kind is not ObjectKind.LABEL_MAP]
    results = write_results(source, in_space(source), PROVENANCE, tmp_path / "job", kinds)
    assert {ObjectKind.OUTLINES, ObjectKind.MESH} <= {one.kind for one in results.objects}
    assert results.unmade == {}


def test_one_object_that_is_refused_does_not_keep_the_others_from_being_made(
    tmp_path: Path,
) -> None:
    source = ct_source()
    assert source.volume is not None
    affine = source.volume.affine.copy()
    affine[0, 3] += 5 * 1.1
    moved = dataclasses.replace(source, volume=dataclasses.replace(source.volume, affine=affine))
    with pytest.raises(GateRefused, match="Dice") as refused:
        write_results(moved, Findings((lungs(),)), PROVENANCE, tmp_path / "j")
    results = refused.value.results
    assert results is not None
    assert [one.kind for one in results.objects] == ["seg", "sr"]
    assert all(one.startswith("seg: ") for one in refused.value.conditions)
