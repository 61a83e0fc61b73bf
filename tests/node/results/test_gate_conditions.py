"""Each condition of the gate that no other test breaks, by a file that breaks it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from analyzers.contract import Findings
from node.results import prepared
from node.results.errors import GateRefused
from node.results.gate import gate
from node.results.objects import seg
from node.results.report import sr
from node.results.report.sr import Made
from node.results.write import write_results
from tests.node.results.sources import FIRST, PROVENANCE, ct_source, lungs
from tests.node.results.test_compressed import lossless

Change = Callable[[Any], Any]


def saved(dataset: Dataset, path: Path) -> Path:
    with path.open("wb") as file:
        prepared.write(file, dataset)
    return path


def changed(path: Path, change: Change) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    return saved(dataset, path)


# --- segmentations --------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return saved(seg.build(ct_source(), lungs(), PROVENANCE, FIRST), tmp_path / "seg.dcm")


def group(dataset: Any) -> Any:
    """Of a frame in the midst of others."""
    return dataset.PerFrameFunctionalGroupsSequence[4]


BROKEN: dict[str, tuple[Change, str]] = {
    "a frame of no segment that is described": (
        lambda d: setattr(group(d).SegmentIdentificationSequence[0], "ReferencedSegmentNumber", 7),
        "a frame belongs to segment 7, which is unknown",
    ),
    "a frame of no segment at all": (
        lambda d: delattr(group(d), "SegmentIdentificationSequence"),
        "a frame belongs to segment 0, which is unknown",
    ),
    "a frame without its image": (
        lambda d: delattr(group(d), "DerivationImageSequence"),
        "names no source image",
    ),
    "a segment that was not found": (
        lambda d: setattr(d.SegmentSequence[1], "TrackingID", "lungs:spleen"),
        "segment 2 is none of the finding",
    ),
    "a segment left out": (
        lambda d: d.SegmentSequence.pop(),
        "segment left_lung is missing",
    ),
    "a frame that lies nowhere": (
        lambda d: [
            setattr(one.PlanePositionSequence[0], "ImagePositionPatient", [9e5, 9e5, 9e5])
            for one in d.PerFrameFunctionalGroupsSequence
        ],
        "with Dice 0",
    ),
    "no frames": (
        lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"),
        "says to have 9 frames and describes 0",
    ),
}


@pytest.mark.parametrize(("change", "reason"), BROKEN.values(), ids=list(BROKEN))
def test_a_segmentation_with_a_fault_is_refused_by_its_name(
    change: Change, reason: str, written: Path
) -> None:
    with pytest.raises(GateRefused, match=reason):
        gate.check_segmentation(changed(written, change), lungs(), ct_source())


def test_a_segmentation_is_refused_where_there_is_nothing_to_compare_it_with(
    written: Path,
) -> None:
    source = dataclasses.replace(ct_source(), volume=None)
    with pytest.raises(GateRefused, match="no volume to compare with"):
        gate.check_segmentation(written, lungs(), source)


def test_a_structure_that_lacks_a_single_voxel_of_ninety_is_refused(written: Path) -> None:
    def flip(dataset: Any) -> None:
        bits = bytearray(dataset.PixelData)
        index = next(index for index, one in enumerate(bits) if one)
        bits[index] &= bits[index] - 1
        dataset.PixelData = bytes(bits)

    with pytest.raises(GateRefused, match=r"with Dice 0\.99"):
        gate.check_segmentation(changed(written, flip), lungs(), ct_source())


# --- reports --------------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path) -> tuple[Path, dict[str, Dataset | None]]:
    source, finding = ct_source(), lungs()
    encoded = seg.build(source, finding, PROVENANCE, FIRST)
    document = sr.build(source, Findings((finding,)), Made({0: encoded}), PROVENANCE)
    path = saved(document, tmp_path / "report.dcm")
    return path, {str(encoded.SOPInstanceUID): encoded}


def listed(dataset: Any) -> Any:
    """What is listed of the first series."""
    study = dataset.CurrentRequestedProcedureEvidenceSequence[0]
    return study.ReferencedSeriesSequence[0].ReferencedSOPSequence


def test_an_image_that_is_not_among_the_evidence_is_named(
    report: tuple[Path, dict[str, Dataset | None]],
) -> None:
    path, made = report
    gate.check_references(path, ct_source(), made)
    with pytest.raises(GateRefused) as refused:
        gate.check_references(changed(path, lambda d: listed(d).pop(3)), ct_source(), made)
    assert refused.value.conditions == (
        "sr: an item refers to an object that is not listed as evidence",
        "sr: 1 sources or results are not listed as evidence",
    )


# --- images ---------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> Path:
    source = ct_source()
    made = write_results(source, Findings((lossless(source),)), PROVENANCE, tmp_path / "job")
    return tmp_path / next(one.key for one in made.objects if one.kind == "image")


def stored() -> Any:
    volume = ct_source().volume
    assert volume is not None
    return volume.stored[0]


def test_a_code_stream_that_is_none_is_refused(image: Path) -> None:
    path = changed(image, lambda d: setattr(d, "PixelData", encapsulate([b"\0" * 64])))
    with pytest.raises(GateRefused, match="does not decode"):
        gate.check_compressed(path, stored(), lossless=True)


def test_a_code_stream_on_another_grid_is_refused(image: Path) -> None:
    with pytest.raises(GateRefused, match="another shape or type"):
        gate.check_compressed(image, stored()[:-1], lossless=True)
    with pytest.raises(GateRefused, match="another shape or type"):
        gate.check_compressed(image, stored().astype(np.int32), lossless=True)


def test_an_image_that_hides_its_losses_is_refused(image: Path) -> None:
    with pytest.raises(GateRefused, match="does not say that it is lossy"):
        gate.check_compressed(image, stored(), lossless=False)
