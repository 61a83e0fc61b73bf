"""The report for readers that know no segments: regions of images, and no other reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest

from analyzers.contract import DerivedImage, Findings, Measurement, ParametricMap
from node.results.bench import Bench
from node.results.errors import GateRefused
from node.results.forms import regions
from node.results.gate import gate
from node.results.write import write_results
from storage.kinds import ObjectKind
from storage.records import JobResults
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs
from tests.node.results.test_sr import BOX, contents, groups, images_of, regions_of, texts

NUMBER = Measurement(sources.VOLUME, 3.25, sources.ML)
CHART = ParametricMap(
    np.linspace(0, 1, int(np.prod(sources.SHAPE)), dtype=np.float32).reshape(sources.SHAPE),
    "Evidence",
    sources.VOLUME,
    sources.ML,
)


def results(folder: Path, *items: Any) -> JobResults:
    return write_results(
        ct_source(), Findings(items), PROVENANCE, folder / "results", (ObjectKind.REGIONS,)
    )


def of_kind(made: JobResults, folder: Path, kind: ObjectKind) -> Any:
    (one,) = [one for one in made.objects if one.kind is kind]
    return pydicom.dcmread(folder / one.key)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The report, and the one by regions."""
    folder = tmp_path_factory.mktemp("both")
    made = results(folder, lungs(), BOX, NUMBER, CHART)
    return (
        of_kind(made, folder, ObjectKind.REPORT),
        of_kind(made, folder, ObjectKind.REGIONS),
    )


def test_it_is_an_object_and_a_series_of_its_own(both: tuple[Any, Any]) -> None:
    report, by_regions = both
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
        assert report[keyword].value != by_regions[keyword].value
    assert report.SOPClassUID == by_regions.SOPClassUID


def test_it_refers_to_images_alone(both: tuple[Any, Any]) -> None:
    images = {str(header.SOPInstanceUID) for header in ct_source().headers}
    report, by_regions = both
    assert set(gate.evidence_of(by_regions)) == images
    for item in gate.references_of(by_regions):
        assert str(item.ReferencedSOPInstanceUID) in images
        assert "ReferencedSegmentNumber" not in item
    assert set(gate.evidence_of(report)) > images


def test_every_finding_is_one_planar_region_with_its_numbers(both: tuple[Any, Any]) -> None:
    _, by_regions = both
    named = [{name[-1]: item for name, item in contents(group)} for group in groups(by_regions)]
    assert [len(regions_of(group)) for group in groups(by_regions)] == [1] * len(named)
    assert [group["Tracking Identifier"].TextValue.partition(":")[2] for group in named] == [
        "right_lung",
        "left_lung",
        "nodule_1",
        "whole_series",
    ]
    right, _, box, whole = named
    assert right["Volume"].MeasuredValueSequence[0].FloatingPointValue == pytest.approx(1234.57)
    assert box["Certainty of Finding"].MeasuredValueSequence[0].NumericValue == 87
    assert whole["Volume"].MeasuredValueSequence[0].NumericValue == 3.25
    for group in groups(by_regions):
        (region,) = regions_of(group)
        assert images_of(region)


def test_it_says_the_same_numbers_under_the_same_tracking_identifiers(
    both: tuple[Any, Any],
) -> None:
    told = [
        sorted(
            (
                {name[-1]: item for name, item in contents(group)}[
                    "Tracking Unique Identifier"
                ].UID,
                name[-1],
                float(item.MeasuredValueSequence[0].FloatingPointValue),
            )
            for group in groups(report)
            for name, item in contents(group)
            if item.ValueType == "NUM"
        )
        for report in both
    ]
    assert told[0] == told[1]


def test_what_is_not_there_is_said_too(both: tuple[Any, Any]) -> None:
    for report in both:
        assert any("Liver" in text for text in texts(report, "Comment"))


def test_another_reader_finds_its_planar_groups(both: tuple[Any, Any]) -> None:
    document: Any = hd.sr.Comprehensive3DSR.from_dataset(both[1])
    found = document.content.get_planar_roi_measurement_groups()
    assert len(found) == 3
    assert not document.content.get_volumetric_roi_measurement_groups()
    (volume, _) = found[0].get_measurements()
    assert (volume.name.meaning, volume.unit.value) == ("Volume", "mL")


def test_a_filter_has_nothing_to_say_by_regions(tmp_path: Path) -> None:
    image = DerivedImage(np.zeros(sources.SHAPE, np.int16), "Smoothed", sources.BLUR)
    made = results(tmp_path, image)
    assert ObjectKind.REGIONS not in {one.kind for one in made.objects}


def test_the_gate_refuses_one_that_leads_to_a_segmentation(
    both: tuple[Any, Any], tmp_path: Path
) -> None:
    report, _ = both
    path = tmp_path / "report.dcm"
    pydicom.dcmwrite(path, report)
    with pytest.raises(GateRefused, match="neither source nor result"):
        regions.read_back(path, Bench.of(ct_source(), Findings(()), PROVENANCE), 0)
