"""Outlines on the original images: where they lie, and how DCMTK shows the images below."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from analyzers.contract import Detection, Findings, Segment, Segmentation
from node.results.forms import outlines
from node.results.forms.marks import Box, Caption
from node.results.modules import contours
from node.results.write import write_results
from node.series.read import read_series
from node.series.source import Source
from storage.kinds import ObjectKind
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, enhanced_source, lungs

BOX = Detection("n", sources.NODULE, sources.ABNORMAL, (2, 3, 4), (4, 8, 9), 0.87)


def state_of(source: Source, findings: Findings, folder: Path) -> Dataset:
    write_results(source, findings, PROVENANCE, folder, (ObjectKind.OUTLINES,))
    return pydicom.dcmread(folder / "outlines-0.dcm")


def annotations(state: Dataset, layer: str) -> dict[tuple[str, int | None], Dataset]:
    """By image and frame."""
    return {
        (
            str(item.ReferencedImageSequence[0].ReferencedSOPInstanceUID),
            item.ReferencedImageSequence[0].get("ReferencedFrameNumber"),
        ): item
        for item in state.GraphicAnnotationSequence
        if item.GraphicLayer == layer
    }


def filled(item: Dataset, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centres the lines of an annotation enclose, holes left out."""
    fine = np.zeros((8 * shape[0], 8 * shape[1]), np.uint8)
    lines = [np.array(one.GraphicData).reshape(-1, 2) for one in item.GraphicObjectSequence]
    cv2.fillPoly(fine, [np.rint(line * 8).astype(np.int32) for line in lines], 1)
    return fine[4::8, 4::8].astype(bool)


def test_lines_like_noise_are_no_state_and_hold_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "MOST_LINES", 1)
    results = write_results(
        ct_source(), Findings((lungs(),)), PROVENANCE, tmp_path / "job", (ObjectKind.OUTLINES,)
    )
    assert {one.kind.value for one in results.objects} == {"seg", "sr"}
    assert "more than 1 lines" in results.unmade[ObjectKind.OUTLINES]


