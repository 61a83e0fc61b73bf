"""Bone on analytic phantoms: volume, marrow, and what must not be taken for bone."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import codes
from analyzers.contract import Findings, NoParameters, NotApplicable, Segmentation, Volume
from analyzers.segmentation.bones import BoneSegmentation

SPACING = (3.0, 1.5, 1.5)
SHAPE = (30, 110, 130)
AXES = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)]
Z, Y, X = np.meshgrid(*AXES, indexing="ij")


def disc(y: float, x: float, radius: float) -> NDArray[np.bool_]:
    return np.asarray(np.hypot(Y - y, X - x) < radius)


def limb(marrow_hu: float = -60.0) -> NDArray[np.int16]:
    """A limb with one shaft of compact bone, 14 mm wide outside, 8 mm inside, on a table."""
    hu = np.full(SHAPE, -1000.0)
    hu[disc(0, 0, 60)] = 50
    hu[disc(0, 20, 14)] = 1100
    hu[disc(0, 20, 8)] = marrow_hu
    hu[(np.abs(Y - 75) < 2) & (np.abs(X) < 90)] = 500
    hu += np.random.default_rng(5).normal(0, 12, SHAPE)
    return np.rint(hu).astype(np.int16)


def volume(hu: NDArray[np.int16], affine: NDArray[np.float64] | None = None) -> Volume:
    stored = hu.copy()
    stored.setflags(write=False)
    place = np.eye(4)
    place[:3, :3] = np.diag(SPACING)[::-1]
    grid = place if affine is None else affine
    return Volume(stored, grid, "CT", np.ones(len(hu)), np.zeros(len(hu)), codes.HOUNSFIELD_UNIT)


def analyze(of: Volume) -> tuple[NDArray[np.bool_], Findings]:
    findings = BoneSegmentation("cpu").analyze(of, NoParameters())
    (segmentation,) = [item for item in findings.items if isinstance(item, Segmentation)]
    return segmentation.labels > 0, findings


def test_a_shaft_has_the_volume_of_its_cylinder_marrow_included() -> None:
    bone, findings = analyze(volume(limb()))
    cylinder_ml = np.pi * 14**2 * 90 / 1000
    (segmentation,) = findings.items
    assert isinstance(segmentation, Segmentation)
    values = {m.name: m.value for m in segmentation.segments[0].measurements}
    assert values[codes.VOLUME] == pytest.approx(cylinder_ml, rel=0.06)
    assert bone[disc(0, 20, 8)].all()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_storage_order_gives_the_same_bone(order: tuple[int, ...]) -> None:
    hu = limb()
    reference, _ = analyze(volume(hu))
    for flips in product([False, True], repeat=3):
        stored = hu.transpose(order)
        affine = np.eye(4)
        affine[:3, :3] = np.diag(SPACING)[::-1][:, list(order)]
        for axis, flip in enumerate(flips):
            if flip:
                stored = np.flip(stored, axis)
                affine[:3, axis] *= -1
        found, _ = analyze(volume(np.ascontiguousarray(stored), affine))
        for axis, flip in enumerate(flips):
            found = np.flip(found, axis) if flip else found
        assert np.array_equal(found.transpose(np.argsort(order)), reference)


def test_the_table_is_not_bone() -> None:
    bone, _ = analyze(volume(limb()))
    assert not bone[Y > 65].any()


def test_brain_inside_a_skull_is_not_filled() -> None:
    hu = np.full(SHAPE, -1000, np.int16)
    hu[disc(0, 0, 75)] = 40
    hu[disc(0, 0, 70)] = 1000
    hu[disc(0, 0, 63)] = 35
    bone, _ = analyze(volume(hu))
    assert not bone[disc(0, 0, 60)].any()
    assert bone[disc(0, 0, 68) & ~disc(0, 0, 65)].mean() > 0.98


@pytest.mark.parametrize("blood_hu", [180.0, 280.0, 400.0])
def test_an_artery_filled_with_contrast_agent_is_not_bone(blood_hu: float) -> None:
    hu = limb().astype(float)
    artery = disc(20, -25, 12)
    hu[artery] += blood_hu - 50
    bone, _ = analyze(volume(np.rint(hu).astype(np.int16)))
    assert bone[artery].mean() < 0.05
    assert bone[disc(0, 20, 12)].mean() > 0.95


def test_a_small_calcification_is_not_bone() -> None:
    hu = limb()
    spot = np.asarray((Y - 30) ** 2 + (X + 20) ** 2 + Z**2 < 3.0**2)
    hu[spot] = 700
    bone, _ = analyze(volume(hu))
    assert not bone[spot].any()


def test_metal_is_left_out_and_said() -> None:
    hu = limb()
    nail = disc(0, 20, 5)
    hu[nail] = 3500
    bone, findings = analyze(volume(hu))
    assert not bone[nail].any()
    assert findings.remarks == ("Metal in the images: it is not part of the bone.",)


@pytest.mark.parametrize(
    "hu",
    [
        pytest.param(np.zeros((0, 0, 0), np.int16), id="empty"),
        pytest.param(np.full((1, 1, 1), 900, np.int16), id="one voxel"),
        pytest.param(np.full((3, 4, 4), 900, np.int16), id="tiny"),
        pytest.param(np.full(SHAPE, -1000, np.int16), id="all air"),
        pytest.param(np.full(SHAPE, 40, np.int16), id="constant tissue"),
        pytest.param(np.full(SHAPE, 3071, np.int16), id="saturated"),
    ],
)
def test_images_without_bone_are_not_applicable(hu: NDArray[np.int16]) -> None:
    with pytest.raises(NotApplicable):
        analyze(volume(hu))
