"""What is alike in an object is looked at once, and nothing that is wrong is overlooked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from analyzers.contract import Findings
from node.results import prepared
from node.results.errors import GateRefused
from node.results.gate import gate, required, wellformed
from node.results.gate.written import Reference, Written
from node.results.objects import seg
from node.results.report import sr
from node.results.report.sr import Made
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, lungs


def faults(dataset: Dataset) -> set[str]:
    """What the gate finds wrong in a data set."""
    return {fault.sentence for fault in wellformed.faults(dataset)} | set(required.missing(dataset))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "seg.dcm"
    with path.open("wb") as file:
        prepared.write(file, seg.build(ct_source(), lungs(), PROVENANCE, FIRST))
    return path


def frame(dataset: Any) -> Any:
    """One in the midst of others."""
    return dataset.PerFrameFunctionalGroupsSequence[4]


def reference(dataset: Any) -> Any:
    return frame(dataset).DerivationImageSequence[0].SourceImageSequence[0]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda d: None,
    "no content": lambda d: delattr(frame(d), "FrameContentSequence"),
    "no index": lambda d: delattr(frame(d).FrameContentSequence[0], "DimensionIndexValues"),
    "empty index": lambda d: setattr(
        frame(d).FrameContentSequence[0], "DimensionIndexValues", None
    ),
    "no position": lambda d: delattr(frame(d), "PlanePositionSequence"),
    "position of two numbers": lambda d: setattr(
        frame(d).PlanePositionSequence[0], "ImagePositionPatient", [1, 2]
    ),
    "no position value": lambda d: setattr(
        frame(d).PlanePositionSequence[0], "ImagePositionPatient", None
    ),
    "no segment": lambda d: delattr(frame(d), "SegmentIdentificationSequence"),
    "no derivation": lambda d: delattr(frame(d), "DerivationImageSequence"),
    "derivation without code": lambda d: delattr(
        frame(d).DerivationImageSequence[0], "DerivationCodeSequence"
    ),
    "code without meaning": lambda d: setattr(
        frame(d).DerivationImageSequence[0].DerivationCodeSequence[0], "CodeMeaning", ""
    ),
    "reference without UID": lambda d: delattr(reference(d), "ReferencedSOPInstanceUID"),
    "reference with two UIDs": lambda d: setattr(
        reference(d), "ReferencedSOPInstanceUID", ["1.2", "1.3"]
    ),
    "reference without purpose": lambda d: delattr(reference(d), "PurposeOfReferenceCodeSequence"),
    "no class of a source": lambda d: delattr(d.SourceImageSequence[5], "ReferencedSOPClassUID"),
    "no class of a reference": lambda d: delattr(
        d.ReferencedSeriesSequence[0].ReferencedInstanceSequence[6], "ReferencedSOPClassUID"
    ),
    "attribute of no standard": lambda d: frame(d).add_new((0x0020, 0x0002), "LO", "x"),
    "foreign attribute": lambda d: setattr(frame(d), "KVP", ["1", "2"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_every_fault_of_the_whole_is_one_of_what_stands_for_it(
    change: Callable[[Any], Any], sound: Path, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(sound)
    change(dataset)
    dataset.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    written = Written(tmp_path / "seg.dcm")
    whole = faults(pydicom.dcmread(tmp_path / "seg.dcm"))
    assert faults(written.alike) == whole
    assert bool(whole) == (change is not CHANGES["nothing"])


# --- reports --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two structures, in letters beyond ASCII."""
    path = tmp_path_factory.mktemp("sound") / "report.dcm"
    source, finding = ct_source(), lungs()
    encoded = seg.build(source, finding, PROVENANCE, FIRST)
    findings = Findings((finding,), remarks=("Größe unsicher",))
    made = sr.build(source, findings, Made({0: encoded}), PROVENANCE)
    with path.open("wb") as file:
        prepared.write(file, made)
    return path


def image(dataset: Any) -> Any:
    """One of the library, in the midst of others."""
    library = dataset.ContentSequence[-1]
    return library.ContentSequence[0].ContentSequence[-3]


CHANGES_OF_A_REPORT: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda d: None,
    "no relationship": lambda d: delattr(image(d), "RelationshipType"),
    "no value type": lambda d: delattr(image(d), "ValueType"),
    "another value type": lambda d: setattr(image(d), "ValueType", "TEXT"),
    "a value type of no standard": lambda d: setattr(image(d), "ValueType", "PICTURE"),
    "no reference": lambda d: delattr(image(d), "ReferencedSOPSequence"),
    "reference without UID": lambda d: delattr(
        image(d).ReferencedSOPSequence[0], "ReferencedSOPInstanceUID"
    ),
    "name without meaning": lambda d: setattr(
        image(d).ConceptNameCodeSequence[0], "CodeMeaning", ""
    ),
    "name without scheme": lambda d: delattr(
        image(d).ConceptNameCodeSequence[0], "CodingSchemeDesignator"
    ),
    "attribute of no standard": lambda d: image(d).add_new((0x0020, 0x0002), "LO", "x"),
    "a number beside an image": lambda d: setattr(image(d), "MeasuredValueSequence", [Dataset()]),
    "evidence without class": lambda d: delattr(
        d.CurrentRequestedProcedureEvidenceSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[4],
        "ReferencedSOPClassUID",
    ),
}


