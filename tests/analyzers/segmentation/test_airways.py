"""Airways on a tree of tubes with known lumen, and what must not be taken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analyzers.anatomy.airway_tree import STEP_ML
from analyzers.contract import (
    Findings,
    Measurement,
    NoParameters,
    NotApplicable,
    Segmentation,
    Subject,
)
from analyzers.segmentation.airways import AirwaySegmentation
from analyzers.segmentation.lungs import LungSegmentation
from tests.analyzers.segmentation import bodies


def analyze(of: bodies.Body) -> tuple[Segmentation, Findings]:
    findings = AirwaySegmentation("cpu").analyze(of.volume(), NoParameters())
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return found, findings


@pytest.mark.parametrize(("noise_hu", "least"), [(0.0, 0.99), (20.0, 0.99), (60.0, 0.95)])
def test_trachea_bronchi_and_branches_are_found_and_nothing_leaks(
    noise_hu: float, least: float
) -> None:
    body = bodies.tree(noise_hu)
    found, _ = analyze(body)
    assert bodies.dice(found.labels, body.truth["airways"]) >= least


def test_the_cross_section_of_the_trachea_is_that_of_the_tube() -> None:
    _, findings = analyze(bodies.tree())
    (area,) = [item for item in findings.items if isinstance(item, Measurement)]
    assert area.value == pytest.approx(np.pi * 8.0**2, rel=0.03)


@pytest.mark.parametrize(
    ("subject", "usual"),
    [
        (Subject(age_years=50.0, sex="M"), (180.0, 396.0)),
        (Subject(age_years=50.0, sex="F"), (142.0, 266.0)),
        (Subject(age_years=12.0, sex="F"), None),
        (Subject(sex="F"), None),
    ],
)
def test_the_trachea_is_compared_with_that_of_adults_of_the_same_sex(
    subject: Subject, usual: tuple[float, float] | None
) -> None:
    given = replace(bodies.tree(0.0).volume(), subject=subject)
    findings = AirwaySegmentation("cpu").analyze(given, NoParameters())
    (area,) = [item for item in findings.items if isinstance(item, Measurement)]
    assert (area.reference and (area.reference.low, area.reference.high)) == usual


def test_a_hole_in_a_bronchial_wall_does_not_flood_the_lung() -> None:
    body = bodies.tree()
    z, y, x = bodies.millimetres((64, 72, 112), body.spacing_mm)
    hole = (np.sqrt((z + 35) ** 2 + y**2 + (np.abs(x) - 57) ** 2) < 9) & ~body.truth["airways"]
    values = body.values.copy()
    values[hole] = -900
    found, _ = analyze(bodies.Body(values, body.spacing_mm, body.truth))
    leaked = (found.labels > 0) & ~body.truth["airways"] & ~hole
    assert leaked.sum() * 2.5**3 / 1000 < STEP_ML
    assert found.labels[body.truth["airways"]].mean() > 0.99


def test_lungs_without_airways_and_gas_without_lungs_are_not_applicable() -> None:
    body = bodies.tree()
    values = body.values.copy()
    values[body.truth["airways"]] = 20
    with pytest.raises(NotApplicable, match="trachea"):
        analyze(bodies.Body(values, body.spacing_mm, {}))
    solid = body.values.copy()
    solid[(solid < -500) & (solid > -930)] = 40
    with pytest.raises(NotApplicable, match="trachea"):
        analyze(bodies.Body(solid, body.spacing_mm, {}))


def test_the_airways_and_the_lungs_of_a_chest_do_not_overlap_by_much() -> None:
    body = bodies.tree()
    found, _ = analyze(body)
    lungs = LungSegmentation("cpu").analyze(body.volume(), NoParameters())
    (both,) = [item for item in lungs.items if isinstance(item, Segmentation)]
    z = bodies.millimetres((64, 72, 112), body.spacing_mm)[0] * np.ones(body.values.shape)
    central = (found.labels > 0) & (z > 0)
    assert (both.labels[central] > 0).mean() < 0.05
