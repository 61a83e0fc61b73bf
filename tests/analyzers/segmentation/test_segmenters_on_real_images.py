"""Segmenters on real studies: physiological ranges, and contours that people drew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import registry
from analyzers.contract import Findings, NotApplicable, Segmentation, Volume
from benchmarks.pet_tumour import cases
from node.series.read import read_series
from tests.analyzers.segmentation.bodies import dice

NODULE = "ct_lidc_idri_0314"


def read(folder: Path) -> Volume:
    return read_series(sorted(path for path in folder.rglob("*.dcm"))).volume


def analyze(name: str, of: Volume, **given: Any) -> tuple[Segmentation, Findings]:
    findings = registry.load(name)("cpu").analyze(of, registry.parameters(name, given))
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return found, findings


@pytest.fixture(scope="module")
def chest(test_data: Path) -> Volume:
    return read(test_data / "studies" / NODULE)


@pytest.fixture(scope="module")
def abdomen(test_data: Path) -> Volume:
    return read(test_data / "studies" / "ct_crlm_1004")


@pytest.fixture(scope="module")
def sarcomas(test_data: Path) -> list[tuple[str, Volume, NDArray[np.bool_]]]:
    return [one for one in cases(test_data / "studies") if one[0].startswith("petctmr_STS")]


def readers(folder: Path, of: Volume) -> NDArray[np.uint8]:
    """How many of four readers count each voxel to the nodule."""
    marks = json.loads((folder / "GT_lidc0314_readers.json").read_text())["annotations"]
    votes = np.zeros(of.shape, np.uint8)
    for mark in marks:
        own = np.zeros(of.shape, np.uint8)
        for contour in mark["contours"]:
            place = round((contour["z"] - of.affine[2, 3]) / of.affine[2, 0])
            cv2.fillPoly(own[place], [np.array(contour["xy"], np.int32)], 1)
        votes += own
    return votes


@pytest.mark.parametrize("name", ["chan_vese", "geodesic_contour", "watershed", "random_walker"])
def test_a_nodule_round_a_point_agrees_with_the_readers_as_they_with_each_other(
    name: str, chest: Volume, test_data: Path
) -> None:
    votes = readers(test_data / "studies" / NODULE, chest)
    consensus = votes >= 2
    centre = np.argwhere(consensus).mean(axis=0)
    place = tuple(float(one) for one in (chest.affine @ [*centre, 1])[:3])
    found, _ = analyze(name, chest, seed_mm=place, reach_mm=25.0)
    assert dice(found.labels, consensus) >= 0.77


@pytest.mark.slow
def test_the_airways_of_a_chest_have_a_plausible_size_and_do_not_leak(chest: Volume) -> None:
    found, findings = analyze("airway_segmentation", chest)
    lumen = found.labels > 0
    assert 10 < lumen.sum() * chest.voxel_ml < 60
    assert np.percentile(chest.values()[lumen], 95) < -500
    area = next(i for i in findings.items if not isinstance(i, Segmentation))
    assert 100 < area.value < 400  # type: ignore[union-attr]  # the only other item is a number


@pytest.mark.slow
def test_a_chest_with_a_sharp_kernel_gets_no_calcium_score(chest: Volume) -> None:
    with pytest.raises(NotApplicable, match="sharp kernel"):
        analyze("calcium_score", chest)
    unnamed = replace(chest, facts=None)
    with pytest.raises(NotApplicable, match="Soft tissue beside air"):
        analyze("calcium_score", unnamed)


def test_contrast_agent_in_an_abdomen_refuses_the_calcium_score(abdomen: Volume) -> None:
    with pytest.raises(NotApplicable, match="contrast agent"):
        analyze("calcium_score", abdomen)


def test_an_abdomen_has_no_airways(abdomen: Volume) -> None:
    with pytest.raises(NotApplicable, match="trachea"):
        analyze("airway_segmentation", abdomen)


@pytest.mark.slow
def test_muscle_and_fat_of_an_abdomen_lie_in_the_range_of_adults(abdomen: Volume) -> None:
    with pytest.raises(NotApplicable, match=r"L3 .* outside the images"):
        analyze("body_composition", abdomen)
    lowest = float(
        min(abdomen.affine[2, 3], (abdomen.affine @ [len(abdomen.stored) - 1, 0, 0, 1])[2])
    )
    found, findings = analyze("body_composition", abdomen, z_mm=lowest)
    muscle, subcutaneous, visceral = (one.measurements[0].value for one in found.segments)
    assert 80 < muscle < 220
    assert 30 < subcutaneous < 400
    assert 10 < visceral < 300
    assert 20 < found.segments[0].measurements[1].value < 75
    assert "as given" in findings.remarks[0]


@pytest.mark.parametrize("method", ["suv_2_5", "adaptive"])
def test_pet_foci_cover_the_drawn_sarcomas(
    method: str, sarcomas: list[tuple[str, Volume, NDArray[np.bool_]]]
) -> None:
    overlaps = []
    for _, of, contour in sarcomas:
        found, _ = analyze("pet_tumour", of, method=method)
        met = np.unique(found.labels[contour & (found.labels > 0)])
        overlaps.append(dice(np.isin(found.labels, met[met > 0]), contour))
    assert len(overlaps) == 4
    assert min(overlaps) > 0.55
    assert np.mean(overlaps) > 0.65
