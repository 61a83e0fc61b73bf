"""Our own check refuses what breaks the forms of the standard, without any other program."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence as Items

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    ParametricMap,
    Shades,
    WindowPreset,
)
from node.results.errors import GateRefused
from node.results.gate import gate, validator
from node.results.write import write_results
from tests.node.results import sources
from tests.node.results.sources import HU, PROVENANCE, ct_source, lungs

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One object of each kind, all sound."""
    source = ct_source()
    assert source.volume is not None
    findings = Findings(
        (
            lungs(),
            ParametricMap(source.volume.values(np.float32), "Map", sources.ATTENUATION, HU),
            WindowPreset("Lung", Shades(-1000, 200)),
            Detection("box", sources.NODULE, sources.ABNORMAL, (0, 3, 4), (1, 9, 11), 0.5),
            Measurement(sources.VOLUME, 12.0, sources.ML),
        )
    )
    folder = tmp_path_factory.mktemp("results") / "job"
    write_results(source, findings, PROVENANCE, folder)
    return folder


def refusal(objects: Path, name: str, change: Change, folder: Path) -> str:
    dataset = pydicom.dcmread(objects / name)
    change(dataset)
    pydicom.dcmwrite(folder / name, dataset, enforce_file_format=True)
    with pytest.raises(GateRefused) as refused:
        gate.check_required(folder / name, ct_source(), validate=False)
    return str(refused.value)


def number(report: Any) -> Any:
    """The first number in the report."""

    def walk(item: Any) -> Any:
        for child in item.get("ContentSequence", []):
            if child.ValueType == "NUM":
                return child
            if (found := walk(child)) is not None:
                return found
        return None

    return walk(report)


def _value_of_code(report: Any) -> None:
    number(report).ConceptNameCodeSequence[0].CodeValue = ""


def _meaning(report: Any) -> None:
    number(report).ConceptNameCodeSequence[0].CodeMeaning = " "


def _scheme(report: Any) -> None:
    del number(report).ConceptNameCodeSequence[0].CodingSchemeDesignator


def _unit(report: Any) -> None:
    number(report).MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "HU"


def _no_unit(report: Any) -> None:
    number(report).MeasuredValueSequence[0].MeasurementUnitsCodeSequence = Items([])


def _two_values(report: Any) -> None:
    number(report).MeasuredValueSequence[0].NumericValue = ["1", "2"]


def _value_type(report: Any) -> None:
    number(report).ValueType = "TEXT"


def _unknown_type(report: Any) -> None:
    number(report).ValueType = "NUMBER"


def _no_relation(report: Any) -> None:
    del number(report).RelationshipType


def _no_name(report: Any) -> None:
    del number(report).ConceptNameCodeSequence


def _empty_text(report: Any) -> None:
    for item in report.ContentSequence:
        if item.ValueType == "TEXT":
            item.TextValue = ""


def _foreign_uid(report: Any) -> None:
    report.SeriesInstanceUID = "1.2.3.4"


def _no_uid(report: Any) -> None:
    report.SOPInstanceUID = "2.25.0123"
    report.file_meta.MediaStorageSOPInstanceUID = "2.25.0123"


def _long_text(report: Any) -> None:
    report.SeriesDescription = "x" * 65


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_value_of_code, "the code has no value"),
        (_meaning, "the code has no meaning"),
        (_scheme, "the code has no scheme"),
        (_unit, "the unit is none of UCUM"),
        (_no_unit, "is empty"),
        (_two_values, "a number has not one value"),
        (_value_type, "MeasuredValueSequence stands in an item of value type TEXT"),
        (_unknown_type, "the value type is none of the standard"),
        (_no_relation, "RelationshipType is missing"),
        (_no_name, "ConceptNameCodeSequence is missing"),
        (_empty_text, "TextValue is missing"),
        (_foreign_uid, "SeriesInstanceUID is none of the node's own"),
        (_no_uid, "SOPInstanceUID is none of the node's own"),
        (_long_text, "SeriesDescription is not a value of its value representation LO"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_report_that_breaks_the_forms_is_refused_by_name(
    change: Change, said: str, objects: Path, tmp_path: Path
) -> None:
    assert said in refusal(objects, "report.dcm", change, tmp_path)


NEEDED = {
    "seg-0.dcm": (
        "SourceImageSequence/ReferencedSOPInstanceUID",
        "DimensionIndexSequence/DimensionIndexPointer",
        "SharedFunctionalGroupsSequence/PlaneOrientationSequence",
        "SharedFunctionalGroupsSequence/PixelMeasuresSequence/SliceThickness",
        "PerFrameFunctionalGroupsSequence/PlanePositionSequence/ImagePositionPatient",
        "PerFrameFunctionalGroupsSequence/SegmentIdentificationSequence",
        "SegmentSequence/SegmentedPropertyTypeCodeSequence/CodeMeaning",
    ),
    "map-0.dcm": (
        "ContentQualification",
        "PresentationLUTShape",
        "SharedFunctionalGroupsSequence/RealWorldValueMappingSequence/LUTLabel",
        "SharedFunctionalGroupsSequence/PixelValueTransformationSequence",
        "SharedFunctionalGroupsSequence/RealWorldValueMappingSequence/QuantityDefinitionSequence"
        "/ValueType",
    ),
    "window-0.dcm": (
        "SoftcopyVOILUTSequence/WindowWidth",
        "DisplayedAreaSelectionSequence/PresentationSizeMode",
        "RescaleSlope",
    ),
    "report.dcm": (
        "ContentSequence/ConceptNameCodeSequence/CodeValue",
        "CurrentRequestedProcedureEvidenceSequence/ReferencedSeriesSequence/SeriesInstanceUID",
        "ContributingEquipmentSequence/PurposeOfReferenceCodeSequence/CodeMeaning",
    ),
}


@pytest.mark.parametrize("how", ["missing", "empty"])
@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, paths in NEEDED.items() for path in paths]
)
def test_an_object_that_lacks_what_it_needs_is_refused(
    name: str, path: str, how: str, objects: Path, tmp_path: Path
) -> None:
    *outer, last = path.split("/")

    def change(dataset: Any) -> None:
        for keyword in outer:
            dataset = dataset[keyword].value[0]
        if how == "missing":
            del dataset[last]
        else:
            dataset[last].value = Items([]) if dataset[last].VR == "SQ" else None

    assert last in refusal(objects, name, change, tmp_path) or last.startswith("Code")


BAD_CODE = Code("", "SCT", "Volume")
NO_UNIT = Code("HU", "UCUM", "HU")


@pytest.mark.parametrize(
    "finding",
    [
        Measurement(BAD_CODE, 1.0, sources.ML),
        Measurement(sources.VOLUME, 1.0, NO_UNIT),
        Measurement(sources.VOLUME, 1.0, Code("mL", "UCUM", "")),
        Classification(sources.NODULE, Code("1", "", "Yes")),
        dataclasses.replace(
            sources.single(),
            segments=(dataclasses.replace(sources.single().segments[0], kind=BAD_CODE),),
        ),
    ],
    ids=["code", "unit", "meaning", "scheme", "segment"],
)
def test_what_an_analyzer_codes_wrongly_leaves_no_node_without_a_validator(
    finding: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validator, "program", lambda: None)
    with pytest.raises((GateRefused, ValueError)):
        write_results(ct_source(), Findings((finding,)), PROVENANCE, tmp_path / "job")