@pytest.mark.parametrize("change", CHANGES_OF_A_REPORT.values(), ids=list(CHANGES_OF_A_REPORT))
def test_every_fault_of_a_report_is_one_of_what_stands_for_it(
    change: Callable[[Any], Any], report: Path, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(report)
    change(dataset)
    dataset.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    whole = faults(pydicom.dcmread(tmp_path / "report.dcm"))
    assert faults(Written(tmp_path / "report.dcm").alike) == whole
    assert bool(whole) == (change is not CHANGES_OF_A_REPORT["nothing"])


def test_of_a_reports_images_one_is_left_and_of_its_texts_all(report: Path) -> None:
    alike, whole = Written(report).alike, pydicom.dcmread(report)
    kept, listed = (one.ContentSequence[-1].ContentSequence[0] for one in (alike, whole))
    images = [one for one in kept.ContentSequence if one.ValueType == "IMAGE"]
    assert len(images) == 1 < len([o for o in listed.ContentSequence if o.ValueType == "IMAGE"])
    assert texts(alike) == texts(whole)
    assert any("Größe" in one for one in texts(whole))


def texts(item: Any) -> list[str]:
    own = [str(item.TextValue)] if "TextValue" in item else []
    return own + [one for below in item.get("ContentSequence", ()) for one in texts(below)]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_of_letters_in_one_frame_is_found(sound: Path, tmp_path: Path) -> None:
    raw = sound.read_bytes()
    uid = b"2.25.77004"
    at = raw.rindex(uid)
    path = tmp_path / "seg.dcm"
    path.write_bytes(raw[:at] + b"2.25.7700x" + raw[at + len(uid) :])
    with pytest.raises(GateRefused, match="not a value of its value representation UI"):
        gate.check_required(path, validate=False)


def test_of_items_that_are_alike_one_is_left(sound: Path) -> None:
    alike = Written(sound).alike
    assert len(alike.PerFrameFunctionalGroupsSequence) == 1
    assert len(alike.SourceImageSequence) == 1
    assert len(alike.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1


@pytest.mark.parametrize("cut", [1, 2, 9, 30])
def test_lengths_that_do_not_fit_are_refused(cut: int, sound: Path, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(sound)
    raw = dataset.get_item("PerFrameFunctionalGroupsSequence")
    content = sound.read_bytes()
    at = content.index(raw.value) + 4
    path = tmp_path / "seg.dcm"
    wrong = int.from_bytes(content[at : at + 4], "little") + cut
    path.write_bytes(content[:at] + wrong.to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(GateRefused, match="functional groups"):
        gate.check_segmentation(path, lungs(), ct_source())


# --- references -----------------------------------------------------------------------------------


def referred(path: Path) -> tuple[list[Reference], list[Reference]]:
    """What the report's items refer to, and its evidence."""
    written = Written(path)
    return (
        written.referred("ContentSequence", "ContentSequence"),
        written.referred("CurrentRequestedProcedureEvidenceSequence", "ReferencedSeriesSequence"),
    )


def parsed(path: Path) -> tuple[list[str], list[str]]:
    """The same from whole data sets."""
    dataset = pydicom.dcmread(path)
    items = [str(one.ReferencedSOPInstanceUID) for one in gate.references_of(dataset)]
    return items, list(gate.evidence_of(dataset))


def test_references_are_read_as_they_lie_in_the_file(report: Path) -> None:
    items, evidence = referred(report)
    assert (
        [one.sop_instance_uid for one in items],
        [one.sop_instance_uid for one in evidence],
    ) == (parsed(report))
    assert {number for one in items for number in one.segments} == {1, 2}


def test_references_are_read_from_any_encoding(report: Path, tmp_path: Path) -> None:
    """Several in one item, and several segments of one, among them."""
    dataset = pydicom.dcmread(report)
    more = pydicom.Dataset()
    more.ReferencedSOPClassUID, more.ReferencedSOPInstanceUID = "1.2", "1.2.3"
    more.ReferencedSegmentNumber = [7, 8]
    image(dataset).ReferencedSOPSequence.append(more)
    dataset.save_as(tmp_path / "explicit.dcm", enforce_file_format=True)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "implicit.dcm", implicit_vr=True, enforce_file_format=True)
    found = referred(tmp_path / "explicit.dcm")
    assert found == referred(tmp_path / "implicit.dcm")
    assert Reference("1.2.3", (7, 8)) in found[0]
    assert len(found[0]) == len(referred(report)[0]) + 1
