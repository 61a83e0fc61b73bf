"""RT Structure Sets: every voxel of every structure, and no other, for readers that nobody here
wrote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from analyzers.contract import Findings, Segment, Segmentation
from node.results.bench import Bench
from node.results.errors import GateRefused
from node.results.files import ResultFiles
from node.results.forms import structure_set
from node.results.modules import contours, keyholes
from node.results.report import places
from node.results.write import write_results
from node.series.source import Source
from storage.kinds import ObjectKind
from tests.node.results import sources


def awkward() -> NDArray[np.uint8]:
    """A hole, an island in it, a bridge of one pixel, a corner where two meet, a single pixel."""
    made = np.zeros(sources.SHAPE, np.uint8)
    made[2, 2:14, 2:14] = 1
    made[2, 4:12, 4:12] = 0
    made[2, 7:9, 7:9] = 1
    made[3, 3:6, 3:6] = made[3, 4, 6:10] = made[3, 3:6, 10:13] = 1
    made[4, 3:5, 3:5] = made[4, 5:7, 5:7] = 1
    made[4, 20, 16] = 1
    made[5, 5:9, 0:18] = 1
    made[5, 6, 2:16:2] = 0
    made[6:8, 12:20, 9:16] = 2
    return made


def segmentation() -> Segmentation:
    segments = (
        Segment("right_lung", 1, "Right lung", sources.ANATOMY, sources.LUNG, sources.RIGHT),
        Segment("nodule", 2, "Nodule", sources.ABNORMAL, sources.NODULE, rgb=(1, 2, 3)),
        Segment("liver", 3, "Liver", sources.ANATOMY, sources.LIVER),
    )
    return Segmentation(awkward(), segments)


def written(folder: Path, source: Source) -> Path:
    results = write_results(
        source,
        Findings((segmentation(),)),
        sources.PROVENANCE,
        folder,
        [ObjectKind.STRUCTURE_SET],
    )
    (made,) = (one for one in results.objects if one.kind is ObjectKind.STRUCTURE_SET)
    return folder.parent / made.key


@pytest.mark.parametrize("orientation", sources.ORIENTATIONS)
def test_it_passes_the_gate_in_every_orientation(tmp_path: Path, orientation: str) -> None:
    dataset = pydicom.dcmread(written(tmp_path / "out", sources.ct_source(orientation)))
    names = [str(one.ROIName) for one in dataset.StructureSetROISequence]
    assert names == ["Right lung", "Nodule"]
    types = [str(one.RTROIInterpretedType) for one in dataset.RTROIObservationsSequence]
    assert types == ["ORGAN", ""]
    assert list(dataset.ROIContourSequence[1].ROIDisplayColor) == [1, 2, 3]
    assert dataset.ApprovalStatus == "UNAPPROVED"


def test_frames_of_an_enhanced_image_are_referred_to_by_number(tmp_path: Path) -> None:
    source = sources.enhanced_source()
    dataset = pydicom.dcmread(written(tmp_path / "out", source))
    (image,) = dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence
    assert image.ReferencedFrameNumber == source.frames[2].number


def test_images_without_a_place_have_none() -> None:
    source = sources.ct_source(ImagePositionPatient=None)
    bench = Bench.of(source, Findings((segmentation(),)), sources.PROVENANCE)
    assert not list(structure_set.build(bench))


def test_lines_that_enclose_another_voxel_are_refused(tmp_path: Path) -> None:
    source = sources.ct_source()
    bench = Bench.of(source, Findings((segmentation(),)), sources.PROVENANCE)
    (made,) = structure_set.build(bench)
    path = ResultFiles(tmp_path / "out").write(made, "one.dcm", ObjectKind.STRUCTURE_SET)
    structure_set.read_back(path, bench, 0)
    bench.findings.items[0].labels[4, 4, 4] = 0  # type: ignore[union-attr]
    with pytest.raises(GateRefused, match="enclose other voxels"):
        structure_set.read_back(path, bench, 0)
    bench.findings.items[0].labels[8, 4, 4] = 1  # type: ignore[union-attr]
    with pytest.raises(GateRefused, match="other slices"):
        structure_set.read_back(path, bench, 0)


@pytest.mark.parametrize("seed", range(20))
def test_lines_filled_again_are_the_mask(seed: int) -> None:
    chance = np.random.default_rng(seed)
    mask = chance.random((23, 31)) < chance.uniform(0.1, 0.9)
    assert np.array_equal(contours.filled(contours.around(mask), mask.shape), mask)


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65, 0.95])
def test_one_line_with_all_its_channels_encloses_what_many_lines_do(share: float) -> None:
    mask = np.random.default_rng(4).random((160, 190)) < share
    found = contours.parts(mask, most_points=None)
    lines = [keyholes.joined(one) for one in found]
    assert np.array_equal(contours.filled(lines, mask.shape), mask)
    points = sum(len(line) - 1 for one in found for line in (one.outer, *one.holes))
    holes = sum(len(one.holes) for one in found)
    assert sum(len(line) - 1 for line in lines) == points + 2 * holes


def test_outlines_like_noise_are_no_structure_set_and_hold_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure_set, "MOST_POINTS", 50)
    kinds = (ObjectKind.STRUCTURE_SET,)
    results = write_results(
        sources.ct_source(),
        Findings((segmentation(),)),
        sources.PROVENANCE,
        tmp_path / "job",
        kinds,
    )
    assert {one.kind.value for one in results.objects} == {"seg", "sr"}
    assert "more than 50 points" in results.unmade[ObjectKind.STRUCTURE_SET]


def test_plastimatch_reads_the_same_voxels(tmp_path: Path) -> None:
    if shutil.which("plastimatch") is None:
        pytest.skip("plastimatch (Debian's) is not installed")
    source = sources.ct_source()
    path = written(tmp_path / "out", source)
    volume = sources.ct_source().volume
    assert volume is not None
    slices, rows, columns = volume.shape
    origin = volume.affine @ (0, 0, 0, 1)
    down, along = 0.8, 1.1
    subprocess.run(
        [
            *("plastimatch", "convert", "--input", str(path)),
            *("--output-prefix", str(tmp_path / "read"), "--prefix-format", "nrrd"),
            *("--origin", " ".join(f"{one:g}" for one in origin[:3])),
            *("--dim", f"{columns} {rows} {slices}"),
            *("--spacing", f"{along} {down} {np.linalg.norm(volume.affine[:3, 0]):g}"),
        ],
        check=True,
        capture_output=True,
    )
    read = {one.stem: _nrrd(one) for one in (tmp_path / "read").glob("*.nrrd")}
    labels = awkward()
    for name, number in (("Right lung", 1), ("Nodule", 2)):
        found = read[name]
        common = np.count_nonzero(found & (labels == number))
        dice = 2 * common / (np.count_nonzero(found) + np.count_nonzero(labels == number))
        assert dice >= 0.99


def _nrrd(path: Path) -> NDArray[np.bool_]:
    import SimpleITK

    array: NDArray[np.bool_] = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) > 0
    return array


def rugged() -> NDArray[np.bool_]:
    """One part whose outer line has more points than an attribute of numbers holds."""
    return np.asarray(np.random.default_rng(2).random((512, 512)) < 0.45)


def test_lines_of_any_length_enclose_exactly_their_pixels() -> None:
    found = contours.parts(rugged(), most_points=None)
    assert max(len(one.outer) for one in found) > contours.MOST_POINTS
    lines = [line for one in found for line in (one.outer, *one.holes)]
    assert np.array_equal(contours.filled(lines, (512, 512)), rugged())


def test_an_outline_in_a_report_has_no_more_points_than_an_attribute_holds() -> None:
    (segment, *_) = segmentation().segments
    item = Segmentation(rugged()[None].astype(np.uint8), (segment,))
    assert len(places.outline(item, segment, 0).corners) <= contours.MOST_POINTS


def test_only_a_mask_with_a_very_long_line_is_drawn_coarser() -> None:
    assert contours.is_coarsened(rugged())
    assert not any(contours.is_coarsened(plane == 1) for plane in awkward())
