"""Reports: what they say in each state, and what they refer to."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from analyzers.contract import (
    Classification,
    Code,
    Detection,
    Findings,
    Measurement,
    OperatingPoint,
)
from node.results import prepared, uids
from node.results.errors import FindingsContradictImages
from node.results.modules.source import HierarchicalReference
from node.results.objects import seg
from node.results.presence import present_segments
from node.results.report import lines, places, sr
from node.results.report.sr import Made
from node.results.report.statements import NoticeReason
from node.results.series_numbers import SeriesPlace
from node.results.write import write_results
from tests.node.results import sources
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, enhanced_source, lungs, single

PRESENT = Code("52101004", "SCT", "Present")
EMPHYSEMA = Code("87433001", "SCT", "Emphysema")
BOX = Detection(
    "nodule_1", sources.NODULE, sources.ABNORMAL, (2, 5, 6), (4, 9, 11), 0.87, sources.RIGHT
)


def written(dataset: Dataset) -> Any:
    buffer = io.BytesIO()
    prepared.write(buffer, dataset)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


def report_of(*items: Any, remarks: tuple[str, ...] = (), source: Any = None) -> Any:
    source = source or ct_source()
    findings = Findings(items, remarks)
    segs = {
        i: seg.build(source, item, PROVENANCE, SeriesPlace(i, 410 + i))
        for i, item in enumerate(items)
        if isinstance(item, type(lungs())) and present_segments(item)
    }
    return written(sr.build(source, findings, Made(segs), PROVENANCE))


def contents(item: Dataset, path: tuple[str, ...] = ()) -> Any:
    """Every content item below: its concept names from the root, and itself."""
    for child in item.get("ContentSequence", []):
        name = (*path, child.ConceptNameCodeSequence[0].CodeMeaning)
        yield name, child
        yield from contents(child, name)


def texts(report: Dataset, concept: str) -> list[str]:
    return [c.TextValue for name, c in contents(report) if name[-1] == concept and "TextValue" in c]


def groups(report: Dataset) -> list[Any]:
    return [c for name, c in contents(report) if name[-1] == "Measurement Group"]


def regions_of(item: Dataset) -> list[Any]:
    return [c for _, c in contents(item) if c.ValueType == "SCOORD"]


def points_of(region: Dataset) -> Any:
    return np.array(region.GraphicData, float).reshape(-1, 2)


def bounds(region: Dataset) -> list[float]:
    """First and last column and row of a closed line."""
    points = points_of(region)
    assert (points[0] == points[-1]).all()
    return [*points.min(axis=0), *points.max(axis=0)]


def images_of(region: Dataset) -> list[str]:
    return [
        str(one.ReferencedSOPInstanceUID) for one in region.ContentSequence[0].ReferencedSOPSequence
    ]


def as_ohif_reads(report: Dataset) -> dict[str, Any]:
    """The coordinates of each finding, merged by tracking UID, as OHIF 3.13 looks for them: those
    of the finding, or else the first item below each of its numbers."""
    merged: dict[str, list[Any]] = {}
    for group in groups(report):
        items = list(group.ContentSequence)
        uid = next(i.UID for i in items if i.ValueType == "UIDREF")
        merged.setdefault(uid, []).extend(items)
    found = {}
    for uid, items in merged.items():
        regions = [i for i in items if i.ValueType == "SCOORD"]
        numbers = [i for i in items if i.ValueType == "NUM"]
        found[uid] = regions[0] if regions else numbers[0].ContentSequence[0]
    return found


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [
        (),
        (lungs(),),
        (BOX,),
        (sources.empty(),),
        (lungs(), BOX, Measurement(sources.VOLUME, 3.25, sources.ML)),
        (Measurement(sources.VOLUME, 3.25, sources.ML, sources.MEAN),),
        (Measurement(sources.VOLUME, float("nan"), sources.ML),),
        (Classification(EMPHYSEMA, PRESENT, 0.9),),
    ],
    ids=["nothing", "structures", "box", "absent", "all", "number", "no number", "answer"],
)
@pytest.mark.parametrize("multiframe", [False, True], ids=["slices", "frames"])
def test_every_finding_has_coordinates_where_a_viewer_looks_for_them(
    items: tuple[Any, ...], multiframe: bool
) -> None:
    source = enhanced_source() if multiframe else ct_source()
    found = as_ohif_reads(report_of(*items, source=source))
    assert found
    known = {str(header.SOPInstanceUID) for header in source.headers}
    for region in found.values():
        assert (region.ValueType, region.GraphicType) == ("SCOORD", "POLYLINE")
        assert set(images_of(region)) <= known


def test_a_notice_shows_the_image_of_which_there_is_no_result() -> None:
    report = written(sr.build_notice(ct_source(), NoticeReason.FAILED, ["why"], PROVENANCE))
    (region,) = as_ohif_reads(report).values()
    rows, columns = sources.SHAPE[1:]
    assert bounds(region) == [0, 0, columns, rows]


def test_a_notice_of_what_is_no_image_has_no_place() -> None:
    source = ct_source(Rows=None, Columns=None)
    report = written(sr.build_notice(source, NoticeReason.NOT_APPLICABLE, ["why"], PROVENANCE))
    assert groups(report) == []


def test_a_structure_is_outlined_on_the_slice_where_it_is_largest() -> None:
    labels = np.zeros(sources.SHAPE, np.uint8)
    labels[2, 4:8, 3:6] = 1
    labels[5, 3:15, 2:12] = 1
    labels[5, 18:20, 14:16] = 1  # a part of its own, and smaller
    labels[5, 6:8, 5:7] = 0  # a hole
    segmentation = dataclasses.replace(single(), labels=labels)
    assert places.key_slices(Findings((segmentation,))) == {(0, "nodule"): 5}
    found = places.outline(segmentation, segmentation.segments[0], 5)
    (left, top), (right, bottom) = found.corners.min(axis=0), found.corners.max(axis=0)
    assert (left, top, right, bottom) == pytest.approx((2, 3, 12, 15), abs=0.3)
    assert (found.corners[0] == found.corners[-1]).all()


@pytest.mark.parametrize(
    "voxels", [[(0, 0)], [(21, 17)], [(3, 3), (4, 4)], [(5, n) for n in range(18)]]
)
def test_the_smallest_structures_have_an_outline_within_the_image(
    voxels: list[tuple[int, int]],
) -> None:
    labels = np.zeros(sources.SHAPE, np.uint8)
    for row, column in voxels:
        labels[4, row, column] = 1
    finding = dataclasses.replace(single(), labels=labels)
    found = places.outline(finding, finding.segments[0], 4)
    rows, columns = sources.SHAPE[1:]
    assert len(found.corners) >= 4
    assert (found.corners >= 0).all()
    assert (found.corners <= (columns, rows)).all()


def test_a_box_is_first_shown_on_the_middle_of_its_images() -> None:
    source = ct_source()
    (region,) = as_ohif_reads(report_of(BOX, source=source)).values()
    assert images_of(region) == [source.headers[3].SOPInstanceUID]


def test_no_viewer_takes_a_line_for_a_rectangle_to_be_edited() -> None:
    report = report_of(lungs(), BOX, Measurement(sources.VOLUME, 3.25, sources.ML))
    found = regions_of(report)
    assert len(found) >= 7
    assert all(len(points_of(region)) >= 6 for region in found)


def test_numbers_of_the_series_are_written_within_the_image() -> None:
    (region,) = as_ohif_reads(report_of(Measurement(sources.VOLUME, 3.25, sources.ML))).values()
    points = points_of(region)
    rows, columns = sources.SHAPE[1:]
    assert (points[:, 1].min(), points[:, 1].max()) == (0, rows)
    assert points[:, 0].max() <= columns / 10


def test_structures_come_first_and_in_the_order_of_their_segments() -> None:
    report = report_of(BOX, lungs(), Measurement(sources.VOLUME, 3.25, sources.ML))
    kinds = [
        [c.ConceptNameCodeSequence[0].CodeMeaning for c in g.ContentSequence]
        for g in groups(report)
    ]
    numbers = [
        c.ReferencedSOPSequence[0].ReferencedSegmentNumber
        for g in groups(report)
        for c in g.ContentSequence
        if c.ConceptNameCodeSequence[0].CodeMeaning == "Referenced Segment"
    ]
    assert numbers == sorted(numbers)
    assert ["Referenced Segment" in one for one in kinds[:3]] == [True, True, False]


def test_no_number_stands_twice_in_a_report() -> None:
    report = report_of(lungs(), BOX, Measurement(sources.VOLUME, 3.25, sources.ML))
    volumes = [c for n, c in contents(report) if n[-1] == "Volume"]
    measured = [m for s in lungs().segments for m in s.measurements if m.name == sources.VOLUME]
    assert len(volumes) <= len(measured) + 1


def test_every_item_is_rendered_with_its_name() -> None:
    report = report_of(lungs(), BOX, Classification(EMPHYSEMA, PRESENT, 0.9))
    containers = [c for _, c in contents(report) if c.ValueType == "CONTAINER"]
    assert {c.ContinuityOfContent for c in (report, *containers)} == {"SEPARATE"}


# --- findings -------------------------------------------------------------------------------------


def test_every_structure_has_a_group_that_leads_to_its_segment() -> None:
    source = ct_source()
    encoded = seg.build(source, lungs(), PROVENANCE, FIRST)
    report = written(sr.build(source, Findings((lungs(),)), Made({0: encoded}), PROVENANCE))
    numbers = {item.TrackingUID: item.SegmentNumber for item in encoded.SegmentSequence}
    found = {}
    for group in groups(report):
        inside = {name[-1]: item for name, item in contents(group)}
        tracking = inside["Tracking Unique Identifier"].UID
        if "Referenced Segment" in inside:
            (reference,) = inside["Referenced Segment"].ReferencedSOPSequence
            assert reference.ReferencedSOPInstanceUID == encoded.SOPInstanceUID
            found[tracking] = reference.ReferencedSegmentNumber
    assert found == numbers


def test_another_reader_finds_the_measurements() -> None:
    document: Any = hd.sr.Comprehensive3DSR.from_dataset(report_of(lungs()))
    (right,) = document.content.get_volumetric_roi_measurement_groups(
        tracking_uid=uids.tracking_uid(ct_source(), PROVENANCE.analyzer, "right_lung")
    )
    volume, attenuation = right.get_measurements()
    assert (volume.name.meaning, volume.value, volume.unit.value) == ("Volume", 1234.57, "mL")
    assert (attenuation.value, attenuation.unit.value) == (-820.5, "[hnsf'U]")
    assert attenuation.derivation.meaning == "Mean"
    (site,) = right.finding_sites
    assert (site.value.meaning, site.laterality.meaning) == ("Lung", "Right")


def test_a_structure_without_a_voxel_is_said_to_be_looked_for_and_not_found() -> None:
    report = report_of(lungs())
    assert "Liver: looked for, not found." in texts(report, "Comment")
    (conclusion,) = texts(report, "Conclusion")
    assert conclusion == (
        "Found: Right lung (1.2 L, image 4), Left lung (image 8). Looked for, not found: Liver."
    )
    absent = [c for n, c in contents(report) if n[-1] == "Presence of property"]
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in absent] == ["Absent"]


def test_the_conclusion_holds_the_answer_and_where_to_look() -> None:
    report = report_of(BOX, Classification(EMPHYSEMA, PRESENT, 0.9), remarks=())
    (conclusion,) = texts(report, "Conclusion")
    assert conclusion == (
        "Found: Nodule (right, certainty 87%, image 4). Emphysema: Present (certainty 90%)."
    )


def test_many_findings_are_counted_and_not_described() -> None:
    boxes = [dataclasses.replace(BOX, key=f"nodule_{n}") for n in range(7)]
    (conclusion,) = texts(report_of(*boxes), "Conclusion")
    assert conclusion == "Found: Nodule (7 times)."


def test_every_structure_that_is_missing_is_named() -> None:
    report = report_of(sources.empty())
    (conclusion,) = texts(report, "Conclusion")
    assert conclusion == "Looked for, not found: Right lung, Liver, Left lung."
    absent = [c for n, c in contents(report) if n[-1] == "Presence of property"]
    found = [
        dict(contents(item))[("Finding",)].ConceptCodeSequence[0].CodeMeaning for item in absent
    ]
    assert found == ["Lung", "Liver", "Lung"]


def test_nothing_found_is_said_where_there_are_no_findings() -> None:
    report = report_of()
    assert texts(report, "Conclusion")[0].startswith("Nothing found.")
    assert [name[-1] for name, _ in contents(groups(report)[0])].count("Image Region") == 1
    assert report.CompletionFlag == "COMPLETE"


def test_not_applicable_is_said_with_its_reasons() -> None:
    reasons = ["modality is CT, MR is needed", "3 slices, at least 20 are needed"]
    report = written(sr.build_notice(ct_source(), NoticeReason.NOT_APPLICABLE, reasons, PROVENANCE))
    assert texts(report, "Conclusion") == [
        "Not applicable: Modality is CT, MR is needed. 3 slices, at least 20 are needed. Lung "
        "segmentation did not analyze these images; this says nothing about what they show."
    ]


def test_a_failure_is_said_without_traceback_path_or_patient() -> None:
    reason = (
        "weights for Müller^Jürgen (4711-0815, jürgen) missing in /var/lib/wetread/x.bin\n"
        'Traceback (most recent call last):\n  File "/opt/a.py", line 3, in analyze\nKeyError: 1'
    )
    report = written(sr.build_notice(ct_source(), NoticeReason.FAILED, [reason], PROVENANCE))
    (said,) = texts(report, "Conclusion")
    assert said.startswith("Failed: there is no result of Lung segmentation")
    assert said.endswith("Weights for [removed] ([removed], [removed]) missing in [path].")
    assert report.CompletionFlag == "PARTIAL"


def test_a_failure_without_a_reason_says_so() -> None:
    reasons = ["", "Traceback (most recent call last): x"]
    report = written(sr.build_notice(ct_source(), NoticeReason.FAILED, reasons, PROVENANCE))
    assert texts(report, "Conclusion")[0].endswith("Reason: No reason was given.")


def test_a_report_is_preliminary_and_unverified() -> None:
    report = report_of(lungs())
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")


def test_the_observer_is_the_algorithm() -> None:
    report = report_of(lungs())
    inside = {name[-1]: item for name, item in contents(report) if len(name) == 1}
    assert inside["Device Observer Model Name"].TextValue == PROVENANCE.analyzer
    assert inside["Device Observer Manufacturer"].TextValue == "Wetread"
    assert report.ContributingEquipmentSequence[0].DeviceUID == inside["Device Observer UID"].UID
    for group in groups(report):
        algorithm = {name[-1]: item for name, item in contents(group)}
        assert algorithm["Algorithm Name"].TextValue == report.ManufacturerModelName
        assert algorithm["Algorithm Version"].TextValue == report.SoftwareVersions


def test_a_box_is_drawn_on_every_image_it_crosses() -> None:
    source = ct_source()
    report = report_of(BOX, source=source)
    regions = regions_of(groups(report)[1])
    assert len(regions) == 3
    for index, region in enumerate(regions, start=2):
        assert bounds(region) == [6, 5, 12, 10]
        (reference,) = region.ContentSequence[0].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == source.headers[index].SOPInstanceUID


def test_a_box_on_a_multiframe_image_names_frames() -> None:
    source = enhanced_source()
    report = report_of(BOX, source=source)
    regions = regions_of(groups(report)[1])
    numbers = [r.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber for r in regions]
    assert numbers == [source.frames[index].number for index in (2, 3, 4)]


def test_the_score_of_a_detection_is_given_in_percent() -> None:
    (number,) = [c for n, c in contents(report_of(BOX)) if n[-1] == "Certainty of Finding"]
    assert number.MeasuredValueSequence[0].NumericValue == 87


def test_a_box_outside_of_the_images_is_refused() -> None:
    outside = dataclasses.replace(BOX, last=(4, 9, 18))
    with pytest.raises(FindingsContradictImages, match="nodule_1"):
        report_of(outside)


def test_what_holds_for_the_whole_series_has_one_group() -> None:
    report = report_of(
        Measurement(sources.VOLUME, 3.25, sources.ML), Classification(EMPHYSEMA, PRESENT, 0.9)
    )
    (group,) = groups(report)
    inside = {name: item for name, item in contents(group)}
    assert inside[("Volume",)].MeasuredValueSequence[0].NumericValue == 3.25
    assert inside[("Emphysema",)].ConceptCodeSequence[0].CodeMeaning == "Present"
    certainty = inside[("Emphysema", "Certainty of Finding")]
    assert certainty.MeasuredValueSequence[0].NumericValue == 90
    assert ct_source().headers[0].SeriesInstanceUID == inside[("Series Instance UID",)].UID


def test_a_number_that_is_none_is_said_in_words() -> None:
    report = report_of(Measurement(sources.VOLUME, float("nan"), sources.ML))
    assert "Volume: could not be measured." in texts(report, "Comment")
    hd.sr.Comprehensive3DSR.from_dataset(report)


def test_remarks_stand_in_the_report() -> None:
    assert "The apices are cut off." in texts(
        report_of(single(), remarks=("The apices are cut off.",)), "Comment"
    )


def test_why_not_to_rely_on_an_answer_stands_before_it(tmp_path: Path) -> None:
    answer = Classification(EMPHYSEMA, ABSENT, 0.12, POINT)
    findings = Findings((answer,), cautions=("The image may be mirrored.",))
    results = write_results(ct_source(), findings, PROVENANCE, tmp_path / "job")
    report = pydicom.dcmread(tmp_path / "job" / "report.dcm")
    (conclusion,) = texts(report, "Conclusion")
    assert conclusion == "The image may be mirrored. Emphysema: Absent (certainty 88%)."
    assert "DOUBTFUL: ABSENT" in report.SeriesDescription
    assert results.remarks[0] == "The image may be mirrored."


def test_every_image_and_result_is_listed_as_evidence() -> None:
    source = ct_source()
    encoded = seg.build(source, single(), PROVENANCE, FIRST)
    report = written(sr.build(source, Findings((single(),)), Made({0: encoded}), PROVENANCE))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert listed == {h.SOPInstanceUID for h in source.headers} | {encoded.SOPInstanceUID}
    assert len(study.ReferencedSeriesSequence) == 2


def test_a_report_names_the_one_it_supersedes() -> None:
    old = HierarchicalReference("2.25.71", "2.25.5", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.6")
    newer = dataclasses.replace(PROVENANCE, predecessor=old)
    report = written(sr.build(ct_source(), Findings(), Made(), newer))
    (study,) = report.PredecessorDocumentsSequence
    (item,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == "2.25.6"


def test_a_report_belongs_to_the_study_and_request_of_the_images() -> None:
    report = report_of(lungs())
    assert report.StudyInstanceUID == "2.25.71"
    assert report.AccessionNumber == "ACC77"
    assert str(report.PatientName) == "Müller^Jürgen"
    assert report.ReferencedRequestSequence[0].AccessionNumber == "ACC77"


def test_a_report_can_be_written_on_images_of_an_unknown_sop_class() -> None:
    source = ct_source(SOPClassUID="1.2.3.4.5", Modality="XX")
    report = written(sr.build_notice(source, NoticeReason.NOT_APPLICABLE, ["why"], PROVENANCE))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    item = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert item.ReferencedSOPClassUID == "1.2.3.4.5"


def test_private_codes_say_whose_they_are() -> None:
    private = Code("LAA950", "99WETREAD", "Percentage below -950 HU")
    report = report_of(Measurement(private, 2.0, Code("%", "UCUM", "Percent")))
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99WETREAD"
    assert "CodingSchemeIdentificationSequence" not in report_of(single())


# --- order and certainty --------------------------------------------------------------------------

ABSENT = Code("272519000", "SCT", "Absent")
POINT = OperatingPoint(0.4, 0.9, 0.8, "130 patients")


def outline(report: Dataset) -> list[str]:
    return [c.ConceptNameCodeSequence[0].CodeMeaning for c in report.ContentSequence]


def test_the_answer_stands_before_all_numbers_and_the_method_last() -> None:
    report = report_of(lungs(), remarks=("The apices are cut off.",))
    names = outline(report)
    assert names.index("Conclusion") < names.index("Imaging Measurements")
    evaluations = report.ContentSequence[names.index("Qualitative Evaluations")]
    assert evaluations.ContentSequence[-1].TextValue == (
        "Made automatically by Lung segmentation 1.2.0; not verified by a person."
    )


def test_a_notice_says_at_once_that_there_is_no_result() -> None:
    report = written(sr.build_notice(ct_source(), NoticeReason.FAILED, ["why"], PROVENANCE))
    assert outline(report).index("Conclusion") < outline(report).index("Imaging Measurements")


def test_a_box_below_the_operating_point_is_possible_in_words_and_codes() -> None:
    box = dataclasses.replace(BOX, score=0.31, threshold=0.4)
    report = report_of(box)
    assert texts(report, "Conclusion") == ["Possible: Nodule (right, certainty 31%, image 4)."]
    (presence,) = [c for n, c in contents(report) if n[-1] == "Presence of property"]
    assert presence.ConceptCodeSequence[0].CodeValue == "371930009"


@pytest.mark.parametrize("score", [0.4, 0.9])
def test_a_box_from_the_operating_point_on_is_found(score: float) -> None:
    report = report_of(dataclasses.replace(BOX, score=score, threshold=0.4))
    assert texts(report, "Conclusion")[0].startswith("Found: Nodule (right")
    assert not [n for n, _ in contents(report) if n[-1] == "Presence of property"]


def test_sure_and_possible_findings_are_told_apart() -> None:
    weak = dataclasses.replace(BOX, key="nodule_2", score=0.31, threshold=0.4)
    (conclusion,) = texts(report_of(weak, BOX), "Conclusion")
    assert conclusion == (
        "Found: Nodule (right, certainty 87%, image 4). "
        "Possible: Nodule (right, certainty 31%, image 4)."
    )


@pytest.mark.parametrize(
    ("answer", "said", "certainty"),
    [(Classification(EMPHYSEMA, ABSENT, 0.12, POINT), "Absent", 88),
     (Classification(EMPHYSEMA, ABSENT, 0.0001, POINT), "Absent", 99),
     (Classification(EMPHYSEMA, ABSENT, 0.7), "Absent", 70),
     (Classification(EMPHYSEMA, PRESENT, 0.71, POINT), "Present", 71),
     (Classification(EMPHYSEMA, PRESENT, 0.2, POINT), "possibly present", 20)],
)  # fmt: skip
def test_certainty_belongs_to_what_is_said(
    answer: Classification, said: str, certainty: float
) -> None:
    report = report_of(answer)
    (number,) = [c for n, c in contents(report) if n[-1] == "Certainty of Finding"]
    assert number.MeasuredValueSequence[0].NumericValue == certainty
    assert texts(report, "Conclusion") == [f"Emphysema: {said} (certainty {certainty}%)."]
    (row,) = lines.of_classification(answer, "en")
    assert row.text == f"{said} (certainty {certainty}%)"


def test_a_box_round_the_only_structure_of_its_kind_is_not_said_twice() -> None:
    box = dataclasses.replace(BOX, laterality=sources.LEFT)
    (conclusion,) = texts(report_of(single(), box), "Conclusion")
    assert conclusion == "Found: Nodule (left, certainty 87%, image 8)."
    (conclusion,) = texts(report_of(single(), BOX), "Conclusion")
    assert conclusion == ("Found: Nodule (left, image 8), Nodule (right, certainty 87%, image 4).")


def test_a_box_with_the_key_of_a_structure_is_looked_at_elsewhere() -> None:
    """A box may reach farther than the structure in it: the middle of one is not the other's."""
    box = Detection("nodule", sources.NODULE, sources.ABNORMAL, (0, 0, 0), (1, 3, 3), 0.8)
    source, item = ct_source(), single()
    made = seg.build(source, item, PROVENANCE, FIRST)
    document = sr.build(source, Findings((item, box)), Made({0: made}), PROVENANCE)
    outlined = {
        str(one.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for one in _below(document)
        if one.ValueType == "SCOORD"
    }
    largest = int(np.count_nonzero(item.labels, axis=(1, 2)).argmax())
    assert {f"2.25.7700{largest}", "2.25.77000"} <= outlined


def _below(item: Dataset) -> list[Dataset]:
    children = list(item.get("ContentSequence", ()))
    return [*children, *(one for child in children for one in _below(child))]
