"""Muscle and fat on an abdomen of ellipses with known areas, and the choice of the level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.contract import (
    Findings,
    InvalidParameters,
    NotApplicable,
    Segmentation,
    Subject,
)
from analyzers.segmentation.body_composition import BodyComposition, BodyCompositionParameters
from tests.analyzers.segmentation import bodies

TISSUES = ("skeletal_muscle", "subcutaneous_fat", "visceral_fat")


def analyze(
    of: bodies.Body, parameters: BodyCompositionParameters | None = None
) -> tuple[Segmentation, Findings]:
    findings = BodyComposition("cpu").analyze(
        of.volume(), parameters or BodyCompositionParameters()
    )
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return found, findings


@pytest.fixture(scope="module")
def abdomen() -> bodies.Body:
    return bodies.abdomen()


def test_areas_and_places_are_those_of_the_ellipses(abdomen: bodies.Body) -> None:
    found, findings = analyze(abdomen)
    (plane,) = np.flatnonzero(found.labels.any(axis=(1, 2)))
    for segment, key in zip(found.segments, TISSUES, strict=True):
        truth = abdomen.truth[key][plane]
        assert segment.key == key
        assert bodies.dice(found.labels[plane] == segment.number, truth) > 0.96
        area_cm2 = truth.sum() * 3.2**2 / 100
        assert segment.measurements[0].value == pytest.approx(area_cm2, rel=0.06)
    assert "45 mm above the iliac crests" in findings.remarks[0]


def test_the_level_lies_45_mm_above_the_crests(abdomen: bodies.Body) -> None:
    found, _ = analyze(abdomen)
    (plane,) = np.flatnonzero(found.labels.any(axis=(1, 2)))
    height_mm = (plane - (56 - 1) / 2) * 6.0
    assert height_mm == pytest.approx(-60 + 45, abs=6.1)


def test_without_a_pelvis_the_lung_bases_give_the_level(abdomen: bodies.Body) -> None:
    cut = bodies.Body(np.ascontiguousarray(abdomen.values[20:]), abdomen.spacing_mm, {})
    found, findings = analyze(cut)
    (plane,) = np.flatnonzero(found.labels.any(axis=(1, 2)))
    height_mm = (plane + 20 - (56 - 1) / 2) * 6.0
    assert height_mm == pytest.approx(110 - 85, abs=9.1)
    assert "recess of the lungs" in findings.remarks[0]


@pytest.mark.parametrize(("middle_mm", "name"), [(60.0, "apart"), (95.0, "touching")])
def test_gas_in_bowel_before_the_middle_is_no_recess(
    abdomen: bodies.Body, middle_mm: float, name: str
) -> None:
    """A colon of gas under the front of the lungs, apart from them or touching the diaphragm."""
    values = abdomen.values.copy()
    z, y, x = bodies.millimetres(values.shape, abdomen.spacing_mm)
    values[(np.abs(z - middle_mm) < 25) & (np.hypot(y + 45, x / 2) < 22)] = -950
    cut = bodies.Body(np.ascontiguousarray(values[20:]), abdomen.spacing_mm, {})
    found, _ = analyze(cut)
    (plane,) = np.flatnonzero(found.labels.any(axis=(1, 2)))
    height_mm = (plane + 20 - (56 - 1) / 2) * 6.0
    assert height_mm == pytest.approx(110 - 85, abs=9.1), name


def test_a_given_level_is_taken_and_one_outside_is_refused(abdomen: bodies.Body) -> None:
    found, findings = analyze(abdomen, BodyCompositionParameters(z_mm=60.0, slab_mm=18.5))
    assert np.array_equal(np.flatnonzero(found.labels.any(axis=(1, 2))), [9, 10, 11])
    assert findings.remarks == ("Level: as given; z = 60 mm, mean of 3 planes.",)
    with pytest.raises(NotApplicable, match="outside the images"):
        analyze(abdomen, BodyCompositionParameters(z_mm=2000.0))


def test_a_level_just_outside_the_images_is_refused_by_name(abdomen: bodies.Body) -> None:
    cut = bodies.Body(np.ascontiguousarray(abdomen.values[34:]), abdomen.spacing_mm, {})
    with pytest.raises(NotApplicable, match=r"L3 \(85 mm below .*\) would lie \d+ mm outside"):
        analyze(cut)


@pytest.mark.parametrize("shown", ["pedicles", "arch alone", "disc"])
def test_vertebra_disc_and_canal_are_no_muscle(shown: str) -> None:
    from analyzers.anatomy.spinal_column import spinal_column

    y, x = np.mgrid[-40:40, -40:40].astype(float)  # mm
    body = np.hypot((y + 12) / 15, x / 20) <= 1
    canal = np.hypot((y - 12) / 8, x / 10) <= 1
    arch = (np.hypot((y - 12) / 13, x / 15) <= 1) & ~canal & (y > 12)
    ring = (np.hypot((y - 12) / 13, x / 15) <= 1) & ~canal
    planes = {"pedicles": body | ring, "arch alone": body | arch, "disc": arch}
    cortex = body & (np.hypot((y + 12) / 13, x / 18) > 1)
    bone = np.stack([(body | ring) & ~(body & ~cortex), (body | arch), planes[shown]])
    column = spinal_column(bone, 2, (10.0, 1.0, 1.0))
    assert column[canal].mean() > 0.95
    assert column[body].mean() > 0.95
    beside = ~(body | ring | canal)
    assert column[beside].mean() < 0.03


def test_no_landmark_is_said(abdomen: bodies.Body) -> None:
    cut = bodies.Body(np.ascontiguousarray(abdomen.values[22:40]), abdomen.spacing_mm, {})
    with pytest.raises(NotApplicable, match="neither iliac crests nor lung bases"):
        analyze(cut)


@pytest.mark.parametrize("wrong", [{"slab_mm": 40.0}, {"z_mm": float("nan")}, {"z_mm": "L3"}])
def test_parameters_out_of_range_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidParameters, match=next(iter(wrong))):
        BodyCompositionParameters(**wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("subject", "least"),
    [
        (Subject(age_years=50.0, sex="F"), 92.2),
        (Subject(age_years=50.0, sex="M"), 144.3),
        (Subject(age_years=50.0, sex="O"), None),
        (Subject(age_years=12.0, sex="M"), None),
        (Subject(sex="M"), None),
    ],
)
def test_muscle_is_compared_with_that_of_adults_of_the_same_sex(
    abdomen: bodies.Body, subject: Subject, least: float | None
) -> None:
    def references(parameters: BodyCompositionParameters) -> list[float | None]:
        volume = replace(abdomen.volume(), subject=subject)
        findings = BodyComposition("cpu").analyze(volume, parameters)
        (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
        limits = [segment.measurements[0].reference for segment in found.segments]
        return [None if one is None else one.low for one in limits]

    assert references(BodyCompositionParameters()) == [least, None, None]
    elsewhere = BodyCompositionParameters(z_mm=0.0)
    assert references(elsewhere) == [None, None, None], "the limit is of L3"
