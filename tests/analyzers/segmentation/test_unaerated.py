"""Tissue without air among the lungs: where its place tells it, and where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import registry
from analyzers.anatomy.unaerated import Dark, Fluid, Unaerated, fluid, space, unaerated
from analyzers.contract import Segmentation
from analyzers.segmentation.lungs import LungSegmentation
from analyzers.testing import examples
from node.results.words import phrases

SPACING = (3.0, 3.0, 3.0)
SHAPE = (60, 90, 120)
z, y, x = np.meshgrid(
    *((np.arange(n) - (n - 1) / 2) * 3.0 for n in SHAPE), indexing="ij", sparse=True
)
Chest = tuple[NDArray[np.int16], NDArray[np.uint8]]


def chest(mass: NDArray[np.bool_] | None = None) -> Chest:
    """Lungs in a ring of ribs, a trachea, a heart on the left and a liver under the right lung."""
    hu = np.where((x / 165) ** 2 + (y / 120) ** 2 <= 1, 40, -1000) * np.ones(SHAPE, int)
    ring = np.hypot(x / 140, y / 95) * np.ones(SHAPE)
    hu[(ring > 1) & (ring < 1.06)] = 500
    lungs = (ring < 0.97) & (np.abs(x) > 30) & (np.abs(z) < 80)
    heart = ((x - 35) / 55) ** 2 + ((y + 25) / 50) ** 2 + ((z + 55) / 50) ** 2 <= 1
    liver = ((x + 75) / 62) ** 2 + (y / 80) ** 2 + ((z + 85) / 35) ** 2 <= 1
    lungs &= ~heart & ~liver
    if mass is not None:
        lungs &= ~mass
    hu[lungs] = -850
    hu[(np.hypot(x, y) < 8) & (z > 0)] = -990
    return hu.astype(np.int16), np.where(lungs, np.where(x > 0, 2, 1), 0).astype(np.uint8)


def tissue(hu: NDArray[np.int16], lungs: NDArray[np.uint8]) -> Unaerated | None:
    of = space(hu, lungs, SPACING)
    assert of is not None
    return unaerated(of, hu, lungs)


def dark(hu: NDArray[np.int16], lungs: NDArray[np.uint8]) -> Dark:
    of = space(hu, lungs, SPACING)
    assert of is not None
    return fluid(of, hu, lungs)


def water(hu: NDArray[np.int16], lungs: NDArray[np.uint8]) -> Fluid | None:
    return dark(hu, lungs).fluid


def fatty(drawn: Chest, hu_of_liver: float) -> Chest:
    """The same chest with its liver, and nothing else, as dark as that."""
    hu, lungs = drawn
    liver = ((x + 75) / 62) ** 2 + (y / 80) ** 2 + ((z + 85) / 35) ** 2 <= 1
    altered = np.where(liver & (lungs == 0) & (hu > 25), hu + hu_of_liver - 40, hu)
    return altered.astype(np.int16), lungs


def effusion(hu_of_fluid: float) -> tuple[Chest, NDArray[np.bool_]]:
    """At the back and the base of the right lung, 35 mm deep, with noise everywhere."""
    _, before = chest()
    there = (before == 1) & (y - 0.5 * z > 60)
    hu, lungs = chest(there)
    noise = np.random.default_rng(3).normal(0, 15, hu.shape)
    return ((np.where(there, hu_of_fluid, hu) + noise).astype(np.int16), lungs), there


def ball(place: tuple[float, float, float], radius: float) -> NDArray[np.bool_]:
    at_z, at_y, at_x = place
    found: NDArray[np.bool_] = (
        np.sqrt((z - at_z) ** 2 + (y - at_y) ** 2 + (x - at_x) ** 2) <= radius
    )
    return found


@pytest.mark.parametrize("place", [(30.0, 0.0, -90.0), (40.0, -40.0, -90.0), (30.0, 30.0, 90.0)])
def test_a_mass_above_aerated_lung_is_found_with_its_size(
    place: tuple[float, float, float],
) -> None:
    mass = ball(place, 22.0)
    hu, lungs = chest(mass)
    found = tissue(hu, lungs)
    assert found is not None
    overlap = 2 * (found.mask & mass).sum() / (found.mask.sum() + mass.sum())
    assert overlap > 0.75
    assert found.enclosed > 0.5
    assert not (found.mask & (lungs > 0)).any()


def test_heart_and_liver_are_none() -> None:
    assert tissue(*chest()) is None
    assert water(*chest()) is None


def test_what_lies_on_the_diaphragm_is_not_told_from_the_liver() -> None:
    hu, lungs = chest(ball((-70.0, 50.0, -80.0), 20.0))
    assert tissue(hu, lungs) is None
    assert water(hu, lungs) is None


def test_without_lungs_nothing_is_told() -> None:
    hu, lungs = chest()
    assert space(hu, np.zeros_like(lungs), SPACING) is None


def test_slices_too_thick_are_not_looked_at() -> None:
    hu, lungs = chest()
    assert space(hu, lungs, (7.0, 3.0, 3.0)) is None


@pytest.mark.parametrize("hu_of_fluid", [2.0, 10.0, 22.0])
def test_an_effusion_on_the_diaphragm_is_found_with_its_size(hu_of_fluid: float) -> None:
    drawn, there = effusion(hu_of_fluid)
    assert there.sum() * 0.027 > 200
    found = water(*drawn)
    assert found is not None
    assert 2 * (found.mask & there).sum() / (found.mask.sum() + there.sum()) > 0.75
    assert found.on_wall > 0.25
    assert not (found.mask & (drawn[1] > 0)).any()


def test_what_is_as_dense_as_the_liver_is_no_fluid() -> None:
    drawn, _ = effusion(45.0)
    assert water(*drawn) is None


@pytest.mark.parametrize("hu_of_liver", [0.0, 10.0, 20.0])
def test_a_fatty_liver_is_no_fluid(hu_of_liver: float) -> None:
    found = dark(*fatty(chest(), hu_of_liver))
    assert found.fluid is None
    assert found.untold_ml > 50


def test_fluid_beside_a_liver_as_dark_is_not_told_from_it() -> None:
    drawn, there = effusion(10.0)
    found = dark(*fatty(drawn, 10.0))
    assert found.fluid is None
    assert found.untold_ml > 0.6 * there.sum() * 0.027


def test_fluid_on_the_left_is_told_whatever_the_liver_is() -> None:
    _, before = chest()
    there = (before == 2) & (y - 0.5 * z > 60)
    hu, lungs = chest(there)
    found = water(*fatty((np.where(there, 10, hu).astype(np.int16), lungs), 10.0))
    assert found is not None
    assert 2 * (found.mask & there).sum() / (found.mask.sum() + there.sum()) > 0.75


def reported(hu: NDArray[np.int16]) -> tuple[Segmentation, tuple[str, ...]]:
    affine = np.diag([3.0, 3.0, 3.0, 1.0])[[2, 1, 0, 3]]
    volume = examples.volume(hu, "CT", affine=affine)
    findings = LungSegmentation("cpu").analyze(volume, registry.parameters("lung_segmentation", {}))
    (found,) = (item for item in findings.items if isinstance(item, Segmentation))
    return found, findings.remarks


def test_the_report_marks_fluid_and_not_a_liver_as_dark() -> None:
    drawn, there = effusion(10.0)
    found, remarks = reported(drawn[0])
    (water,) = (one for one in found.segments if one.key == "fluid_like_tissue")
    marked = found.labels == water.number
    assert (marked & there).sum() > 0.6 * there.sum()
    assert not any("as dark as fluid" in one for one in remarks)

    found, remarks = reported(fatty(drawn, 10.0)[0])
    assert "fluid_like_tissue" not in [one.key for one in found.segments]
    (said,) = (one for one in remarks if "as dark as fluid" in one)
    assert phrases.shown(said, "de").startswith("Etwa ")
