"""Lungs on analytic phantoms: sides, volumes, measurements, and what must be refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from analyzers import borders, codes
from analyzers.anatomy import lung_masks
from analyzers.contract import (
    Findings,
    Measurement,
    NoParameters,
    NotApplicable,
    Segment,
    Segmentation,
    Subject,
    Volume,
)
from analyzers.segmentation.lungs import NOT_IN_VOLUMES, LungSegmentation

SPACING = (5.0, 3.0, 3.0)
SHAPE = (56, 90, 124)
LEFT_ML = 4 / 3 * np.pi * 9.5 * 6.5 * 5.0
RIGHT_ML = 4 / 3 * np.pi * 10.0 * 7.0 * 5.6


def position() -> tuple[NDArray[np.float64], ...]:
    """Millimetres from the centre: z to the head, y to the back, x to the left."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)]
    return tuple(np.meshgrid(*axes, indexing="ij"))


def ellipsoid(
    centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> NDArray[np.bool_]:
    parts = [((p - c) / r) ** 2 for p, c, r in zip(position(), centre, radii, strict=True)]
    return np.asarray(sum(parts) <= 1)


def chest(
    *,
    left: bool = True,
    right: bool = True,
    gap_mm: float = 30.0,
    noise_hu: float = 15.0,
    lung_hu: float = -850.0,
) -> NDArray[np.int16]:
    """A torso with a trachea, a table below it and two lungs, in HU, axes (z, y, x)."""
    z, y, x = position()
    hu = np.full(SHAPE, -1000.0)
    hu[(x / 165) ** 2 + (y / 110) ** 2 <= 1] = 40.0
    hu[(np.abs(y - 125) < 3) & (np.abs(x) < 180)] = -300.0
    if left:
        hu[ellipsoid((0, 0, gap_mm / 2 + 50), (95, 65, 50))] = lung_hu
    if right:
        hu[ellipsoid((0, 0, -gap_mm / 2 - 56), (100, 70, 56))] = lung_hu
    hu[(np.hypot(y, x) < 8) & (z > 20)] = -1000.0
    hu[(np.hypot(y - 70, x) < 18)] = 300.0
    hu += np.random.default_rng(7).normal(0, noise_hu, SHAPE)
    return np.rint(hu).astype(np.int16)


def volume(hu: NDArray[np.int16], affine: NDArray[np.float64] | None = None) -> Volume:
    stored = hu.copy()
    stored.setflags(write=False)
    return Volume(
        stored=stored,
        affine=upright() if affine is None else affine,
        modality="CT",
        slope=np.ones(len(hu)),
        intercept=np.zeros(len(hu)),
        units=codes.HOUNSFIELD_UNIT,
    )


def upright() -> NDArray[np.float64]:
    """Index (z, y, x) → LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING)[::-1]
    return affine


def reordered(hu: NDArray[np.int16], order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same patient, stored in another axis order and direction."""
    stored = hu.transpose(order)
    affine = upright()
    affine[:3, :3] = affine[:3, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
            stored = np.flip(stored, axis)
    return volume(np.ascontiguousarray(stored), affine)


def analyze(of: Volume) -> tuple[Segmentation, Findings]:
    findings = LungSegmentation("cpu").analyze(of, NoParameters())
    (segmentation,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return segmentation, findings


def segment(segmentation: Segmentation, key: str) -> Segment:
    (found,) = [s for s in segmentation.segments if s.key == key]
    return found


def measured(of: Segment, name: object) -> float:
    (found,) = [m for m in of.measurements if m.name == name]
    return found.value


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_left_lung_is_the_one_nearer_the_patients_left_in_every_storage_order(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    hu = chest()
    reference, _ = analyze(volume(hu))
    stored = reordered(hu, order, flips)
    found, _ = analyze(stored)
    back = found.labels
    for axis, flip in enumerate(flips):
        back = np.flip(back, axis) if flip else back
    assert np.array_equal(back.transpose(np.argsort(order)), reference.labels)
    centres = {}
    for part in found.segments:
        index = np.argwhere(found.labels == part.number).mean(axis=0)
        centres[part.key] = (stored.affine @ [*index, 1])[0]
    assert centres["left_lung"] > centres["right_lung"] + 80


def test_volumes_are_within_one_percent_of_the_ellipsoids() -> None:
    found, findings = analyze(volume(chest()))
    assert measured(segment(found, "left_lung"), codes.VOLUME) == pytest.approx(LEFT_ML, rel=0.01)
    assert measured(segment(found, "right_lung"), codes.VOLUME) == pytest.approx(RIGHT_ML, rel=0.01)
    (both,) = [item for item in findings.items if isinstance(item, Measurement)]
    assert both.value == pytest.approx(LEFT_ML + RIGHT_ML, rel=0.01)
    assert findings.remarks == (NOT_IN_VOLUMES,)


def test_mean_attenuation_and_emphysema_index_are_those_of_the_lung() -> None:
    hu = chest()
    hu[ellipsoid((40, 0, 65), (30, 30, 25)) & (hu < -700)] = -970
    found, _ = analyze(volume(hu))
    left, right = segment(found, "left_lung"), segment(found, "right_lung")
    assert measured(right, codes.ATTENUATION_COEFFICIENT) == pytest.approx(-849, abs=4)
    assert measured(right, codes.LOW_ATTENUATION_FRACTION) == pytest.approx(0, abs=0.2)
    share = 100 * (30 * 30 * 25) / (95 * 65 * 50)
    assert measured(left, codes.LOW_ATTENUATION_FRACTION) == pytest.approx(share, abs=0.5)


def test_the_trachea_is_not_lung() -> None:
    found, _ = analyze(volume(chest()))
    z, y, x = position()
    assert not found.labels[(np.hypot(y, x) < 8) & (z > 20)].any()


@pytest.mark.parametrize("gap_mm", [0.0, -5.0, -15.0])
def test_lungs_that_touch_are_parted_at_the_midline(gap_mm: float) -> None:
    found, _ = analyze(volume(chest(gap_mm=gap_mm)))
    x = position()[2]
    left = segment(found, "left_lung").number
    right = segment(found, "right_lung").number
    assert x[found.labels == left].min() > -12 + gap_mm / 2
    assert x[found.labels == right].max() < 12 - gap_mm / 2
    assert (found.labels == left).sum() > 0.85 * LEFT_ML / volume(chest()).voxel_ml


@pytest.mark.parametrize(("key", "other"), [("left", "right"), ("right", "left")])
def test_a_missing_lung_is_an_empty_segment_and_a_remark(key: str, other: str) -> None:
    hu = chest(**{other: False})  # type: ignore[arg-type]  # one of the two flags
    found, findings = analyze(volume(hu))
    assert (found.labels == segment(found, f"{key}_lung").number).any()
    assert not (found.labels == segment(found, f"{other}_lung").number).any()
    assert segment(found, f"{other}_lung").measurements == ()
    assert f"{other.capitalize()} lung: no aerated lung found." in findings.remarks


def test_lungs_cut_by_the_edge_are_found_and_said_to_be_partial() -> None:
    cut = volume(chest()[16:40])
    found, findings = analyze(cut)
    assert measured(segment(found, "left_lung"), codes.VOLUME) > 0.5 * LEFT_ML
    said = borders.told(findings, cut).remarks
    assert any("Left lung reaches the border" in one and "(below, above)" in one for one in said)


MAN = Subject(age_years=50.0, sex="M", weight_kg=80.0, height_m=1.80)


@pytest.mark.parametrize(
    ("subject", "usual"),
    [
        (MAN, (4320.0, 7852.0)),
        (replace(MAN, sex="F", weight_kg=55.0, height_m=1.60), (2187.0, 5719.0)),
        (replace(MAN, sex="O"), None),
        (replace(MAN, age_years=12.0), None),
        (replace(MAN, height_m=None), None),
        (replace(MAN, weight_kg=None), None),
        (replace(MAN, height_m=0.18), None),
        (replace(MAN, weight_kg=400.0), None),
    ],
)
def test_the_volume_of_both_lungs_is_compared_with_that_of_adults_alike(
    subject: Subject, usual: tuple[float, float] | None
) -> None:
    found = total(replace(volume(chest()), subject=subject)).reference
    assert (found and (found.low, found.high)) == usual


def test_lungs_that_the_images_cut_are_compared_with_nothing() -> None:
    assert total(replace(volume(chest()[16:40]), subject=MAN)).reference is None


def total(of: Volume) -> Measurement:
    _, findings = analyze(of)
    (both,) = [item for item in findings.items if isinstance(item, Measurement)]
    return both


@pytest.mark.parametrize("noise_hu", [0.0, 60.0, 120.0])
def test_noise_changes_the_volume_by_little(noise_hu: float) -> None:
    found, _ = analyze(volume(chest(noise_hu=noise_hu)))
    ml = measured(segment(found, "right_lung"), codes.VOLUME)
    assert ml == pytest.approx(RIGHT_ML, rel=0.025)


@pytest.mark.parametrize("radius_mm", [6.0, 8.5])
def test_a_nodule_at_the_pleura_and_one_inside_belong_to_the_lung(radius_mm: float) -> None:
    hu = chest()
    inside = ellipsoid((0, 10, -75), (radius_mm,) * 3)
    pleural = ellipsoid((0, 0, 111), (radius_mm,) * 3) & (hu < -500)
    hu[inside | pleural] = 30
    found, _ = analyze(volume(hu))
    assert (found.labels[inside] > 0).mean() > 0.99
    assert (found.labels[pleural] > 0).mean() >= 0.6


def test_gas_in_the_stomach_is_not_lung() -> None:
    hu = chest()
    stomach = ellipsoid((-115, -50, 40), (20, 25, 35))
    hu[stomach] = -1000
    found, _ = analyze(volume(hu))
    assert not found.labels[stomach].any()


def test_an_oblique_grid_keeps_sides_and_volumes() -> None:
    turn = np.deg2rad(20)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    affine = upright()
    affine[:3, :3] = rotation @ affine[:3, :3]
    found, _ = analyze(volume(chest(), affine))
    assert measured(segment(found, "left_lung"), codes.VOLUME) == pytest.approx(LEFT_ML, rel=0.01)


def test_a_rescale_slope_and_intercept_are_honoured() -> None:
    hu = chest()
    raw = ((hu.astype(np.int32) + 1024) * 2).astype(np.uint16)
    source = Volume(raw, upright(), "CT", np.full(len(hu), 0.5), np.full(len(hu), -1024.0))
    assert np.array_equal(analyze(source)[0].labels, analyze(volume(hu))[0].labels)


def head() -> NDArray[np.int16]:
    """A skull with two sinuses and mastoid cells."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[ellipsoid((0, 0, 0), (120, 100, 80))] = 1000
    hu[ellipsoid((0, 0, 0), (112, 92, 72))] = 35
    for side in (-1, 1):
        hu[ellipsoid((-60, -50, side * 20), (15, 15, 12))] = -1000
        cells = ellipsoid((-50, 30, side * 55), (12, 12, 8))
        hu[cells] = np.random.default_rng(3).choice([-900, 300], cells.sum())
    return hu


@pytest.mark.parametrize(
    "hu",
    [
        pytest.param(np.zeros((0, 0, 0), np.int16), id="empty"),
        pytest.param(np.full((1, 1, 1), -800, np.int16), id="one voxel"),
        pytest.param(np.full((3, 4, 4), -800, np.int16), id="tiny"),
        pytest.param(np.full(SHAPE, -1000, np.int16), id="all air"),
        pytest.param(np.full(SHAPE, 40, np.int16), id="constant tissue"),
        pytest.param(np.full(SHAPE, -850, np.int16), id="constant lung density"),
        pytest.param(np.full(SHAPE, 3071, np.int16), id="saturated"),
        pytest.param(chest(left=False, right=False), id="no lungs"),
        pytest.param(head(), id="head"),
    ],
)
def test_images_without_lung_are_not_applicable(hu: NDArray[np.int16]) -> None:
    with pytest.raises(NotApplicable):
        analyze(volume(hu))


@pytest.mark.parametrize(("keep", "key"), [("left", "left_lung"), ("right", "right_lung")])
def test_images_of_one_half_of_the_body_show_the_lung_of_that_side(keep: str, key: str) -> None:
    half = SHAPE[2] // 2
    columns = slice(half, None) if keep == "left" else slice(None, half)
    found, _ = analyze(volume(np.ascontiguousarray(chest()[:, :, columns])))
    expected = LEFT_ML if keep == "left" else RIGHT_ML
    assert measured(segment(found, key), codes.VOLUME) == pytest.approx(expected, rel=0.02)


def test_a_slab_through_the_lungs_keeps_lung_that_its_faces_cut() -> None:
    middle = SHAPE[1] // 2
    hu = np.ascontiguousarray(chest()[:, middle - 6 : middle + 6])
    found, _ = analyze(volume(hu))
    for part in found.segments:
        assert measured(part, codes.VOLUME) > 300


@pytest.mark.parametrize("centre_mm", [-70.0, 70.0])
def test_a_sagittal_strip_is_refused_because_its_side_cannot_be_told(centre_mm: float) -> None:
    near = np.abs((np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING[2] - centre_mm) < 20
    with pytest.raises(NotApplicable, match="left from right"):
        analyze(volume(np.ascontiguousarray(chest()[:, :, near])))


def test_gas_that_fills_a_whole_side_is_not_called_lung() -> None:
    hu = chest()
    hu[ellipsoid((0, 0, 65), (95, 65, 50)) & (hu < -500)] = -1000
    found, findings = analyze(volume(hu))
    assert not (found.labels == segment(found, "left_lung").number).any()
    assert "Left lung: no aerated lung found." in findings.remarks


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (2.5, 1.9, 2.3), (5.0, 2.1, 2.1)])
def test_what_lies_beside_both_lungs_belongs_to_the_nearer(
    spacing_mm: tuple[float, float, float],
) -> None:
    rng = np.random.default_rng(2)
    sides = (rng.random((9, 40, 50)) < 0.06).astype(np.uint8)
    sides[:, :, 25:] *= 2
    sides[rng.random(sides.shape) < 0.02] = 2
    reach_mm = 1.1 * max(spacing_mm[1:])
    distance, nearest = ndimage.distance_transform_edt(
        sides == 0, sampling=spacing_mm, return_indices=True
    )
    expected = np.where(distance <= reach_mm, sides[tuple(nearest)], 0)
    assert np.array_equal(lung_masks._reach(sides, spacing_mm), expected)
