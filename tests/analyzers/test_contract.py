"""What every installed analyzer must keep, whoever wrote it."""

from __future__ import annotations

import dataclasses
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import registry
from analyzers.contract import (
    DerivedImage,
    Detection,
    Findings,
    Measurement,
    NotApplicable,
    Segmentation,
    Volume,
)

NAMES = registry.names()
SPACING = (6.0, 4.0, 4.0)
SHAPE = (34, 58, 88)


def torso() -> NDArray[np.int16]:
    """A torso with lungs and a spine: enough for every analyzer that reads CT to have a say."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    hu = np.full(SHAPE, -1000.0)
    hu[(x / 160) ** 2 + (y / 105) ** 2 <= 1] = 40
    for centre, radius in ((70, 45), (-72, 50)):
        hu[(z / 80) ** 2 + (y / 65) ** 2 + ((x - centre) / radius) ** 2 <= 1] = -850
    hu[np.hypot(y - 75, x) < 18] = 250
    hu[(np.hypot(y - 75, x) < 18) & (np.hypot(y - 75, x) > 12)] = 700
    hu += np.random.default_rng(11).normal(0, 10, SHAPE)
    return np.rint(hu).astype(np.int16)


def volume(
    values: NDArray[Any],
    modality: str,
    *,
    affine: NDArray[np.float64] | None = None,
    intercept: float = 0.0,
) -> Volume:
    """Read-only, so that writing to it raises."""
    stored = np.ascontiguousarray(values)
    stored.setflags(write=False)
    grid = np.eye(4)
    grid[:3, :3] = np.diag(SPACING)[::-1]
    count = len(stored)
    return Volume(
        stored=stored,
        affine=grid if affine is None else affine,
        modality=modality,
        slope=np.ones(count),
        intercept=np.full(count, intercept),
    )


def modality_of(name: str) -> str:
    return min(registry.load(name).inputs.modalities)


def run(name: str, of: Volume) -> Findings:
    return registry.load(name)("cpu").analyze(of, registry.parameters(name, {}))


def arrays(findings: Findings) -> list[NDArray[Any]]:
    grids = [item.labels for item in findings.items if isinstance(item, Segmentation)]
    return grids + [item.values for item in findings.items if isinstance(item, DerivedImage)]


def numbers(findings: Findings) -> list[float]:
    found = [item.value for item in findings.items if isinstance(item, Measurement)]
    for item in findings.items:
        if isinstance(item, Segmentation):
            found += [m.value for segment in item.segments for m in segment.measurements]
        elif isinstance(item, Detection):
            found += [m.value for m in item.measurements]
    return found


def test_the_first_analyzers_are_installed() -> None:
    assert {"bone_segmentation", "gaussian_filter", "lung_segmentation"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_describes_itself_as_the_contract_asks(name: str) -> None:
    found = registry.load(name)
    assert name == name.lower()
    assert name.replace("_", "").isalnum()
    assert 0 < len(found.title) <= 64
    assert found.version.count(".") == 2
    assert found.inputs.modalities
    assert found.limits.time_s > 0
    assert found.limits.memory_mb > 0
    assert dataclasses.is_dataclass(found.parameters)
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        found.parameters().anything = 1


@pytest.mark.parametrize("name", NAMES)
def test_results_lie_on_the_input_grid_and_numbers_are_finite(name: str) -> None:
    findings = run(name, volume(torso(), modality_of(name)))
    assert findings.items
    assert all(array.shape == SHAPE for array in arrays(findings))
    assert np.isfinite(numbers(findings)).all()
    for item in findings.items:
        if isinstance(item, Segmentation):
            assert item.labels.dtype == np.uint8
            declared = {segment.number for segment in item.segments}
            assert set(np.unique(item.labels).tolist()) <= declared | {0}
            assert len({segment.key for segment in item.segments}) == len(item.segments)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_input_gives_the_same_result_and_is_left_as_it_was(name: str) -> None:
    values = torso()
    of = volume(values.copy(), modality_of(name))
    first, second = run(name, of), run(name, of)
    assert np.array_equal(of.stored, values)
    assert numbers(first) == numbers(second)
    assert first.remarks == second.remarks
    for one, other in zip(arrays(first), arrays(second), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_patient_matters_and_not_the_storage_order(name: str, order: tuple[int, ...]) -> None:
    values = torso()
    reference = arrays(run(name, volume(values, modality_of(name))))
    for flips in product([False, True], repeat=3):
        stored = values.transpose(order)
        affine = np.eye(4)
        affine[:3, :3] = np.diag(SPACING)[::-1][:, list(order)]
        for axis, flip in enumerate(flips):
            if flip:
                affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
                affine[:3, axis] *= -1
                stored = np.flip(stored, axis)
        found = arrays(run(name, volume(stored, modality_of(name), affine=affine)))
        for one, other in zip(reference, found, strict=True):
            back = np.flip(other, [axis for axis, flip in enumerate(flips) if flip])
            np.testing.assert_allclose(back.transpose(np.argsort(order)), one, atol=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_the_stored_type_does_not_change_the_result(name: str, dtype: type[np.generic]) -> None:
    values = torso()
    reference = arrays(run(name, volume(values, modality_of(name))))
    shifted = (values.astype(np.int32) + 2000).astype(dtype)
    found = arrays(run(name, volume(shifted, modality_of(name), intercept=-2000.0)))
    for one, other in zip(reference, found, strict=True):
        np.testing.assert_allclose(other, one, atol=0.51)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_lengths_are_in_millimetres_and_not_in_voxels(name: str, factor: float) -> None:
    """On a grid with other spacing the same picture is another patient: volumes follow."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING)[::-1]
    affine[:3, 0] *= factor
    of = volume(torso(), modality_of(name), affine=affine)
    findings = run(name, of)
    for item in findings.items:
        if isinstance(item, Segmentation):
            for segment in item.segments:
                stated = [m.value for m in segment.measurements if m.unit.value == "mL"]
                counted = np.count_nonzero(item.labels == segment.number) * of.voxel_ml
                assert stated == pytest.approx([counted], abs=0.01)
    assert all(array.shape == SHAPE for array in arrays(findings))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "shape", [(0, 0, 0), (0, 16, 16), (1, 1, 1), (1, 16, 16), (2, 3, 300), (5, 1, 9)]
)
def test_odd_shapes_are_answered_or_not_applicable(name: str, shape: tuple[int, int, int]) -> None:
    of = volume(np.full(shape, -700, np.int16), modality_of(name))
    try:
        findings = run(name, of)
    except NotApplicable as verdict:
        assert len(str(verdict)) > 10
    else:
        assert all(array.shape == shape for array in arrays(findings))
        assert np.isfinite(numbers(findings)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-32768, -1024, 0, 40, 32767])
def test_a_constant_image_is_answered_or_not_applicable(name: str, value: int) -> None:
    of = volume(np.full((8, 20, 20), value, np.int16), modality_of(name))
    try:
        findings = run(name, of)
    except NotApplicable as verdict:
        assert len(str(verdict)) > 10
    else:
        assert all((array == value).all() for array in arrays(findings))
