"""Probabilities and label maps: what is written is what was found, and other readers agree."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import RLELossless

from analyzers.contract import Findings, Segment, Segmentation
from node.results import prepared
from node.results.bench import Bench
from node.results.errors import GateRefused
from node.results.forms import label_maps
from node.results.gate import gate, validator
from node.results.modules import planes
from node.results.objects import seg
from node.results.presence import present_segments
from node.results.series_numbers import SeriesPlace
from node.results.write import write_results
from node.series.source import Source
from storage.kinds import ObjectKind
from tests.node.results import sources
from tests.node.results.sources import PROVENANCE, ct_source, enhanced_source, lungs

BOTH = (ObjectKind.PROBABILITY, ObjectKind.LABEL_MAP)


def shares(seed: int = 3) -> NDArray[np.float32]:
    """How probable something is: nowhere on the first slice, everywhere on the second."""
    made = np.random.default_rng(seed).random(sources.SHAPE, np.float32)
    made[made < 0.5] = 0
    made[0], made[1] = 0.001, 1
    return made


def probable() -> Segmentation:
    """Both lungs, of which the analyzer is not sure; and the liver, which it did not find."""
    return dataclasses.replace(
        lungs(), probabilities={"left_lung": shares(), "liver": shares(4).astype(np.float64)}
    )


def many(count: int, shape: tuple[int, ...] = sources.SHAPE) -> Segmentation:
    labels = np.random.default_rng(count).integers(0, count + 1, shape).astype(np.uint16)
    labels[2] = 0
    segments = tuple(
        Segment(f"part_{n}", n, f"Part {n}", sources.ANATOMY, sources.LUNG)
        for n in range(1, count + 1)
    )
    return Segmentation(labels, segments, "Parts")


def written(source: Source, item: Segmentation, folder: Path) -> dict[ObjectKind, Path]:
    """The forms, through the gate without its validator."""
    results = write_results(source, Findings((item,)), PROVENANCE, folder / "job", BOTH)
    return {one.kind: folder / one.key for one in results.objects}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[ObjectKind, Path]:
    return written(ct_source(), probable(), tmp_path_factory.mktemp("forms"))


def changed(path: Path, change: Callable[[Any], Any], folder: Path) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(folder / "changed.dcm", enforce_file_format=True)
    return folder / "changed.dcm"


# --- probabilities --------------------------------------------------------------------------------


def test_probabilities_are_read_by_highdicom_to_half_a_step(
    objects: dict[ObjectKind, Path],
) -> None:
    read = hd.seg.segread(objects[ObjectKind.PROBABILITY])
    assert read.segmentation_type == hd.seg.SegmentationTypeValues.FRACTIONAL
    assert read.segmentation_fractional_type == hd.seg.SegmentationFractionalTypeValues.PROBABILITY
    uids = [str(header.SOPInstanceUID) for header in ct_source().headers]
    found = read.get_pixels_by_source_instance(uids, rescale_fractional=True)
    for column, share in enumerate((shares(4), shares())):
        assert np.abs(found[..., column] - share).max() <= 0.5 / 255 + 1e-6


def test_a_frame_without_any_probability_is_left_out(objects: dict[ObjectKind, Path]) -> None:
    dataset = pydicom.dcmread(objects[ObjectKind.PROBABILITY])
    assert [item.SegmentLabel for item in dataset.SegmentSequence] == ["Liver", "Left lung"]
    assert dataset.NumberOfFrames == 2 * (sources.SHAPE[0] - 1)


def test_findings_without_probabilities_have_no_such_object(tmp_path: Path) -> None:
    found = written(ct_source(), lungs(), tmp_path)
    assert ObjectKind.PROBABILITY not in found
    assert ObjectKind.LABEL_MAP in found


WRONG_SHARES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "pixel": ("has other probabilities on slice", lambda d: _pixel(d)),
    "segment": (
        "two frames of segment",
        lambda d: setattr(
            d.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence[0],
            "ReferencedSegmentNumber",
            2,
        ),
    ),
    "unknown segment": (
        "which is unknown",
        lambda d: setattr(
            d.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence[0],
            "ReferencedSegmentNumber",
            7,
        ),
    ),
    "moved": (
        "lies on no slice",
        lambda d: setattr(
            d.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0],
            "ImagePositionPatient",
            [0, 0, 0],
        ),
    ),
    "frames": ("describes", lambda d: setattr(d, "NumberOfFrames", 3)),
    "cut off": (
        "has other probabilities on slice",
        lambda d: setattr(d, "PixelData", d.PixelData[:-30]),
    ),
    "tracking": (
        "is none of the finding",
        lambda d: setattr(d.SegmentSequence[0], "TrackingID", "lung:heart"),
    ),
}


def _pixel(dataset: Any) -> None:
    pixels = bytearray(dataset.PixelData)
    pixels[700] ^= 64
    dataset.PixelData = bytes(pixels)


@pytest.mark.parametrize(("sentence", "change"), WRONG_SHARES.values(), ids=list(WRONG_SHARES))
def test_probabilities_that_are_not_the_findings_are_refused(
    sentence: str, change: Callable[[Any], Any], objects: dict[ObjectKind, Path], tmp_path: Path
) -> None:
    path = changed(objects[ObjectKind.PROBABILITY], change, tmp_path)
    with pytest.raises(GateRefused, match=sentence):
        gate.check_probabilities(path, probable(), ct_source())


def test_a_share_that_was_not_encoded_is_missed(
    objects: dict[ObjectKind, Path],
) -> None:
    more = shares()
    more[0] = 0.5
    item = dataclasses.replace(probable(), probabilities={"left_lung": more, "liver": shares(4)})
    with pytest.raises(GateRefused, match="segment left_lung has no frame on slice 0"):
        gate.check_probabilities(objects[ObjectKind.PROBABILITY], item, ct_source())


# --- label maps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.parametrize("make", [ct_source, enhanced_source], ids=["slices", "frames"])
def test_label_maps_are_read_by_highdicom_and_pydicom(
    make: Callable[[], Source], count: int, tmp_path: Path
) -> None:
    item, source, path = many(count), make(), tmp_path / "labelmap.dcm"
    (made,) = label_maps.build(Bench.of(source, Findings((item,)), PROVENANCE))
    with path.open("wb") as file:
        prepared.write(file, made)
    gate.check_label_map(path, item, source)
    gate.check_required(path, source, validate=False)
    dataset = pydicom.dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == RLELossless
    assert dataset.BitsAllocated == (8 if count < 256 else 16)
    filled = [index for index, plane in enumerate(item.labels) if plane.any()]
    assert np.array_equal(dataset.pixel_array, item.labels[filled[::-1]])  # from the head down
    read = hd.seg.segread(path)
    assert len(dataset.SegmentSequence) == count + 1  # and the background
    assert np.array_equal(read.get_volume(combine_segments=True).array.max(), count)


def test_a_label_map_is_that_of_highdicom_but_for_its_run_lengths(tmp_path: Path) -> None:
    source, item = ct_source(), lungs()
    assert source.volume is not None
    bench = Bench.of(source, Findings((item,)), PROVENANCE)
    (ours,) = label_maps.build(bench)
    present = present_segments(item)
    pixels = label_maps.numbered(present)[item.labels]
    drawn = seg.Drawn(planes.stand_ins(source, source.volume), pixels)
    place = SeriesPlace(0, int(ours.SeriesNumber))
    theirs = seg.by_highdicom(
        label_maps.ENCODING, source, drawn, item.title, present, bench.provenance, place
    )
    planes.refer_to_source(theirs, source)
    read, other = reread(ours), reread(theirs)
    assert np.array_equal(read.pixel_array, other.pixel_array)
    del read.PixelData, other.PixelData
    assert read == other


def reread(dataset: Any) -> Any:
    file = io.BytesIO()
    prepared.write(file, dataset)
    file.seek(0)
    return pydicom.dcmread(file)


def test_structures_over_others_have_no_label_map(tmp_path: Path) -> None:
    masks = [lungs().labels == 2, lungs().labels > 0]
    item = Segmentation.of_masks(masks, lungs().segments[::2], "Over")
    found = written(ct_source(), item, tmp_path)
    assert ObjectKind.LABEL_MAP not in found
    dataset = pydicom.dcmread(found[ObjectKind.SEGMENTATION])
    assert dataset.SegmentsOverlap == "YES"
    read = hd.seg.segread(found[ObjectKind.SEGMENTATION])
    uids = [str(header.SOPInstanceUID) for header in ct_source().headers]
    back = read.get_pixels_by_source_instance(uids, ignore_spatial_locations=True)
    for column, mask in enumerate(masks):
        assert np.array_equal(back[..., column] > 0, mask)


@pytest.mark.parametrize("shape", [(3, 1), (3, 5), (9, 300), (2, 129), (1, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_run_lengths_are_decoded_by_pydicom(shape: tuple[int, int], kind: Any) -> None:
    plane = np.random.default_rng(1).integers(0, 3, shape).astype(kind) * kind(77)
    encoded = label_maps.run_lengths(plane)
    assert len(encoded) % 2 == 0
    decoded = np.frombuffer(
        pydicom.pixels.decoders.rle._rle_decode_frame(encoded, *shape, 1, 8 * plane.itemsize),
        plane.dtype,
    )
    assert np.array_equal(decoded[: plane.size].reshape(shape), plane)


def _numbers(dataset: Any) -> None:
    dataset.decompress()
    pixels = np.array(dataset.pixel_array)
    pixels[2, 5, 5] += 1
    dataset.PixelData = pixels.tobytes()


WRONG_LABELS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "pixel": ("holds other numbers than the finding", _numbers),
    "moved": (
        "lies on no slice",
        lambda d: setattr(
            d.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0],
            "ImagePositionPatient",
            [0, 0, 0],
        ),
    ),
    "image": (
        "names another image",
        lambda d: setattr(
            d.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence[0].SourceImageSequence[0],
            "ReferencedSOPInstanceUID",
            "2.25.5",
        ),
    ),
    "code": (
        "has another code",
        lambda d: setattr(
            d.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0], "CodeValue", "1"
        ),
    ),
    "frame of reference": (
        "frame of reference",
        lambda d: setattr(d, "FrameOfReferenceUID", "2.25.4"),
    ),
}


@pytest.mark.parametrize(("sentence", "change"), WRONG_LABELS.values(), ids=list(WRONG_LABELS))
def test_label_maps_that_are_not_the_findings_are_refused(
    sentence: str, change: Callable[[Any], Any], objects: dict[ObjectKind, Path], tmp_path: Path
) -> None:
    path = changed(objects[ObjectKind.LABEL_MAP], change, tmp_path)
    with pytest.raises(GateRefused, match=sentence):
        gate.check_label_map(path, probable(), ct_source())


def test_a_slice_that_was_not_encoded_is_missed(objects: dict[ObjectKind, Path]) -> None:
    labels = lungs().labels
    labels[8, 3, 3] = 2
    item = dataclasses.replace(lungs(), labels=labels)
    with pytest.raises(GateRefused, match="slice 8 has no frame"):
        gate.check_label_map(objects[ObjectKind.LABEL_MAP], item, ct_source())


# --- other people's tools -------------------------------------------------------------------------


def tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = shutil.which(name) or (str(beside) if beside.is_file() else None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.interop
@pytest.mark.parametrize("kind", [ObjectKind.SEGMENTATION, *BOTH])
def test_dciodvfy_finds_no_error_in_any_form(
    kind: ObjectKind, objects: dict[ObjectKind, Path]
) -> None:
    if validator.program() is None:
        pytest.skip("dciodvfy is not installed")
    assert validator.errors(objects[kind], ct_source()) == []


@pytest.mark.interop
@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (ObjectKind.SEGMENTATION, [(lungs().labels == 2), (lungs().labels == 5)]),
        (ObjectKind.LABEL_MAP, [(lungs().labels == 2) + 2 * (lungs().labels == 5)]),
        (ObjectKind.PROBABILITY, [shares(4), shares()]),
    ],
)
def test_dcmqi_reads_every_form_where_it_lies(
    kind: ObjectKind,
    wanted: list[NDArray[Any]],
    objects: dict[ObjectKind, Path],
    tmp_path: Path,
) -> None:
    nibabel: Any = pytest.importorskip("nibabel")
    command = [tool("segimage2itkimage"), "-t", "nii", "-p", "s", "--outputDirectory"]
    subprocess.run(
        [*command, str(tmp_path), "--inputDICOM", str(objects[kind])],
        check=True,
        capture_output=True,
    )
    volume = ct_source().volume
    assert volume is not None
    for number, one in enumerate(wanted, start=1):
        image = nibabel.load(tmp_path / f"s-{number}.nii.gz")
        matrix = np.linalg.inv(volume.affine) @ np.diag([-1, -1, 1, 1]) @ image.affine
        read = np.asarray(image.dataobj, np.float64)
        if kind is ObjectKind.SEGMENTATION:
            read = np.sign(read)  # the number of the segment
        places = np.argwhere(read != 0)
        indices = np.rint(places @ matrix[:3, :3].T + matrix[:3, 3]).astype(int)
        found = np.zeros(sources.SHAPE)
        found[tuple(indices.T)] = read[tuple(places.T)]
        scale = 255 if found.max() > 2 else 1
        assert np.abs(found / scale - one).max() <= (0.5 / 255 if kind is BOTH[0] else 0) + 1e-3


@pytest.mark.interop
def test_a_validator_that_knows_no_label_maps_judges_none(
    objects: dict[ObjectKind, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "dciodvfy"
    older.write_text(
        "#!/bin/sh\n"
        "echo 'Error - </SegmentSequence(0062,0002)[1]/SegmentNumber(0062,0004)> - odd' >&2\n"
        "echo 'Error - Information Object Not found' >&2\n"
    )
    older.chmod(0o755)
    monkeypatch.setattr(validator, "program", lambda: str(older))
    assert validator.errors(objects[ObjectKind.LABEL_MAP]) == []
