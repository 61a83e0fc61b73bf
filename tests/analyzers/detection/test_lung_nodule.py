"""The nodule detector on drawn nodules whose size is known, and on a real one that four read."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers.contract import Findings, InvalidParameters, NotApplicable, Segmentation, Volume
from analyzers.detection import nodule_fitness, nodule_model
from analyzers.detection.lung_nodule import (
    MOST_CERTAIN_AT_HILUM,
    LungNodule,
    NoduleParameters,
    _Found,
    _possible,
)
from analyzers.testing import AnalyzerSuite, examples
from node.series.read import read_series

SHAPE, SPACING = (56, 72, 96), (2.0, 2.0, 2.0)


def chest(*balls: tuple[float, float, float, float], seed: int = 2) -> NDArray[np.int16]:
    """A torso with two lungs, straight vessels of 3–6 mm, and balls (z, y, x, diameter) in mm
    from its centre, all with soft edges."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)),
        indexing="ij",
    )
    hu = np.full(SHAPE, -1000.0)
    hu[(x / 92) ** 2 + (y / 68) ** 2 <= 1] = 40
    lung = np.zeros(SHAPE, bool)
    for centre, radius in ((42, 34), (-42, 36)):
        lung |= (z / 52) ** 2 + (y / 48) ** 2 + ((x - centre) / radius) ** 2 <= 1
    hu[lung] = -860
    for _ in range(12):
        start = np.array([rng.uniform(-35, 35), rng.uniform(-30, 30), rng.choice([-42, 42])])
        along = rng.normal(size=3)
        along /= np.linalg.norm(along)
        offset = np.stack([z - start[0], y - start[1], x - start[2]])
        axial = np.tensordot(along, offset, 1)
        away = np.sqrt(np.maximum((offset**2).sum(0) - axial**2, 0))
        hu[lung & (away < rng.uniform(1.5, 3.0))] = 30
    for bz, by, bx, diameter in balls:
        away = np.sqrt((z - bz) ** 2 + (y - by) ** 2 + (x - bx) ** 2)
        weight = np.clip((diameter / 2 - away) / 1.5 + 0.5, 0, 1)
        hu = np.where(lung, hu * (1 - weight) + 40 * weight, hu)
    return np.rint(hu + rng.normal(0, 20, SHAPE)).astype(np.int16)


def ct(values: NDArray[np.int16]) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING)[::-1]
    affine[:3, 3] = [-95.0, -71.0, -55.0]
    return examples.volume(values, "CT", affine=affine)


def find(volume: Volume, **parameters: float) -> Findings:
    return LungNodule("cpu").analyze(volume, NoduleParameters(**parameters))


def marks(findings: Findings) -> list[tuple[float, float, str]]:
    """Volume in mm³, probability and side of each nodule."""
    (found,) = findings.items
    assert isinstance(found, Segmentation)
    return [
        (
            one.measurements[0].value,
            one.classifications[0].probability or 0.0,
            one.laterality.meaning if one.laterality else "",
        )
        for one in found.segments
        if one.measurements
    ]


class TestContract(AnalyzerSuite):
    analyzers = ("lung_nodule",)
    least_agreement = 0.9

    def example(self, name: str) -> Volume:
        return ct(chest((0, -10, 44, 16)))


def test_drawn_nodules_are_found_with_their_volumes_and_sides() -> None:
    found = marks(find(ct(chest((10, 14, 46, 20), (-12, 10, -42, 12)))))
    sizes = [one for one in found if one[0] > 300]
    assert [side for _, _, side in sizes] == ["Left", "Right"]
    assert sizes[0][0] == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.15)
    assert sizes[1][0] == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.3)
    assert len(found) <= 3


def test_vessels_alone_are_no_nodules() -> None:
    findings = find(ct(chest()))
    assert len(marks(findings)) <= 1
    assert findings.items


def test_a_lung_without_any_says_what_was_looked_for() -> None:
    findings = find(ct(chest()), threshold=0.9999, least_diameter_mm=20.0)
    (found,) = findings.items
    assert isinstance(found, Segmentation)
    assert not found.labels.any()
    assert [segment.key for segment in found.segments] == ["nodule_1"]
    assert findings.remarks[0].startswith("No solid nodule of 20 mm or more was found")


def test_what_is_never_looked_for_is_said_and_no_doubt_of_this_answer() -> None:
    found = find(ct(chest()), threshold=0.9999, least_diameter_mm=20.0)
    assert any(one.startswith("Masses wider than 30 mm, ") for one in found.remarks)
    assert found.cautions == ()


@pytest.mark.parametrize(("place", "width"), [((0, 10, 70), 56), ((0, 0, 46), 50)])
def test_a_mass_too_wide_is_named_with_its_side(
    place: tuple[float, float, float], width: float
) -> None:
    found = find(ct(chest((*place, width))), threshold=0.9999).cautions
    assert any("dense tissue in the outline of the left lung" in one for one in found)


def test_nodules_of_the_size_looked_for_are_no_masses() -> None:
    assert len(find(ct(chest((10, 14, 46, 20))), threshold=0.9999).cautions) == 0


