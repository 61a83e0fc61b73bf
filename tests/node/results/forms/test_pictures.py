"""Key pictures: which slices, what stands on them, and what they say they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from analyzers.contract import Detection, Findings, Segment, Segmentation
from node.results.bench import Bench
from node.results.forms import drawing, marks, pictures, sides, views
from node.results.forms.drawing import HEAD, MARGIN, Marked, Scene
from node.results.write import write_results
from node.series.source import Source
from storage.kinds import ObjectKind
from storage.records import JobResults
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, lungs

GREEN = (0, 255, 0)


def written(source: Source, findings: Findings, folder: Path) -> list[Dataset]:
    results = write_results(source, findings, PROVENANCE, folder, (ObjectKind.PICTURE,))
    return [pydicom.dcmread(folder.parent / key) for key in picture_keys(results)]


def picture_keys(results: JobResults) -> list[str]:
    return [one.key for one in results.objects if one.kind is ObjectKind.PICTURE]


def nodule(
    first: tuple[int, int, int], last: tuple[int, int, int], score: float = 0.87
) -> Detection:
    return Detection("nodule", sources.NODULE, sources.ABNORMAL, first, last, score)


def image_of(dataset: Dataset) -> NDArray[np.uint8]:
    """The part of a picture that shows the slice."""
    made: NDArray[np.uint8] = dataset.pixel_array[HEAD:-40, MARGIN:-376]
    return made


def green(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    red, green_, blue = (picture[..., i].astype(int) for i in range(3))
    return (green_ > red + 60) & (green_ > blue + 60)


def test_each_structure_is_shown_where_it_is_largest_and_each_box_in_its_middle(
    tmp_path: Path,
) -> None:
    source = ct_source()
    findings = Findings((lungs(), nodule((0, 2, 3), (1, 5, 9))))
    shown = written(source, findings, tmp_path / "job")
    numbers = [int(one.SourceImageSequence[0].ReferencedSOPInstanceUID[-1]) for one in shown]
    assert numbers == [0, 3, 7]


def test_pictures_are_no_images_of_the_modality_and_lie_nowhere(tmp_path: Path) -> None:
    source = ct_source()
    for one in written(source, Findings((lungs(),)), tmp_path / "job"):
        assert one.SOPClassUID == SecondaryCaptureImageStorage
        assert one.Modality == "OT"
        assert one.BurnedInAnnotation == "NO"
        assert one.SeriesInstanceUID != source.headers[0].SeriesInstanceUID
        assert "Laterality" not in one
        for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "PixelSpacing"):
            assert keyword not in one


def test_the_same_findings_give_the_same_bytes(tmp_path: Path) -> None:
    kinds = (ObjectKind.PICTURE,)
    one = write_results(ct_source(), Findings((lungs(),)), PROVENANCE, tmp_path / "a", kinds)
    two = write_results(ct_source(), Findings((lungs(),)), PROVENANCE, tmp_path / "b", kinds)
    assert [made.sha256 for made in one.objects] == [made.sha256 for made in two.objects]


def test_pictures_change_nothing_of_the_other_objects(tmp_path: Path) -> None:
    findings = Findings((lungs(),))
    alone = write_results(ct_source(), findings, PROVENANCE, tmp_path / "a")
    beside = write_results(ct_source(), findings, PROVENANCE, tmp_path / "b", (ObjectKind.PICTURE,))
    assert {one.sha256 for one in alone.objects} <= {one.sha256 for one in beside.objects}


@pytest.mark.parametrize("orientation", list(sources.ORIENTATIONS))
def test_outlines_lie_where_the_structure_does_and_leave_what_is_inside(
    orientation: str, tmp_path: Path
) -> None:
    labels = np.zeros(sources.SHAPE, np.uint8)
    labels[4, 4:12, 2:8] = 1
    segment = Segment("x", 1, "Corner", sources.ANATOMY, sources.LIVER, rgb=GREEN)
    findings = Findings((Segmentation(labels, (segment,)),))
    (shown,) = written(ct_source(orientation), findings, tmp_path / "job")
    outline = green(image_of(shown))
    rows, columns = np.nonzero(outline)
    height, width = outline.shape
    found = (rows.min() / height, rows.max() / height, columns.min() / width, columns.max() / width)
    assert found == pytest.approx((4 / 22, 12 / 22, 2 / 18, 8 / 18), abs=0.02)
    assert not outline[round(0.36 * height), round(0.28 * width)]
    assert width / height == pytest.approx(18 * 1.1 / (22 * 0.8), rel=0.01)


@pytest.mark.parametrize(
    ("orientation", "said"),
    [
        ("axial", ("R", "L", "A", "P")),
        ("axial, prone", ("L", "R", "P", "A")),
        ("coronal", ("R", "L", "H", "F")),
        ("sagittal", ("A", "P", "H", "F")),
        ("oblique", ("R", "L", "AF", "PH")),
    ],
)
def test_the_sides_of_the_patient_stand_at_the_edges(
    orientation: str, said: tuple[str, ...]
) -> None:
    source = ct_source(orientation)
    assert source.volume is not None
    assert sides.letters(source, source.volume, 0)[: len(said)] == said


def test_many_structures_share_the_slices_that_show_most_of_them() -> None:
    labels = np.zeros((60, 20, 30), np.uint8)
    segments = []
    for number in range(1, 41):
        labels[number : number + 8, 2:18, number % 30] = number
        segments.append(
            Segment(f"s{number}", number, f"S {number}", sources.ANATOMY, sources.LIVER)
        )
    found = [
        marks.Structure(
            marks.Caption("", one.label, "", (), GREEN),
            Segmentation(labels, tuple(segments)),
            one,
            np.array([np.count_nonzero(plane == one.number) for plane in labels]),
        )
        for one in segments
    ]
    shown = views.of(found)
    assert len(shown) <= views.MOST_VIEWS
    assert {id(mark) for view in shown for mark in view.marks} >= {id(one) for one in found}


def test_a_page_with_room_for_few_pictures_has_those_that_show_most() -> None:
    labels = np.zeros((9, 20, 30), np.uint8)
    labels[0, 2:4, 2:4] = 1
    labels[7, 2:4, 2:4], labels[7, 5:9, 5:9] = 2, 3
    segments = tuple(
        Segment(f"s{number}", number, f"S {number}", sources.ANATOMY, sources.LIVER)
        for number in (1, 2, 3)
    )
    found = [
        marks.Structure(
            marks.Caption("", one.label, "", (), GREEN),
            Segmentation(labels, segments),
            one,
            np.array([np.count_nonzero(plane == one.number) for plane in labels]),
        )
        for one in segments
    ]
    assert [view.index for view in views.of(found, 1)] == [7]


def test_nothing_found_gives_no_picture(tmp_path: Path) -> None:
    assert written(ct_source(), Findings((sources.empty(),)), tmp_path / "job") == []


@pytest.mark.parametrize("shape", [(28, 28), (3000, 4000), (40, 512)])
def test_images_of_any_size_become_pictures_that_fit_a_screen(shape: tuple[int, int]) -> None:
    source = ct_source()
    assert source.volume is not None
    pixels = np.random.default_rng(1).integers(0, 2000, (1, *shape)).astype(np.int16)
    volume = dataclasses.replace(
        source.volume, stored=pixels, slope=np.ones(1), intercept=np.zeros(1), projection=True
    )
    film = Source(source.headers[:1], source.frames[:1], volume)
    box = nodule((0, 2, 3), (0, 20, 25))
    bench = Bench.of(film, Findings((box,)), PROVENANCE)
    (made,) = pictures.build(bench)
    assert 1024 <= made.Columns <= 1424
    assert 540 <= made.Rows <= 1140


def test_what_the_images_say_of_burned_in_text_holds_for_their_pictures(tmp_path: Path) -> None:
    source = ct_source(BurnedInAnnotation="YES")
    (first, *_) = written(source, Findings((lungs(),)), tmp_path / "job")
    assert first.BurnedInAnnotation == "YES"


def test_where_more_is_found_than_the_legend_holds_it_says_how_many_are_left_out() -> None:
    line = np.array([(2, 2), (6, 2), (6, 6), (2, 2)], np.float32)
    counted: list[int] = []

    def more(count: int) -> str:
        counted.append(count)
        return f"and {count} more"

    marked = [Marked([line], str(n), f"Structure {n}", ("Volume: 1 mL",), GREEN) for n in range(50)]
    scene = Scene(
        grey=np.zeros((20, 30), np.uint8),
        spacing_mm=(1.0, 1.0),
        sides=("R", "L", "A", "P"),
        has_scale=True,
        marks=marked[:6],
        title="T",
        place="P",
        warning="W",
        magnified=lambda factor: factor,
        more=more,
    )
    drawing.draw(scene)
    assert counted == []
    drawing.draw(dataclasses.replace(scene, marks=marked))
    assert len(counted) == 1
    assert 0 < counted[0] < 30
