"""PET foci: published thresholds on spheres with known SUV, and on real tumours with contours."""

from __future__ import annotations

import dataclasses
from itertools import permutations, product

import numpy as np
import pytest

from analyzers import codes
from analyzers.contract import (
    Findings,
    InvalidParameters,
    Measurement,
    NotApplicable,
    Segment,
    Segmentation,
    Tracer,
    Volume,
)
from analyzers.segmentation import pet_foci
from analyzers.segmentation.pet_reference import find_liver
from analyzers.segmentation.pet_sides import side_of
from analyzers.segmentation.pet_tumour import PetTumour, PetTumourParameters
from analyzers.testing.suite import restored, stored_otherwise
from tests.analyzers.segmentation import bodies
from tests.analyzers.segmentation.whole_bodies import whole_body


def analyze(of: Volume, parameters: PetTumourParameters | None = None) -> Findings:
    return PetTumour("cpu").analyze(of, parameters or PetTumourParameters(method="fixed_41"))


def whole(findings: Findings) -> Segmentation:
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return found


def numbers(of: Segment | Findings) -> list[float]:
    items = of.measurements if isinstance(of, Segment) else of.items
    return [one.value for one in items if isinstance(one, Measurement)]


def test_volume_glycolysis_and_suv_of_two_spheres_are_known() -> None:
    body = bodies.hot_spots((8.0, 12.0))
    findings = analyze(body.volume("PT", 0.001))
    hottest, other = whole(findings).segments
    ml = body.ml("spot_1")
    assert numbers(hottest) == pytest.approx([ml, 12.0, 12.0, 12.0, 12.0 * ml], rel=0.01)
    assert numbers(other)[:2] == pytest.approx([body.ml("spot_0"), 8.0], rel=0.01)
    assert numbers(findings) == pytest.approx([2 * ml, 20.0 * ml], rel=0.01)


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_storage_order_gives_the_same_voxels(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    of = bodies.hot_spots().volume("PT", 0.001)
    reference = whole(analyze(of)).labels
    found = whole(analyze(stored_otherwise(of, order, flips))).labels
    assert np.array_equal(restored(found, order, flips), reference)


def test_an_oblique_grid_keeps_the_volume() -> None:
    of = bodies.hot_spots().volume("PT", 0.001)
    turned = analyze(bodies.turned(of, 20.0))
    assert numbers(turned) == pytest.approx(numbers(analyze(of)), rel=1e-3)


@pytest.mark.parametrize(
    ("method", "kept"),
    [("fixed_41", (1.0, 0.0)), ("suv_2_5", (1.0, 1.0)), ("suv_4", (1.0, 0.0))],
)
def test_each_method_cuts_a_two_step_focus_at_its_own_level(
    method: str, kept: tuple[float, float]
) -> None:
    """A core of SUV 8 in a shell of SUV 3: 41 % of 8 is 3.28."""
    body = bodies.hot_spots((8.0,))
    z, y, x = bodies.millimetres((40, 60, 80), body.spacing_mm)
    away = np.sqrt(z**2 + y**2 + (x + 40) ** 2)
    values = body.values.copy()
    values[(away >= 15) & (away < 24)] = 3000
    of = bodies.as_volume(values, body.spacing_mm, "PT", 0.001)
    labels = whole(analyze(of, PetTumourParameters(method=method))).labels > 0
    assert labels[away < 15].mean() == kept[0]
    assert labels[(away >= 15) & (away < 24)].mean() == kept[1]


def test_the_adaptive_threshold_is_that_of_the_formula() -> None:
    """15 % of the core's mean (10) plus the background (1) is 2.5: a rim of 2.4 stays out."""
    body = bodies.hot_spots((10.0,), background=1.0)
    z, y, x = bodies.millimetres((40, 60, 80), body.spacing_mm)
    away = np.sqrt(z**2 + y**2 + (x + 40) ** 2)
    for rim, inside in ((2400, 0.0), (2600, 1.0)):
        values = body.values.copy()
        values[(away >= 15) & (away < 20)] = rim
        of = bodies.as_volume(values, body.spacing_mm, "PT", 0.001)
        labels = whole(analyze(of, PetTumourParameters(method="adaptive"))).labels > 0
        assert labels[(away >= 15) & (away < 20)].mean() == inside


def test_a_point_chooses_its_focus_and_no_focus_is_said_to_be_none() -> None:
    body = bodies.hot_spots()
    of = body.volume("PT", 0.001)
    index = np.argwhere(body.truth["spot_0"]).mean(axis=0)
    place = tuple(float(one) for one in (of.affine @ [*index, 1])[:3])
    found = whole(analyze(of, PetTumourParameters(seed_mm=place)))
    assert len(found.segments) == 1
    assert np.array_equal(found.labels > 0, body.truth["spot_0"])
    with pytest.raises(NotApplicable, match="no focus"):
        analyze(of, PetTumourParameters(seed_mm=(4.0, 4.0, 4.0)))
    with pytest.raises(NotApplicable, match="outside the images"):
        analyze(of, PetTumourParameters(seed_mm=(-400.0, 0.0, 0.0)))


def test_even_background_has_no_focus_and_an_empty_segment_says_so() -> None:
    findings = analyze(bodies.hot_spots(()).volume("PT", 0.001))
    assert not whole(findings).labels.any()
    assert findings.remarks[0] == "No focus of raised uptake was found."


def test_without_suv_there_is_no_result() -> None:
    with pytest.raises(NotApplicable, match="SUV"):
        analyze(bodies.hot_spots().volume("PT"))


@pytest.mark.parametrize("method", ["percist", "suv_2_5", "suv_4"])
@pytest.mark.parametrize("tracer", [Tracer("PSMA ligand", "Ga-68"), Tracer("", "Zr-89")])
def test_levels_of_fdg_are_refused_for_another_tracer(method: str, tracer: Tracer) -> None:
    of = dataclasses.replace(trunk().volume("PT", 0.001), tracer=tracer)
    with pytest.raises(NotApplicable, match=rf"FDG.*({tracer.name or tracer.nuclide})"):
        analyze(of, PetTumourParameters(method=method))


def test_another_tracer_is_named_before_the_answer_and_one_not_given_is_said_to_be_so() -> None:
    of = bodies.hot_spots().volume("PT", 0.001)
    other = analyze(dataclasses.replace(of, tracer=Tracer("PSMA ligand", "Ga-68")))
    assert "not FDG (PSMA ligand, Ga-68)" in other.cautions[0]
    assert not any("tracer" in one for one in analyze(of).cautions)
    untold = dataclasses.replace(of, tracer=Tracer())
    assert "does not say which tracer" in analyze(untold).cautions[0]
    with pytest.raises(NotApplicable, match="does not say which tracer"):
        analyze(untold, PetTumourParameters(method="percist"))


def test_values_that_are_not_finite_are_no_uptake() -> None:
    body = bodies.hot_spots()
    values = body.values.astype(np.float32)
    values[0, :5] = np.nan
    values[1, :5] = np.inf
    of = bodies.as_volume(values, body.spacing_mm, "PT", 0.001)
    assert np.array_equal(
        whole(analyze(of)).labels, whole(analyze(body.volume("PT", 0.001))).labels
    )


def test_the_peak_sphere_holds_one_millilitre_on_any_grid() -> None:
    for spacing in ((3.27, 5.47, 5.47), (1.0, 1.0, 1.0), (2.0, 2.0, 10.0)):
        weights = pet_foci.sphere_weights(pet_foci.PEAK_RADIUS_MM, spacing)
        assert weights.sum() == pytest.approx(1.0, abs=1e-5)
        held_ml = np.prod(spacing) / 1000.0 / weights.max()
        assert held_ml == pytest.approx(max(1.0, np.prod(spacing) / 1000.0), rel=0.12)


def trunk() -> bodies.Body:
    """A trunk with a liver of SUV 2.0 on the right, lungs, a spleen, and a lesion of SUV 3.6."""
    shape, spacing = (80, 60, 90), (5.0, 4.0, 4.0)
    z, y, x = bodies.millimetres(shape, spacing)
    suv = np.where((x / 165) ** 2 + (y / 110) ** 2 <= 1, 0.7, 0.0) * np.ones(shape)
    suv[(z > 20) & ((y / 80) ** 2 + ((np.abs(x) - 75) / 65) ** 2 <= 1)] = 0.4
    z = z + 50
    suv[(z / 75) ** 2 + (y / 75) ** 2 + ((x + 75) / 65) ** 2 <= 1] = 2.0
    suv[(z / 50) ** 2 + ((y - 40) / 30) ** 2 + ((x - 110) / 25) ** 2 <= 1] = 1.7
    lesion = np.sqrt((z - 100) ** 2 + y**2 + (x - 60) ** 2) < 16
    suv[lesion] = 3.6
    values = bodies.with_noise(suv * 1000, 80.0)
    return bodies.Body(np.maximum(values, 0), spacing, {"lesion": lesion})


def test_percist_finds_the_liver_and_measures_against_it() -> None:
    body = trunk()
    reference = find_liver(body.values.astype(np.float32) / 1000, body.spacing_mm)
    assert reference is not None
    assert reference.mean == pytest.approx(2.0, abs=0.03)
    assert reference.threshold == pytest.approx(1.5 * 2.0 + 2 * 0.08, abs=0.06)
    findings = analyze(body.volume("PT", 0.001), PetTumourParameters(method="percist"))
    assert bodies.dice(whole(findings).labels, body.truth["lesion"]) > 0.97


def test_percist_without_a_liver_is_not_applicable_unless_its_place_is_given() -> None:
    body = trunk()
    limb = dataclasses.replace(body, values=np.ascontiguousarray(body.values[:, :, 60:]))
    with pytest.raises(NotApplicable, match="liver"):
        analyze(limb.volume("PT", 0.001), PetTumourParameters(method="percist"))
    of = body.volume("PT", 0.001)
    place = tuple(float(one) for one in (of.affine @ [30, 29, 26, 1])[:3])
    given = PetTumourParameters(method="percist", reference_mm=place)
    assert bodies.dice(whole(analyze(of, given)).labels, body.truth["lesion"]) > 0.97


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "best"},
        {"seed_mm": (1.0, 2.0)},
        {"seed_mm": (1.0, 2.0, float("nan"))},
        {"start_suv": 0.0},
        {"least_ml": -1.0},
        {"max_foci": 0},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameters, match=next(iter(wrong))):
        PetTumourParameters(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_the_side_of_a_focus_is_said_where_the_body_is_seen_from_side_to_side() -> None:
    findings = analyze(trunk().volume("PT", 0.001), PetTumourParameters(method="percist"))
    (left,) = whole(findings).segments
    assert left.laterality == codes.LEFT


@pytest.mark.parametrize("first", [0, 40], ids=["whole", "cut off at the right"])
@pytest.mark.parametrize("x_mm", [-60, 0, 60])
def test_the_side_is_left_out_at_the_midline_and_of_a_body_that_is_cut_off(
    first: int, x_mm: float
) -> None:
    suv = trunk().values.astype(np.float32)[:, :, first:] / 1000
    column = round(44.5 + x_mm / 4) - first
    if not 1 <= column < suv.shape[2] - 1:
        return
    window = (slice(30, 33), slice(28, 31), slice(column - 1, column + 2))
    side = side_of(suv, window, np.ones((3, 3, 3), bool), 4.0)
    wanted = {-60: codes.RIGHT, 0: None, 60: codes.LEFT}[int(x_mm)]
    assert side == (None if first else wanted)


def test_one_limb_alone_has_no_side() -> None:
    suv = trunk().values.astype(np.float32) / 1000
    window = (slice(30, 33), slice(28, 31), slice(55, 58))
    assert side_of(suv, window, np.ones((3, 3, 3), bool), 2.5) is None


def test_tissue_of_liver_like_uptake_without_lung_above_it_or_contrast_is_no_liver() -> None:
    body = trunk()
    suv = body.values.astype(np.float32) / 1000
    assert find_liver(suv, body.spacing_mm) is not None
    assert find_liver(suv[:50], body.spacing_mm) is None
    muscle = np.where((suv > 0.25) & (suv < 1.5), 1.6, suv).astype(np.float32)
    assert find_liver(muscle, body.spacing_mm) is None


@pytest.mark.parametrize("seed", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_one_big_uptake_does_not_swallow_the_lesions_that_touch_it(seed: int) -> None:
    drawn = whole_body(seed)
    labels = whole(PetTumour("cpu").analyze(drawn.volume(), PetTumourParameters())).labels
    best = [
        max((bodies.dice(labels == n, one) for n in np.unique(labels[one]) if n), default=0.0)
        for one in drawn.lesions.values()
    ]
    assert sum(score >= 0.5 for score in best) >= 10, best