def test_a_mark_near_a_hilum_is_never_more_than_even() -> None:
    found = _Found((slice(None),) * 3, np.ones((1, 1, 1), bool), 0.99, left=True, hilar=True)
    answer = _possible(found, None)
    assert answer.probability == MOST_CERTAIN_AT_HILUM
    assert "of a hilum" in answer.reasons[1]


def test_lungs_that_the_images_cut_are_named_with_the_borders() -> None:
    lungs = np.zeros((40, 60, 100), np.uint8)
    lungs[5:35, 10:50, 5:45], lungs[5:35, 10:50, 55:95] = 1, 2
    spacing = (2.0, 2.0, 2.0)
    assert nodule_fitness.cut(lungs, spacing) == ()
    assert nodule_fitness.cut(lungs[10:], spacing) == ("below",)
    assert nodule_fitness.cut(lungs[:30, :, 60:], spacing) == ("above", "on the right")


@pytest.mark.parametrize(("scale", "is_odd"), [(0.5, True), (1.0, False), (2.0, True)])
def test_lungs_of_no_adult_s_width_are_doubted(scale: float, is_odd: bool) -> None:
    hu = np.full((40, 60, 100), 40, np.int16)
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[5:35, 10:50, 0 + 5 : 45], lungs[5:35, 10:50, 55:95] = 1, 2
    step = 2.8 * scale
    said = nodule_fitness.cautions(hu, lungs, (step, step, step))
    assert any("mm wide" in one for one in said) is is_odd
    assert not any(
        "mm wide" in one for one in nodule_fitness.cautions(hu, lungs[..., 50:], (1,) * 3)
    )


@pytest.mark.parametrize(("noise", "is_doubted"), [(20.0, False), (60.0, False), (110.0, True)])
def test_noise_beyond_what_was_tried_is_doubted(noise: float, is_doubted: bool) -> None:
    values = chest() + np.random.default_rng(4).normal(0, noise, SHAPE)
    found = LungNodule("cpu").analyze(ct(values.astype(np.int16)), NoduleParameters())
    assert any("have noise of" in one for one in found.cautions) is is_doubted


def test_no_lung_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="no aerated lung"):
        find(ct(np.full(SHAPE, 40, np.int16)))


def test_parameters_out_of_range_are_refused() -> None:
    for wrong in ({"threshold": 1.0}, {"least_diameter_mm": 1.0}):
        with pytest.raises(InvalidParameters):
            NoduleParameters(**wrong)


def test_the_model_survives_its_own_text(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = nodule_model.load()
    assert nodule_model.dump(model).count("[features.") == len(nodule_model.NAMES)
    assert 0 < model.operating_point.threshold < 1
    assert "simulated" in model.operating_point.evaluated_on


@pytest.fixture(scope="module")
def real(test_data: Path) -> tuple[Volume, Findings, list[NDArray[np.bool_]]]:
    folder = test_data / "studies/ct_lidc_idri_0314"
    volume = read_series(sorted(folder.glob("*.dcm"))).volume
    assert volume is not None
    readers = json.loads((folder / "GT_lidc0314_readers.json").read_text())["annotations"]
    return volume, find(volume), [contoured(volume, one["contours"]) for one in readers]


def contoured(volume: Volume, contours: list[dict[str, object]]) -> NDArray[np.bool_]:
    """A reader's mask; the outline is the first pixel outside the nodule."""
    heights = volume.affine[2, 3] + np.arange(len(volume.stored)) * volume.affine[2, 0]
    mask = np.zeros(volume.shape, np.uint8)
    for contour in contours:
        plane = np.zeros(volume.shape[1:], np.uint8)
        points = np.array(contour["xy"], np.int32).reshape(-1, 1, 2)
        cv2.fillPoly(plane, [points], 1)
        cv2.polylines(plane, [points], True, 0)
        mask[int(np.argmin(np.abs(heights - float(str(contour["z"])))))] |= plane
    return mask.astype(bool)


@pytest.mark.timeout(300)
def test_a_real_upper_lobe_without_air_is_named_with_its_side(
    real: tuple[Volume, Findings, list[NDArray[np.bool_]]],
) -> None:
    _, findings, _ = real
    assert any("dense tissue in the outline of the right lung" in one for one in findings.cautions)
    assert any(one.startswith("The images cut the lungs") for one in findings.cautions)


@pytest.mark.timeout(300)
def test_the_real_nodule_is_found_as_the_readers_drew_it(
    real: tuple[Volume, Findings, list[NDArray[np.bool_]]],
) -> None:
    volume, findings, readers = real
    found = marks(findings)
    (segmentation,) = findings.items
    assert isinstance(segmentation, Segmentation)
    agreed = sum(one.astype(int) for one in readers) >= 2
    own = int(np.bincount(segmentation.labels[agreed]).argmax())
    assert own > 0
    mask = segmentation.labels == own
    assert 2 * np.count_nonzero(mask & agreed) / (mask.sum() + agreed.sum()) > 0.9
    volumes = [float(one.sum()) * volume.voxel_ml * 1000 for one in readers]
    assert min(volumes) <= found[own - 1][0] <= max(volumes)
    assert found[own - 1][2] == "Right"
    assert len(found) <= 4
