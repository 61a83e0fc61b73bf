"""Uptake of organs is named by place and shape; a lesion is never taken for an organ for sure."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from analyzers.contract import Findings, Measurement, Segment, Segmentation, Subject, Tracer
from analyzers.segmentation.pet_report import LIKELY
from analyzers.segmentation.pet_tumour import PetTumour, PetTumourParameters
from tests.analyzers.segmentation.whole_bodies import WholeBody, whole_body

SURE = {"uptake_brain", "uptake_heart", "uptake_kidney", "uptake_bladder"}


@cache
def drawn(seed: int, lesions: bool = True) -> WholeBody:
    return whole_body(seed, lesions, arms_up=seed % 2 == 0)


def analyze(of: WholeBody) -> Findings:
    return PetTumour("cpu").analyze(of.volume(), PetTumourParameters())


@cache
def of_drawn(seed: int) -> Findings:
    return analyze(drawn(seed))


def found(findings: Findings) -> Segmentation:
    (one,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return one


def likely(segment: Segment) -> bool:
    return any(one.answer == LIKELY for one in segment.classifications)


def organs(findings: Findings) -> set[str]:
    return {one.structure for one in found(findings).segments if likely(one)}


def numbers(findings: Findings) -> list[float]:
    return [one.value for one in findings.items if isinstance(one, Measurement)]


@pytest.mark.parametrize("seed", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_organs_of_a_whole_body_are_named_and_no_lesion_is_likely_to_be_one(seed: int) -> None:
    body = drawn(seed)
    findings = of_drawn(seed)
    whole = found(findings)
    assert organs(findings) >= SURE
    for name, lesion in body.lesions.items():
        over = np.bincount(whole.labels[lesion], minlength=2)
        best = int(over[1:].argmax()) + 1
        segment = next(one for one in whole.segments if one.number == best)
        assert not (over[best] > 0 and likely(segment)), name


def test_totals_hold_no_likely_organ_and_those_with_organs_stand_beside_them() -> None:
    findings = of_drawn(2)
    whole = found(findings)
    volumes = {one.key: one.measurements[0].value for one in whole.segments}
    sure = sum(volumes[one.key] for one in whole.segments if likely(one))
    volume, _, all_volume, _ = numbers(findings)
    assert volume == pytest.approx(sum(volumes.values()) - sure, rel=1e-3)
    assert all_volume == pytest.approx(sum(volumes.values()), rel=1e-3)
    assert "likely physiologic" in findings.remarks[0]


def test_a_body_without_disease_has_no_candidate_beside_what_is_possible() -> None:
    findings = analyze(drawn(4, False))
    rest = {one.structure for one in found(findings).segments if not one.classifications}
    assert rest <= {"focus"}
    assert numbers(findings)[0] < 0.15 * numbers(findings)[2]


@pytest.mark.parametrize(
    ("low_mm", "high_mm", "named"),
    [(380, 640, {"uptake_brain"}), (-400, 20, {"uptake_bladder"}), (-410, -280, set())],
    ids=["head", "pelvis", "thighs"],
)
def test_a_part_of_the_body_names_only_what_it_shows(
    low_mm: float, high_mm: float, named: set[str]
) -> None:
    findings = analyze(drawn(2).cut(low_mm, high_mm))
    assert organs(findings) == named
    told = any("could not be told" in one for one in findings.cautions)
    assert told == (not named)


def test_a_part_of_the_body_upside_down_names_nothing_for_sure_but_what_fills_the_head() -> None:
    body = drawn(2)
    turned = replace_suv(body, body.suv[::-1])
    assert not organs(analyze(turned))


def replace_suv(
    body: WholeBody, suv: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> WholeBody:
    return WholeBody(np.ascontiguousarray(suv), {}, {}, body.bottom_mm)


def test_children_and_other_tracers_have_no_organ_named() -> None:
    of = drawn(2).volume()
    child = replace(of, subject=Subject(age_years=6.0))
    other = replace(of, tracer=Tracer("PSMA ligand", "F-18"))
    for volume, word in ((child, "children"), (other, "not FDG")):
        findings = PetTumour("cpu").analyze(volume, PetTumourParameters())
        assert not organs(findings)
        assert any(word in one for one in findings.cautions)


def test_a_solid_mass_in_the_place_of_the_heart_is_only_possible() -> None:
    body = drawn(2)
    suv = body.suv.copy()
    heart = body.organs["heart"]
    z, y, x = (round(float(one)) for one in np.argwhere(heart).mean(axis=0))
    suv[z - 7 : z + 8, y - 7 : y + 8, x - 7 : x + 8] = 9.0
    assert "uptake_heart" not in organs(analyze(replace_suv(body, suv)))


def test_an_uneven_mass_in_the_place_of_the_bladder_is_only_possible() -> None:
    body = drawn(2)
    suv = body.suv.copy()
    bladder = body.organs["bladder"]
    rng = np.random.default_rng(0)
    suv[bladder] = 10.0 + 4.0 * np.sin(np.argwhere(bladder)[:, 2] / 2 + rng.uniform())
    assert "uptake_bladder" not in organs(analyze(replace_suv(body, suv)))
