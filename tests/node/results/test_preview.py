"""Pictures: sides, proportions, and no patient."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from analyzers.contract import DerivedImage, Detection, ParametricMap, Segment, Segmentation
from node.results.pictures import preview
from node.results.pictures.page import GAP, HEAD, HEIGHT, INK
from node.series.source import Source
from tests.node.results import sources
from tests.node.results.sources import ct_source

GREEN = (0, 255, 0)


def at_left_front_head(source: Source) -> tuple[Segmentation, tuple[int, int, int]]:
    """A block in the corner of the volume that is nearest to the patient's left, front and head."""
    assert source.volume is not None
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in sources.SHAPE], indexing="ij"))
    corners = corners.reshape(3, -1).T
    places = corners @ source.volume.affine[:3, :3].T
    best = corners[(places @ (1, -1, 1)).argmax()]
    block = tuple(slice(0, n // 3) if c == 0 else slice(n - n // 3, n) for c, n in
                  zip(best, sources.SHAPE, strict=True))  # fmt: skip
    labels = np.zeros(sources.SHAPE, np.uint8)
    labels[block] = 1
    segment = Segment("x", 1, "Corner", sources.ANATOMY, sources.LIVER, rgb=GREEN)
    return Segmentation(labels, (segment,)), (int(best[0]), int(best[1]), int(best[2]))


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def green(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    red, green_, blue = (picture[..., i].astype(int) for i in range(3))
    return (green_ > red + 40) & (green_ > blue + 40)


@pytest.mark.parametrize("orientation", list(sources.ORIENTATIONS))
def test_left_front_and_head_of_the_patient_are_right_up_and_up(
    orientation: str, tmp_path: Path
) -> None:
    source = ct_source(orientation)
    finding, _ = at_left_front_head(source)
    path = tmp_path / "preview.png"
    preview.segmentation(source, finding, finding.segments, "Test", path)
    shown = green(pixels(path)[HEAD : HEAD + HEIGHT])
    patient = preview.Patient.of(source.volume)  # type: ignore[arg-type]  # it has one
    z, y, x = (int(n) for n in np.array(sources.SHAPE)[list(patient.order)])
    axial = patient.size_mm("axial", (y, x))
    coronal = patient.size_mm("coronal", (z, x))
    scale = HEIGHT / max(axial[0], coronal[0])
    left = GAP
    for _height, width in (axial, coronal):
        rows, columns = np.nonzero(shown[:, left : left + round(width * scale)])
        assert len(rows), "the structure is not on this cut"
        assert columns.mean() > width * scale / 2
        assert rows.mean() < HEIGHT / 2
        left += round(width * scale) + GAP


def test_a_cut_has_the_proportions_of_the_patient(tmp_path: Path) -> None:
    source = ct_source()
    path = tmp_path / "preview.png"
    whole = dataclasses.replace(
        at_left_front_head(source)[0], labels=np.ones(sources.SHAPE, np.uint8)
    )
    preview.segmentation(source, whole, whole.segments, "Test", path)
    shown = green(pixels(path)[HEAD : HEAD + HEIGHT])
    columns = np.flatnonzero(shown.any(axis=0))
    gap = int(np.flatnonzero(np.diff(columns) > 1)[0])
    width = columns[gap] - columns[0] + 1
    slices, rows_, columns_ = sources.SHAPE
    axial = shown[:, columns[0] : columns[gap] + 1].any(axis=1).sum()
    coronal = shown[:, columns[gap + 1] :].any(axis=1).sum()
    assert width / axial == pytest.approx(columns_ * 1.1 / (rows_ * 0.8), rel=0.02)
    assert width / coronal == pytest.approx(columns_ * 1.1 / (slices * 2.5), rel=0.02)


@pytest.mark.parametrize("orientation", list(sources.ORIENTATIONS))
def test_a_box_is_drawn_where_the_segment_of_the_same_voxels_is(
    orientation: str, tmp_path: Path
) -> None:
    source = ct_source(orientation)
    finding, _ = at_left_front_head(source)
    indices = np.argwhere(finding.labels == 1)
    first, last = (tuple(int(v) for v in f(indices, axis=0)) for f in (np.min, np.max))
    box = Detection("b", sources.NODULE, sources.ABNORMAL, first, last)  # type: ignore[arg-type]
    preview.segmentation(source, finding, finding.segments, "Test", tmp_path / "seg.png")
    preview.detections(source, [box], "Test", tmp_path / "box.png")
    marked = green(pixels(tmp_path / "seg.png")[HEAD : HEAD + HEIGHT])
    drawn = pixels(tmp_path / "box.png")[HEAD : HEAD + HEIGHT]
    yellow = (drawn == preview.BOX_RGB).all(axis=2)
    for found in (np.nonzero(marked), np.nonzero(yellow)):
        assert len(found[0])
    for axis in (0, 1):
        wanted, got = np.flatnonzero(marked.any(axis)), np.flatnonzero(yellow.any(axis))
        assert abs(int(wanted.min()) - int(got.min())) <= 2
        assert abs(int(wanted.max()) - int(got.max())) <= 2


def test_a_picture_of_a_derived_image_shows_both(tmp_path: Path) -> None:
    source = ct_source()
    assert source.volume is not None
    item = DerivedImage(np.full(sources.SHAPE, -600.0), "Flat", sources.BLUR)
    preview.derived(source, item, "Test", tmp_path / "derived.png")
    page = pixels(tmp_path / "derived.png")[HEAD + 200 : HEAD + 240]
    middle = page.shape[1] // 2
    before, after = page[:, GAP + 40 : middle - 40], page[:, middle + 40 : -40 - GAP]
    assert before.std() > 10
    assert after.std() < 1


def test_what_was_made_from_a_companion_is_shown_in_its_own_window(tmp_path: Path) -> None:
    source = ct_source()
    ramp = np.broadcast_to(np.linspace(0, 1e-3, sources.SHAPE[2]), sources.SHAPE)
    item = DerivedImage(ramp, "PET", sources.BLUR, role="second")
    preview.derived(source, item, "Test", tmp_path / "derived.png")
    page = pixels(tmp_path / "derived.png")[HEAD + 200 : HEAD + 240]
    assert page[:, page.shape[1] // 2 + 40 : -40 - GAP].std() > 40


def test_a_picture_holds_nothing_but_pixels(tmp_path: Path) -> None:
    path = tmp_path / "preview.png"
    source = ct_source()
    finding, _ = at_left_front_head(source)
    preview.segmentation(source, finding, finding.segments, "Test", path)
    with Image.open(path) as picture:
        assert picture.info == {}


def test_the_window_follows_what_is_shown_and_then_the_header() -> None:
    source = ct_source(WindowCenter=[55, 300], WindowWidth=[350, 2000])
    assert source.volume is not None
    assert preview._window(source, source.volume, ["Lung"]) == preview.LUNG_WINDOW
    assert preview._window(source, source.volume, ["Liver"]) == (55, 350)
    bare = ct_source(WindowCenter=None, WindowWidth=None)
    assert preview._window(bare, source.volume, []) == preview.SOFT_TISSUE_WINDOW


@pytest.mark.parametrize("orientation", list(sources.ORIENTATIONS))
def test_the_place_of_a_cut_is_where_the_images_say(orientation: str) -> None:
    volume = ct_source(orientation).volume
    assert volume is not None
    patient = preview.Patient.of(volume)
    places = np.moveaxis(np.indices(volume.shape), 0, -1) @ volume.affine[:3, :3].T
    places += volume.affine[:3, 3]
    for index in (0, 2, 7):
        height = patient.view(places[..., 2])[index].mean()
        depth = patient.view(places[..., 1])[:, index].mean()
        assert patient.place(volume, "axial", index) == f"z = {height:.0f} mm"
        assert patient.place(volume, "coronal", index) == f"y = {depth:.0f} mm"


def test_a_map_is_in_colour_with_its_limits_below(tmp_path: Path) -> None:
    source = ct_source()
    values = np.zeros(sources.SHAPE, np.float32)
    values[4, 5:9, 3:7] = 2.5
    item = ParametricMap(values, "Evidence", sources.BLUR, sources.ML)
    preview.parametric(source, item, "Test", tmp_path / "map.png")
    page = pixels(tmp_path / "map.png")
    cuts, below = page[HEAD : HEAD + HEIGHT], page[HEAD + HEIGHT :]
    for part in (cuts, below):
        red, _, blue = (part[..., i].astype(int) for i in range(3))
        assert (red > blue + 60).any()
    assert (below.max(axis=2) > 200).any()  # the limits in words


def test_a_box_says_how_certain_it_is(tmp_path: Path) -> None:
    source = ct_source()
    for score in (None, 0.8):
        box = Detection("b", sources.NODULE, sources.ABNORMAL, (2, 6, 5), (4, 14, 12), score)
        preview.detections(source, [box], "Test", tmp_path / f"{score}.png")
    bare, said = (
        (pixels(tmp_path / f"{one}.png")[HEAD : HEAD + HEIGHT] == INK).all(axis=2).sum()
        for one in (None, 0.8)
    )
    assert said > bare
