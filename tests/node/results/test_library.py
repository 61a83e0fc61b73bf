"""Everything of a run is reached from its report: images in its library, others beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import (
    ColorImage,
    DerivedImage,
    Findings,
    ParametricMap,
    Registration,
    Shades,
    WindowPreset,
)
from node.results.errors import GateRefused
from node.results.gate import gate
from node.results.modules.source import HierarchicalReference
from node.results.report import library, sr
from node.results.report.statements import NoticeReason
from node.results.write import write_results
from storage.kinds import ObjectKind
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, enhanced_source, lungs, single
from tests.node.results.test_fused_objects import blend, shifted, source, uptake  # noqa: F401
from tests.node.results.test_sr import contents, written

VALUES = np.linspace(0, 1, int(np.prod(sources.SHAPE)), dtype=np.float32).reshape(sources.SHAPE)
EVERYTHING: tuple[Any, ...] = (
    lungs(),
    DerivedImage((VALUES * 100).astype(np.int16), "Smoothed", sources.BLUR),
    ParametricMap(VALUES, "Evidence", sources.VOLUME, sources.ML),
    ColorImage(np.zeros((*sources.SHAPE, 3), np.uint8), "Fused", sources.BLUR),
    WindowPreset("lung", Shades(-1350, 150)),
)


def library_of(report: Dataset) -> list[Any]:
    """The groups of the Image Library."""
    (found,) = [item for item in report.ContentSequence if named(item) == "Image Library"]
    return list(found.ContentSequence)


def named(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def images_in(group: Dataset) -> list[str]:
    return [
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in group.ContentSequence
        if item.ValueType == "IMAGE"
    ]


def described(group: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in group.ContentSequence:
        if item.ValueType == "CODE":
            found[named(item)] = item.ConceptCodeSequence[0].CodeMeaning
        elif item.ValueType == "NUM":
            found[named(item)] = float(item.MeasuredValueSequence[0].NumericValue)
        elif item.ValueType == "UIDREF":
            found[named(item)] = item.UID
    return found


def reached(report: Dataset) -> set[str]:
    """What IMAGE and COMPOSITE items lead to."""
    return {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for _, item in contents(report)
        if item.ValueType in ("IMAGE", "COMPOSITE")
    }


def test_every_object_of_a_run_is_reached_from_its_report(tmp_path: Path) -> None:
    results = write_results(ct_source(), Findings(EVERYTHING), PROVENANCE, tmp_path / "out")
    made = [pydicom.dcmread(tmp_path / one.key) for one in results.objects]
    report = made.pop()
    assert {one.kind for one in results.objects} >= {
        *(ObjectKind.IMAGE, ObjectKind.SEGMENTATION, ObjectKind.MAP, ObjectKind.WINDOW)
    }
    assert {str(one.SOPInstanceUID) for one in made} <= reached(report)
    assert {str(header.SOPInstanceUID) for header in ct_source().headers} <= reached(report)


def test_registration_blending_and_both_series_are_reached(
    source: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    items = (uptake(source), Registration("pet", shifted(3.0), "PET to CT"), blend())
    results = write_results(source, Findings(items), PROVENANCE, tmp_path / "out")
    made = [pydicom.dcmread(tmp_path / one.key) for one in results.objects]
    report = made.pop()
    rests_on = (*source.headers, *source.companions["pet"].headers)
    assert {str(one.SOPInstanceUID) for one in (*made, *rests_on)} <= reached(report)
    composites = [named(c) for _, c in contents(report) if c.ValueType == "COMPOSITE"]
    assert sorted(composites) == ["Presentation State", "Registration"]
    modalities = [described(group)["Modality"] for group in library_of(report)]
    assert modalities == ["Computed Tomography", *["Positron emission tomography"] * 2]


def test_the_images_analyzed_come_first_and_what_they_share_stands_once() -> None:
    report = written(sr.build(ct_source(), Findings(), sr.Made(), PROVENANCE))
    (group,) = library_of(report)
    assert images_in(group) == [str(header.SOPInstanceUID) for header in ct_source().headers]
    assert described(group) == {
        "Modality": "Computed Tomography",
        "Target Region": "Chest",
        "Series Instance UID": "2.25.72",
        "Frame of Reference UID": "2.25.73",
        "Pixel Data Rows": sources.SHAPE[1],
        "Pixel Data Columns": sources.SHAPE[2],
        "Horizontal Pixel Spacing": 1.1,
        "Vertical Pixel Spacing": 0.8,
        "Slice Thickness": 2.5,
        "Spacing between slices": 2.5,
    }
    assert all("ContentSequence" not in c for c in group.ContentSequence if c.ValueType == "IMAGE")


def test_a_multiframe_image_is_one_entry() -> None:
    report = written(sr.build(enhanced_source(), Findings(), sr.Made(), PROVENANCE))
    (group,) = library_of(report)
    assert len(images_in(group)) == 1
    assert described(group)["Vertical Pixel Spacing"] == 0.8


def test_the_library_is_the_last_part_of_a_report() -> None:
    report = written(sr.build(ct_source(), Findings((single(),)), sr.Made(), PROVENANCE))
    assert named(report.ContentSequence[-1]) == "Image Library"
    assert report.ContentSequence[-1].ContinuityOfContent == "SEPARATE"


def test_a_series_without_images_has_no_library() -> None:
    bare = ct_source(Rows=None, Columns=None)
    notice = written(sr.build_notice(bare, NoticeReason.NOT_APPLICABLE, ["why"], PROVENANCE))
    assert "Image Library" not in [named(c) for _, c in contents(notice)]


def test_the_side_of_a_paired_part_is_said() -> None:
    knee = ct_source(BodyPartExamined="KNEE", Laterality="L")
    report = written(sr.build(knee, Findings(), sr.Made(), PROVENANCE))
    (group,) = library_of(report)
    assert (described(group)["Target Region"], described(group)["Image Laterality"]) == (
        "Knee",
        "Left",
    )


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "Computed Tomography"),
        ("1.2.840.10008.5.1.4.1.1.30", "Other Modality"),
        ("1.2.840.10008.5.1.4.1.1.7", "Other Modality"),
    ],
)
def test_an_image_that_was_made_has_the_modality_of_its_kind(sop_class: str, modality: str) -> None:
    made = HierarchicalReference("2.25.71", "2.25.9", sop_class, "2.25.10")
    report = Dataset()
    report.ContentSequence = []
    library.add_images(report, [ct_source()], [made])
    _, of_made = report.ContentSequence[0].ContentSequence
    assert described(of_made) == {"Modality": modality, "Series Instance UID": "2.25.9"}
    assert images_in(of_made) == ["2.25.10"]


def test_another_reader_reads_the_report_with_its_library() -> None:
    report = written(sr.build(ct_source(), Findings((single(),)), sr.Made(), PROVENANCE))
    document: Any = hd.sr.Comprehensive3DSR.from_dataset(report)
    (group,) = document.content.get_planar_roi_measurement_groups()
    assert group.tracking_identifier == "lung_segmentation:whole_series"


def test_the_gate_refuses_a_report_from_which_a_result_is_not_reached(tmp_path: Path) -> None:
    report = sr.build(ct_source(), Findings(), sr.Made(), PROVENANCE)
    path = tmp_path / "report.dcm"
    pydicom.dcmwrite(path, report, enforce_file_format=True)
    gate.check_references(path, ct_source(), {})
    with pytest.raises(GateRefused, match="cannot be reached"):
        gate.check_references(path, ct_source(), {"2.25.99": None})
