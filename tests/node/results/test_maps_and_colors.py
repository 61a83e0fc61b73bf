"""Maps, colour images, conclusions and radiographs: written, let through the gate, read back."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from analyzers.contract import (
    Classification,
    Code,
    ColorImage,
    DerivedImage,
    Detection,
    Findings,
    OperatingPoint,
    ParametricMap,
    Segment,
    Segmentation,
    Statement,
)
from node.results.errors import FindingsContradictImages
from node.results.modules.source import Provenance
from node.results.objects import capture
from node.results.pictures.page import GAP, HEAD, HEIGHT
from node.results.pictures.preview import BOX_RGB
from node.results.write import write_results
from node.series.read import read_series
from node.series.source import Source
from storage.kinds import ObjectKind
from tests.node.series.test_radiographs import radiograph

UNITLESS = Code("1", "UCUM", "no units")
QUANTITY = Code("EVIDENCE", "99WETREAD", "Evidence")
OPACITY = Code("128477000", "SCT", "Abscess")
ALTERED = Code("49755003", "SCT", "Morphologically Altered Structure")

PROVENANCE = Provenance(
    analyzer="mapper",
    analyzer_version="1.0.0",
    analyzer_title="Mapper",
    parameters={},
    device="cpu",
    node_version="0",
    key="ab" * 32,
    started_at=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.fixture(scope="module")
def stack(phantom_paths: list[Path]) -> Source:
    return read_series(phantom_paths)


@pytest.fixture
def film(tmp_path: Path) -> Source:
    pixels = np.random.default_rng(1).integers(0, 4000, (64, 48)).astype(np.uint16)
    path = radiograph(tmp_path / "film.dcm", pixels, PatientName="", PatientID="1", StudyID="1")
    return read_series([path])


def chart(source: Source) -> ParametricMap:
    assert source.volume is not None
    values = np.linspace(-1, 3, int(np.prod(source.volume.shape)), dtype=np.float32)
    return ParametricMap(values.reshape(source.volume.shape), "Evidence", QUANTITY, UNITLESS)


def texts(report: Dataset) -> Iterator[str]:
    for item in report.get("ContentSequence", []):
        if item.ValueType == "TEXT":
            yield item.TextValue
        yield from texts(item)


def test_a_map_comes_back_voxel_by_voxel(stack: Source, tmp_path: Path) -> None:
    item = chart(stack)
    results = write_results(stack, Findings((item,)), PROVENANCE, tmp_path / "out")
    (written,) = (one for one in results.objects if one.kind == "map")
    dataset = hd.pm.ParametricMap.from_dataset(pydicom.dcmread(tmp_path / written.key))
    volume = dataset.get_volume()
    assert stack.volume is not None
    back = volume.array
    corner = volume.affine @ [0, 0, 0, 1]
    if not np.allclose(corner, stack.volume.affine @ [0, 0, 0, 1], atol=0.01):
        back = back[::-1]
    np.testing.assert_allclose(back, item.values, rtol=1e-6)
    assert any(row.name == "Parametric map" for row in results.findings)


def test_a_colour_series_keeps_its_pixels_and_its_place(stack: Source, tmp_path: Path) -> None:
    assert stack.volume is not None
    shape = (*stack.volume.shape, 3)
    values = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    item = ColorImage(values, "Fused", Code("113062", "DCM", "Pixel by pixel addition"))
    results = write_results(stack, Findings((item,)), PROVENANCE, tmp_path / "out")
    images = [one for one in results.objects if one.kind == "image"]
    assert len(images) == stack.volume.shape[0]
    first = pydicom.dcmread(tmp_path / images[0].key)
    rows, columns = values.shape[1:3]
    factor = first.Columns // columns
    assert np.array_equal(first.pixel_array[: factor * rows : factor, ::factor], values[0])
    header = stack.headers[stack.frames[0].header]
    across = [float(one) / factor for one in header.PixelSpacing]
    assert list(first.PixelSpacing) == pytest.approx(across)
    corner = np.array(header.ImagePositionPatient, float) - np.array(
        [*(float(one) * (1 - 1 / factor) / 2 for one in reversed(header.PixelSpacing)), 0.0]
    )
    assert [float(v) for v in first.ImagePositionPatient] == pytest.approx(list(corner))


@pytest.mark.parametrize("columns", [28, 512, 4000])
def test_below_a_colour_picture_stands_that_it_is_automatic(columns: int) -> None:
    plane = np.full((20, columns, 3), 90, np.uint8)
    shown = capture.warned(plane, "automatic, not for diagnosis")
    factor = shown.shape[1] // columns
    assert (shown[: 20 * factor] == 90).all()
    below = shown[20 * factor :]
    written = np.flatnonzero((below[..., 0] > 200).any(axis=0))
    assert shown.shape[1] >= 240
    assert 150 < np.ptp(written) < shown.shape[1]


def test_a_colour_picture_of_an_image_with_burned_in_text_says_so(
    stack: Source, tmp_path: Path
) -> None:
    header = deepcopy(stack.headers[0])
    header.BurnedInAnnotation = "YES"
    header.BodyPartExamined = "BREAST"
    marked = replace(stack, headers=(header, *stack.headers[1:]))
    assert stack.volume is not None
    values = np.zeros((*stack.volume.shape, 3), np.uint8)
    item = ColorImage(values, "Fused", Code("113062", "DCM", "Pixel by pixel addition"))
    write_results(marked, Findings((item,)), PROVENANCE, tmp_path / "out")
    first = pydicom.dcmread(tmp_path / "out/color-0-00000.dcm")
    assert (first.Modality, first.BurnedInAnnotation, first.Laterality) == ("OT", "YES", "")


def test_a_map_over_a_radiograph_is_drawn_over_it(film: Source, tmp_path: Path) -> None:
    results = write_results(film, Findings((chart(film),)), PROVENANCE, tmp_path / "out")
    (image,) = (one for one in results.objects if one.kind == "image")
    dataset = pydicom.dcmread(tmp_path / image.key)
    assert dataset.PhotometricInterpretation == "RGB"
    pixels = dataset.pixel_array.astype(int)
    assert np.ptp(pixels[0, 0]) <= 1
    last = pixels[64 * (dataset.Columns // 48) - 1, -1]
    assert last[0] - last[2] > 100
    assert "lowest -1, highest 3" in dataset.DerivationDescription


def test_a_radiograph_with_a_spacing_of_zero_hinders_no_map(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (64, 48)).astype(np.uint16)
    path = radiograph(tmp_path / "film.dcm", pixels, PatientID="1", PixelSpacing=[0, 0])
    film = read_series([path])
    results = write_results(film, Findings((chart(film),)), PROVENANCE, tmp_path / "out")
    (shown,) = (one for one in results.objects if one.kind == "image")
    assert "PixelSpacing" not in pydicom.dcmread(tmp_path / shown.key)


def test_boxes_masks_and_answers_on_a_radiograph_reach_the_report(
    film: Source, tmp_path: Path
) -> None:
    labels = np.zeros((1, 64, 48), np.uint8)
    labels[0, 10:20, 5:30] = 1
    point = OperatingPoint(0.4, 0.8, 0.7, "49 patients held out")
    yes = Classification(QUANTITY, Code("373066001", "SCT", "Yes"), 0.83, point, ("Right base.",))
    findings = Findings(
        (
            Segmentation(labels, (Segment("opacity", 1, "Opacity", ALTERED, OPACITY),)),
            Detection("box_1", OPACITY, ALTERED, (0, 10, 5), (0, 19, 29), 0.7),
            yes,
        )
    )
    results = write_results(film, findings, PROVENANCE, tmp_path / "out")
    assert {one.kind for one in results.objects} == {"seg", "sr"}
    report = pydicom.dcmread(tmp_path / "out/report.dcm")
    words = list(texts(report))
    assert "Right base." in words
    assert "Measured on 49 patients held out." in words
    assert "SENSITIVITY" in str(report)


def test_a_box_on_a_radiograph_is_drawn_on_the_radiograph_alone(
    film: Source, tmp_path: Path
) -> None:
    box = Detection("box_1", OPACITY, ALTERED, (0, 10, 5), (0, 39, 28), 0.7)
    results = write_results(film, Findings((box,)), PROVENANCE, tmp_path / "out")
    (picture,) = results.previews
    shown = np.asarray(Image.open(tmp_path / picture))[HEAD : HEAD + HEIGHT]
    rows, columns = np.nonzero((shown == BOX_RGB).all(axis=2))
    assert np.ptp(rows) == pytest.approx(30 * HEIGHT / 64, abs=3)
    assert np.ptp(columns) == pytest.approx(24 * HEIGHT / 64, abs=3)
    assert columns.min() == pytest.approx(GAP + 5 * HEIGHT / 64, abs=3)


def test_a_conclusion_cites_its_rule_values_and_source(stack: Source, tmp_path: Path) -> None:
    said = Statement(QUANTITY, "Do this.", "set: rule", ("Volume = 3 mm3",), "Somebody 2017")
    results = write_results(stack, Findings((said,)), PROVENANCE, tmp_path / "out")
    words = list(texts(pydicom.dcmread(tmp_path / "out/report.dcm")))
    for expected in ("Do this.", "Rule: set: rule.", "Volume = 3 mm3", "Source: Somebody 2017"):
        assert expected in words
    assert any("By rule: Evidence." in sentence for sentence in words)
    assert [row.name for row in results.findings] == ["Conclusion"]


def test_values_off_the_grid_or_not_finite_are_refused(stack: Source, tmp_path: Path) -> None:
    item = chart(stack)
    broken = item.values.copy()
    broken[0, 0, 0] = np.nan
    for values in (broken, item.values[:, :, :-1]):
        with pytest.raises(FindingsContradictImages):
            write_results(
                stack, Findings((replace(item, values=values),)), PROVENANCE, tmp_path / "out"
            )


@pytest.mark.parametrize("highest", [0.0, 0.3, 1.0])
def test_a_map_of_small_or_equal_values_leaves_too(
    stack: Source, tmp_path: Path, highest: float
) -> None:
    item = chart(stack)
    ramp = np.linspace(0, highest, item.values.size, dtype=np.float32).reshape(item.values.shape)
    results = write_results(
        stack, Findings((replace(item, values=ramp),)), PROVENANCE, tmp_path / "job"
    )
    (made,) = (one for one in results.objects if one.kind == "map")
    read = pydicom.dcmread(tmp_path / made.key)
    pixels = np.frombuffer(read.FloatPixelData, "<f4")
    assert np.array_equal(np.sort(pixels), np.sort(ramp.ravel()))  # frames may change their order


def source_items(dataset: Dataset) -> Iterator[Dataset]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                if element.keyword == "SourceImageSequence":
                    yield item
                yield from source_items(item)


def test_everything_derived_says_what_its_sources_are_for_and_that_nothing_moved(
    stack: Source, tmp_path: Path
) -> None:
    assert stack.volume is not None
    labels = np.zeros(stack.volume.shape, np.uint8)
    labels[:2, 4:9, 4:9] = 1
    segment = Segment("abscess", 1, "Abscess", ALTERED, OPACITY)
    colour = np.zeros((*stack.volume.shape, 3), np.uint8)
    blur = Code("113088", "DCM", "Gaussian blur")
    items = (
        Segmentation(labels, (segment,)),
        chart(stack),
        ColorImage(colour, "Fused", blur),
        DerivedImage(stack.volume.values(np.float32), "Smoothed", blur),
    )
    results = write_results(stack, Findings(items), PROVENANCE, tmp_path / "results")
    for one in results.objects:
        if one.kind is ObjectKind.REPORT:
            continue
        found = list(source_items(pydicom.dcmread(tmp_path / one.key)))
        assert found
        assert {item.SpatialLocationsPreserved for item in found} == {"YES"}
        assert {str(item.PurposeOfReferenceCodeSequence[0].CodeValue) for item in found} == {
            "121322"
        }