@pytest.mark.parametrize("make", [ct_source, enhanced_source])
def test_every_slice_has_the_outline_of_each_structure_on_it(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = make()
    state = state_of(source, Findings((lungs(),)), tmp_path / "job")
    for layer, number in (("1 RIGHT LUNG", 2), ("2 LEFT LUNG", 5)):
        found = annotations(state, layer)
        for index, frame in enumerate(source.frames):
            place = (str(source.headers[frame.header].SOPInstanceUID), frame.number)
            wanted = sources.labels()[index] == number
            assert (place in found) == wanted.any()
            if place in found:
                assert np.array_equal(filled(found[place], wanted.shape), wanted)


def test_holes_and_islands_have_lines_of_their_own() -> None:
    mask = np.zeros((40, 50), bool)
    mask[5:30, 5:40] = True
    mask[10:15, 10:15] = mask[20, 20] = False
    mask[35, 45] = True
    lines = contours.around(mask)
    assert len(lines) == 4
    assert all(np.array_equal(line[0], line[-1]) for line in lines)
    item = Dataset()
    item.GraphicObjectSequence = [outlines._graphic(line) for line in lines]
    assert np.array_equal(filled(item, mask.shape), mask)


def test_a_line_never_has_more_points_than_its_attribute_holds() -> None:
    rows, columns = np.indices((900, 900))
    comb = (columns % 2 == 0) | (rows == 450)
    assert max(map(len, contours.around(comb))) <= contours.MOST_POINTS


def test_the_name_is_on_every_slice_and_the_numbers_where_the_finding_is_looked_at(
    tmp_path: Path,
) -> None:
    source = ct_source()
    state = state_of(source, Findings((lungs(), BOX)), tmp_path / "job")
    said = [
        item.TextObjectSequence[0].UnformattedTextValue
        for item in annotations(state, "1 RIGHT LUNG").values()
    ]
    assert [text.partition("\r\n")[0] for text in said] == ["Right lung"] * 3
    (numbers,) = [text for text in said if "\r\n" in text]
    assert "1230 mL" in numbers
    boxes = annotations(state, "3 NODULE")
    assert len(boxes) == 3
    assert list(boxes["2.25.77003", None].GraphicObjectSequence[0].GraphicData)[:4] == [4, 3, 10, 3]


def test_layers_are_named_and_coloured_and_the_warning_stands_on_all_images(
    tmp_path: Path,
) -> None:
    state = state_of(ct_source(), Findings((lungs(),)), tmp_path / "job")
    layers = {str(item.GraphicLayer): item for item in state.GraphicLayerSequence}
    assert list(layers) == ["1 RIGHT LUNG", "2 LEFT LUNG", "NOTE"]
    assert layers["2 LEFT LUNG"].GraphicLayerDescription == "Left lung"
    assert (
        len({tuple(one.GraphicLayerRecommendedDisplayCIELabValue) for one in layers.values()}) == 3
    )
    (note,) = [one for one in state.GraphicAnnotationSequence if one.GraphicLayer == "NOTE"]
    assert "ReferencedImageSequence" not in note
    assert "not for diagnosis" in note.TextObjectSequence[0].UnformattedTextValue
    assert "Laterality" not in state


@pytest.mark.parametrize("limit", ["MOST_SHOWN", "MOST_LINES"])
def test_what_would_be_too_many_lines_is_drawn_where_it_is_looked_at(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, limit, 8)
    state = state_of(ct_source(), Findings((lungs(),)), tmp_path / "job")
    assert len(annotations(state, "1 RIGHT LUNG")) == len(annotations(state, "2 LEFT LUNG")) == 1


def test_the_same_findings_give_the_same_state(tmp_path: Path) -> None:
    findings = Findings((lungs(), BOX))
    one, two = (state_of(ct_source(), findings, tmp_path / name) for name in ("a", "b"))
    assert one == two


def test_nothing_found_has_no_state(tmp_path: Path) -> None:
    kinds = (ObjectKind.OUTLINES,)
    made = write_results(ct_source(), Findings(()), PROVENANCE, tmp_path / "job", kinds)
    assert ObjectKind.OUTLINES not in {one.kind for one in made.objects}


# --- how the images below are shown ---------------------------------------------------------------


@pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="dcmp2pgm is not installed")
@pytest.mark.parametrize("steps", [1.0, 1.5], ids=["one rescale", "a rescale for every slice"])
def test_dcmtk_shows_the_image_in_the_window_of_what_was_found(
    steps: float, phantom_paths: list[Path], tmp_path: Path
) -> None:
    paths = []
    for number, path in enumerate(phantom_paths):
        image = pydicom.dcmread(path)
        image.RescaleSlope = 1 if number % 2 else steps
        paths.append(tmp_path / path.name)
        image.save_as(paths[-1])
    source = read_series(paths)
    assert source.volume is not None
    labels = np.zeros(source.volume.shape, np.uint8)
    labels[5:9, 20:30, 20:30] = 1
    segment = Segment("lung", 1, "Lunge", sources.ANATOMY, sources.LUNG)
    state_of(source, Findings((Segmentation(labels, (segment,)),)), tmp_path / "job")
    for path in paths[6:8]:
        subprocess.run(
            ["dcmp2pgm", "--pstate", tmp_path / "job/outlines-0.dcm", path, tmp_path / "shown.pgm"],
            check=True,
        )
        header = pydicom.dcmread(path)
        units = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
        grey = np.asarray(Image.open(tmp_path / "shown.pgm"), float)
        assert np.ptp(grey) > 50
        assert np.abs(grey - np.clip((units + 1350) / 1500, 0, 1) * 255).max() < 1.5


def test_a_radiograph_that_is_stored_the_other_way_round_is_shown_the_right_way() -> None:
    source = ct_source(PhotometricInterpretation="MONOCHROME1")
    assert source.volume is not None
    film = dataclasses.replace(
        source, volume=dataclasses.replace(source.volume, projection=True, modality="DX")
    )
    dataset = Dataset()
    outlines._shades(dataset, film, [_mark()])
    assert dataset.PresentationLUTShape == "IDENTITY"
    outlines._shades(dataset, source, [_mark()])
    assert dataset.PresentationLUTShape == "INVERSE"


def _mark() -> outlines.Mark:
    return Box(Caption("", "Nodule", "Nodule", (), (255, 0, 0)), BOX)
