"""The calcium score on plaques with known area and attenuation, and what must not be scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from analyzers.contract import Detection, Findings, NotApplicable, Plane, Segmentation, SeriesFacts
from analyzers.segmentation.agatston import agatston, weight_of
from analyzers.segmentation.calcium import CalciumParameters, CalciumScoring
from analyzers.segmentation.kernels import is_sharp
from tests.analyzers.segmentation import bodies


def analyze(of: bodies.Body) -> tuple[Segmentation, Findings]:
    findings = CalciumScoring("cpu").analyze(of.volume(), CalciumParameters())
    (found,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return found, findings


def test_the_score_is_area_times_weight_summed_over_slices_of_three_millimetres() -> None:
    body = bodies.heart(((6.0, 250), (4.0, 450)))
    found, _ = analyze(body)
    plane = body.truth["calcium"].any(axis=0)
    large, small = (plane[:, half].sum() for half in (slice(60, None), slice(None, 60)))
    wide, narrow = max(large, small), min(large, small)
    expected = 3 * 2.25**2 * (wide * 2 + narrow * 4)
    score, volume = (one.value for one in found.segments[0].measurements)
    assert score == pytest.approx(expected, rel=0.01)
    assert volume == pytest.approx(body.ml("calcium"), rel=0.01)
    assert np.array_equal(found.labels > 0, body.truth["calcium"])


def test_thin_slices_are_averaged_to_three_millimetres_and_score_the_same() -> None:
    hu = np.full((9, 40, 40), 40, np.int16)
    hu[3:6, 10:20, 10:20] = 350
    region = np.ones(hu.shape, bool)
    thin = agatston(hu, region, (1.0, 1.0, 1.0))
    thick = agatston(hu[1::3].copy(), region[1::3], (3.0, 1.0, 1.0))
    assert thin.score == pytest.approx(thick.score) == pytest.approx(100 * 3)
    assert np.array_equal(thin.sites > 0, hu == 350)


@pytest.mark.parametrize(
    ("peak_hu", "weight"), [(129, 0), (130, 1), (200, 2), (299, 2), (300, 3), (400, 4), (1200, 4)]
)
def test_weights_are_those_of_agatston(peak_hu: float, weight: int) -> None:
    assert weight_of(peak_hu) == weight


def test_specks_below_one_square_millimetre_do_not_count() -> None:
    hu = np.full((1, 40, 40), 40, np.int16)
    hu[0, 10, 10] = 500
    region = np.ones(hu.shape, bool)
    assert agatston(hu, region, (3.0, 0.9, 0.9)).score == 0
    assert agatston(hu, region, (3.0, 1.1, 1.1)).score > 0


def test_loud_images_are_smoothed_so_that_noise_is_not_scored() -> None:
    rng = np.random.default_rng(3)
    hu = np.rint(40 + rng.normal(0, 45, (10, 120, 120))).astype(np.int16)
    region = np.ones(hu.shape, bool)
    found = agatston(hu, region, (3.0, 0.7, 0.7))
    assert found.smoothing_mm > 0
    assert found.score < 5
    assert np.count_nonzero(hu >= 130) * 0.49 > 500


def test_bone_lungs_and_airways_score_nothing() -> None:
    found, _ = analyze(bodies.heart(()))
    assert found.segments[0].measurements[0].value == 0
    assert not found.labels.any()


def test_contrast_agent_and_images_without_lungs_are_not_applicable() -> None:
    body = bodies.heart(())
    filled = body.values.copy()
    z, y, x = bodies.millimetres((44, 80, 120), body.spacing_mm)
    filled[(np.hypot(y + 10, x) < 22) & (np.abs(z) < 60)] += 250
    with pytest.raises(NotApplicable, match="contrast agent"):
        analyze(bodies.Body(filled, body.spacing_mm, {}))
    solid = np.maximum(body.values, -100)
    with pytest.raises(NotApplicable, match="lungs"):
        analyze(bodies.Body(solid, body.spacing_mm, {}))


def test_each_site_is_marked_with_its_part_of_the_score() -> None:
    body = bodies.heart(((6.0, 250), (4.0, 450)))
    found, findings = analyze(body)
    marks = [item for item in findings.items if isinstance(item, Detection)]
    parts = [mark.measurements[0].value for mark in marks]
    assert [mark.key for mark in marks] == ["calcium_1", "calcium_2"]
    assert parts == sorted(parts, reverse=True)
    assert sum(parts) == pytest.approx(found.segments[0].measurements[0].value, abs=0.11)
    for mark in marks:
        box = tuple(slice(a, b + 1) for a, b in zip(mark.first, mark.last, strict=True))
        assert found.labels[box].any()


def test_what_lies_behind_the_front_of_the_chest_and_beside_the_oesophagus_is_not_scored() -> None:
    body = bodies.heart(())
    z, y, x = bodies.millimetres((44, 80, 120), body.spacing_mm)
    hu = body.values.copy()
    cartilage = (np.hypot(y + 58, x - 8) < 4) & (np.abs(z) < 20)
    gas = (np.hypot(y - 32, x) < 4) & (np.abs(z) < 20)
    beside = (np.hypot(y - 32, x - 7) < 3) & (np.abs(z) < 20)
    hu[cartilage | beside] = 250
    hu[gas] = -900
    found, _ = analyze(bodies.Body(hu, body.spacing_mm, {}))
    assert found.segments[0].measurements[0].value == 0


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [
        (("B35f",), False),
        (("Br38f", "3"), False),
        (("Qr36d", "2"), False),
        (("B60f",), True),
        (("Bl57d", "3"), True),
        (("STANDARD",), False),
        (("BONEPLUS",), True),
        (("LUNG",), True),
        (("B",), False),
        (("D",), True),
        (("FC12",), False),
        (("FC52",), True),
        (("unheard of",), False),
        ((), False),
    ],
)
def test_kernels_are_known_by_the_names_of_their_makers(
    kernel: tuple[str, ...], sharp: bool
) -> None:
    assert is_sharp(kernel) is sharp


def test_a_sharp_kernel_is_refused_by_name_and_by_what_it_does_to_edges() -> None:
    body = bodies.heart(step=1.5)
    facts = SeriesFacts("CT", 44, 44, Plane.AXIAL, kernel=("B70s",))
    scoring = CalciumScoring("cpu")
    with pytest.raises(NotApplicable, match="made with a sharp kernel"):
        scoring.analyze(replace(body.volume(), facts=facts), CalciumParameters())
    smooth = ndimage.gaussian_filter(body.values.astype(float), (0, 0.5, 0.5))
    wide = ndimage.gaussian_filter(smooth, (0, 1.2, 1.2))
    enhanced = np.rint(np.clip(smooth + 0.8 * (smooth - wide), -1100, 3000)).astype(np.int16)
    with pytest.raises(NotApplicable, match="Soft tissue beside air"):
        analyze(bodies.Body(enhanced, body.spacing_mm, {}))
    analyze(bodies.Body(np.rint(smooth).astype(np.int16), body.spacing_mm, {}))


def test_loud_images_get_no_score() -> None:
    body = bodies.heart(step=1.5)
    rng = np.random.default_rng(5)
    loud = np.rint(body.values + rng.normal(0, 40, body.values.shape)).astype(np.int16)
    volume = bodies.Body(loud, body.spacing_mm, {}).volume()
    with pytest.raises(NotApplicable, match=r"Noise of \d+ HU: it would be scored"):
        CalciumScoring("cpu").analyze(volume, CalciumParameters(loud_hu=10.0))
