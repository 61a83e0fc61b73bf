"""What the index knows of a series agrees with what reading it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.multival import MultiValue

from analyzers.contract import InputContract, Plane
from node.demo.ct_files import CtFiles, CtSeries
from node.demo.phantom import ACQUISITIONS, ChestPhantom
from node.series.facts import facts
from node.series.read import read_series
from storage.records import Header, StoredInstance, StoredSeries

PLANES = {"coronal": Plane.CORONAL, "sagittal": Plane.SAGITTAL}
KEYWORDS = (
    "Modality",
    "ImageType",
    "BodyPartExamined",
    "SeriesDescription",
    "ContrastBolusAgent",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
)


def plain(value: Any) -> Any:
    if isinstance(value, (MultiValue, list)):
        return [plain(part) for part in value]
    return float(value) if isinstance(value, float) else str(value)


def header_of(path: Path) -> dict[str, Any]:
    image = pydicom.dcmread(path, stop_before_pixels=True)
    header = {keyword: plain(image.get(keyword)) for keyword in KEYWORDS if keyword in image}
    if "PerFrameFunctionalGroupsSequence" in image:
        shared = image.SharedFunctionalGroupsSequence[0]
        header["FramePositions"] = [
            plain(group.PlanePositionSequence[0].ImagePositionPatient)
            for group in image.PerFrameFunctionalGroupsSequence
        ]
        orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        header["ImageOrientationPatient"] = plain(orientation)
        header["SliceThickness"] = plain(shared.PixelMeasuresSequence[0].SliceThickness)
    return header


def stored(headers: list[Header]) -> StoredSeries:
    instances = tuple(
        StoredInstance(i, f"2.25.{i}", "1.2", "1.2", "", 0, "", header)
        for i, header in enumerate(headers)
    )
    return StoredSeries(1, 1, "2.25.9", headers[0] if headers else {}, instances)


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_plane_spacing_and_slices_agree_with_the_volume(name: str, tmp_path: Path) -> None:
    paths = ChestPhantom.small(ACQUISITIONS[name]).write(tmp_path)
    volume = read_series(paths).volume
    found = facts(stored([header_of(path) for path in paths]))
    assert volume is not None
    assert found.plane == PLANES.get(name, Plane.AXIAL)
    assert found.slices == found.instances == volume.shape[0]
    assert found.spacing_mm == pytest.approx(volume.spacing_mm[0], abs=1e-3)
    assert found.thickness_mm == pytest.approx(volume.spacing_mm[0], abs=1e-3)


def test_an_enhanced_image_counts_its_frames(phantom: ChestPhantom, tmp_path: Path) -> None:
    paths = phantom.write(tmp_path, CtFiles(multiframe=True, file_order="shuffled"))
    found = facts(stored([header_of(path) for path in paths]))
    assert (found.instances, found.slices, found.plane) == (1, 30, Plane.AXIAL)
    assert (found.spacing_mm, found.thickness_mm) == (10.0, 10.0)


def test_what_the_header_says_is_passed_on(phantom_paths: list[Path]) -> None:
    found = facts(stored([header_of(path) for path in phantom_paths]))
    assert found.modality == "CT"
    assert found.body_part == "CHEST"
    assert found.description == "CHEST 2.5 LUNG"
    assert found.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert InputContract(frozenset({"CT"}), min_slices=20).refusals(found) == ()


def test_a_contrast_agent_in_the_phantom_is_seen(tmp_path: Path) -> None:
    series = CtSeries(contrast_agent="IOPAMIDOL 370")
    phantom = ChestPhantom(shape=(2, 64, 48), spacing_mm=(10.0, 6.0, 8.0), series=series)
    found = facts(stored([header_of(path) for path in phantom.write(tmp_path)]))
    assert found.contrast is True


@pytest.mark.parametrize(
    ("header", "contrast"),
    [
        ({}, None),
        ({"ContrastBolusAgent": ""}, None),
        ({"ContrastBolusAgent": "  "}, None),
        ({"ContrastBolusAgent": "None"}, False),
        ({"ContrastBolusAgent": "NO "}, False),
        ({"ContrastBolusAgent": "11 ml Omniscan"}, True),
        ({"ContrastBolusAgentSequence": [{"CodeMeaning": "Iohexol"}]}, True),
    ],
)
def test_contrast_is_known_only_where_it_is_written(header: Header, contrast: bool | None) -> None:
    assert facts(stored([header])).contrast is contrast


def test_images_without_a_place_have_no_plane_and_no_slices() -> None:
    found = facts(stored([{"Modality": "US", "ImageType": "ORIGINAL\\PRIMARY"}]))
    assert (found.slices, found.plane, found.spacing_mm) == (0, None, None)
    assert found.image_type == ("ORIGINAL", "PRIMARY")


def test_images_of_different_planes_have_no_common_plane() -> None:
    place = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    other = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
    found = facts(stored([place, other]))
    assert (found.slices, found.plane, found.spacing_mm) == (2, None, None)


def test_time_points_do_not_hide_the_distance_between_slices() -> None:
    headers = [
        {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        for z in (0, 5, 10, 15) * 3
    ]
    found = facts(stored(headers))
    assert (found.slices, found.spacing_mm) == (12, 5.0)


def test_damaged_numbers_leave_the_question_open() -> None:
    found = facts(stored([{"ImagePositionPatient": ["a", 0, 0], "SliceThickness": "thin"}]))
    assert (found.slices, found.thickness_mm) == (0, None)
    assert facts(stored([])).instances == 0
