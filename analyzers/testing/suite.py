"""What every analyzer must keep, whoever wrote it."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from analyzers import answer, leftovers, registry
from analyzers.contract import (
    Classification,
    ColorImage,
    CompressedImage,
    DerivedImage,
    Detection,
    Findings,
    Measurement,
    NotApplicable,
    ParametricMap,
    Segmentation,
    Volume,
)
from analyzers.testing import examples

_GRIDS = (Segmentation, DerivedImage, ColorImage, ParametricMap)
_LEAST_SENTENCE = 10
_references: dict[tuple[type[AnalyzerSuite], str], Findings] = {}


class AnalyzerSuite:
    """Subclass it as ``Test…``; ``example`` gives a volume the analyzer has something to say of."""

    analyzers: ClassVar[tuple[str, ...]] = ()
    """Names of installed analyzers."""
    storage_orders: ClassVar[bool] = True
    """False: the result may depend on which plane the images lie in (filters within slices)."""
    least_agreement: ClassVar[float] = 0.98
    """Share of the marked voxels that must agree when the same patient is stored another way."""
    tolerance: ClassVar[float] = 1.0
    """Largest difference of derived values when the same patient is stored another way."""

    def example(self, name: str) -> Volume:
        return examples.example(registry.load(name).inputs)

    def test_it_describes_itself_as_the_contract_asks(self, analyzer_name: str) -> None:
        found = registry.load(analyzer_name)
        assert found.name == analyzer_name == analyzer_name.lower()
        assert analyzer_name.replace("_", "").isalnum()
        assert 0 < len(found.title) <= 64
        assert found.version.count(".") == 2
        assert found.inputs.modalities
        assert found.limits.time_s > 0
        assert found.limits.memory_mb > 0
        assert dataclasses.is_dataclass(found.parameters)
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            setattr(found.parameters(), "anything", 1)  # noqa: B010 - frozen is what is tested

    def test_results_lie_on_the_input_grid_and_numbers_are_finite(self, analyzer_name: str) -> None:
        of = self.example(analyzer_name)
        findings = self._reference(analyzer_name)
        assert findings.items or findings.remarks
        check(findings, of.shape)

    def test_the_same_input_gives_the_same_result_and_is_left_as_it_was(
        self, analyzer_name: str
    ) -> None:
        of = self.example(analyzer_name)
        before = of.stored.copy()
        first, second = self._reference(analyzer_name), run(analyzer_name, of)
        assert np.array_equal(of.stored, before)
        assert numbers(first) == numbers(second)
        assert first.remarks == second.remarks
        for one, other in zip(grids(first), grids(second), strict=True):
            assert np.array_equal(one, other)

    def test_it_leaves_the_process_as_it_was(self, analyzer_name: str) -> None:
        of = self.example(analyzer_name)
        self._reference(analyzer_name)  # what is imported at the first time stays
        then = leftovers.before()
        run(analyzer_name, of)
        assert not str(leftovers.cleared(then))

    def test_the_patient_matters_and_not_the_storage_order(self, analyzer_name: str) -> None:
        of = self.example(analyzer_name)
        if of.projection:
            pytest.skip("a radiograph has no place in the patient")
        reference = self._reference(analyzer_name)
        for number, order in enumerate(permutations(range(3))):
            if order != (0, 1, 2) and not self.storage_orders:
                continue
            flips = tuple(bool((number + 1) >> axis & 1) for axis in range(3))
            found = run(analyzer_name, stored_otherwise(of, order, flips))
            for item, other in zip(reference.items, found.items, strict=True):
                if isinstance(item, _GRIDS):
                    assert isinstance(other, type(item))
                    self._agree(grid_of(item), restored(grid_of(other), order, flips))

    def test_the_stored_type_does_not_change_the_result(self, analyzer_name: str) -> None:
        of = self.example(analyzer_name)
        reference = grids(self._reference(analyzer_name))
        for dtype in (np.uint16, np.int32, np.float32):
            shifted = (of.stored.astype(np.int32) + 2000).astype(dtype)
            shifted.setflags(write=False)
            same = dataclasses.replace(of, stored=shifted, intercept=of.intercept - 2000 * of.slope)
            try:
                found = grids(run(analyzer_name, same))
            except NotApplicable as verdict:
                assert len(str(verdict)) > _LEAST_SENTENCE
                continue
            for one, other in zip(reference, found, strict=True):
                self._agree(one, other)

    def test_lengths_are_in_millimetres_and_not_in_voxels(self, analyzer_name: str) -> None:
        """On a grid with other spacing the same picture is another patient: volumes follow."""
        of = self.example(analyzer_name)
        for factor in (0.5, 2.0):
            affine = of.affine.copy()
            affine[:3, 0] *= factor
            scaled = dataclasses.replace(of, affine=affine)
            try:
                findings = run(analyzer_name, scaled)
            except NotApplicable as verdict:
                assert len(str(verdict)) > _LEAST_SENTENCE
                continue
            check(findings, of.shape)
            check_volumes(findings, scaled.voxel_ml)

    def test_padding_is_no_tissue(self, analyzer_name: str) -> None:
        """What was stored outside a round field of view changes no result and is marked by none."""
        of = self.example(analyzer_name)
        least, most = int(of.stored.min()) - 1000, int(of.stored.max()) + 4000
        padded = [examples.in_round_field(of, value) for value in (least, most)]
        dark, bright = (answered(analyzer_name, one) for one in padded)
        if not isinstance(dark, Findings) or not isinstance(bright, Findings):
            assert dark == bright
            return
        valid = padded[0].valid
        assert valid is not None
        check_padding(dark, valid)
        check_padding(bright, valid)
        for one, other in zip(grids(dark), grids(bright), strict=True):
            assert np.array_equal(one[valid], other[valid])
        if not any(
            isinstance(item, CompressedImage) for item in dark.items
        ):  # padding is coded too
            assert numbers(dark) == numbers(bright)
            assert dark.remarks == bright.remarks
            assert answers(dark) == answers(bright)

    def test_padding_does_not_leak_into_what_was_measured(self, analyzer_name: str) -> None:
        """A flat image stays as flat beside padding as it is without."""
        of = self.example(analyzer_name)
        stored = np.full_like(of.stored, 40)
        stored.setflags(write=False)
        flat = dataclasses.replace(of, stored=stored)
        padded = examples.in_round_field(flat, 4000)
        whole, beside = answered(analyzer_name, flat), answered(analyzer_name, padded)
        if not isinstance(whole, Findings) or not isinstance(beside, Findings):
            return
        assert padded.valid is not None
        for one, other in zip(derived_from(whole), derived_from(beside), strict=True):
            np.testing.assert_allclose(other[padded.valid], one[padded.valid], atol=self.tolerance)

    @pytest.mark.parametrize(
        "shape", [(0, 0, 0), (0, 16, 16), (1, 1, 1), (1, 16, 16), (2, 3, 300), (5, 1, 9)]
    )
    def test_odd_shapes_are_answered_or_not_applicable(
        self, analyzer_name: str, shape: tuple[int, int, int]
    ) -> None:
        modality = self.example(analyzer_name).modality
        self._answered(analyzer_name, examples.volume(np.full(shape, -700, np.int16), modality))

    @pytest.mark.parametrize("value", [-32768, -1024, 0, 40, 32767])
    def test_a_constant_image_is_answered_or_not_applicable(
        self, analyzer_name: str, value: int
    ) -> None:
        of = self.example(analyzer_name)
        shape = (1, 64, 64) if of.projection else (8, 20, 20)
        constant = examples.volume(np.full(shape, value, np.int16), of.modality)
        self._answered(analyzer_name, constant)

    def _reference(self, name: str) -> Findings:
        """Of the example as it is: found once for all that is compared with it."""
        key = (type(self), name)
        if key not in _references:
            _references[key] = run(name, self.example(name))
        return _references[key]

    def _answered(self, name: str, of: Volume) -> None:
        try:
            findings = run(name, of)
        except NotApplicable as verdict:
            assert len(str(verdict)) > _LEAST_SENTENCE
        else:
            check(findings, of.shape)

    def _agree(self, one: NDArray[Any], other: NDArray[Any]) -> None:
        assert one.shape == other.shape
        if one.dtype == np.uint8 and one.ndim == 3:
            marked = np.count_nonzero(one) + np.count_nonzero(other)
            same = 2 * np.count_nonzero((one == other) & (one > 0))
            assert same >= self.least_agreement * marked
        else:
            np.testing.assert_allclose(other, one, atol=self.tolerance)


def run(name: str, of: Volume) -> Findings:
    """The findings of an installed analyzer with its default parameters, on the CPU."""
    found = registry.load(name)("cpu").analyze(of, registry.parameters(name, {}))
    return answer.checked(found, of)


def answered(name: str, of: Volume) -> Findings | str:
    """As ``run``; why it is not applicable, where it is not."""
    try:
        return run(name, of)
    except NotApplicable as verdict:
        return str(verdict)


def check_padding(findings: Findings, valid: NDArray[np.bool_]) -> None:
    """No segment has a voxel of padding, and no box holds nothing else."""
    for item in findings.items:
        if isinstance(item, Segmentation):
            assert not any(labels[~valid].any() for labels in item.layers)
        elif isinstance(item, Detection):
            box = tuple(slice(a, b + 1) for a, b in zip(item.first, item.last, strict=True))
            assert valid[box].any()


def check(findings: Findings, shape: tuple[int, int, int]) -> None:
    """What holds for all findings: grids fit, labels are declared, numbers are finite."""
    assert all(grid.shape[:3] == shape for grid in grids(findings))
    assert np.isfinite(numbers(findings)).all()
    for item in findings.items:
        if isinstance(item, Segmentation):
            declared = {segment.number for segment in item.segments}
            for labels in item.layers:
                assert labels.dtype in (np.uint8, np.uint16)
                assert set(np.unique(labels).tolist()) <= declared | {0}
            assert len({segment.key for segment in item.segments}) == len(item.segments)
        elif isinstance(item, Detection):
            corners = zip(item.first, item.last, shape, strict=True)
            assert all(0 <= first <= last < size for first, last, size in corners)
        elif isinstance(item, Classification) and item.probability is not None:
            assert 0.0 <= item.probability <= 1.0


def check_volumes(findings: Findings, voxel_ml: float) -> None:
    """A segment's stated volume is that of its voxels."""
    for item in findings.items:
        if not isinstance(item, Segmentation):
            continue
        for segment in item.segments:
            counted = np.count_nonzero(item.mask(segment)) * voxel_ml
            for one in segment.measurements:
                if one.name.meaning == "Volume" and one.unit.value == "mL":
                    assert one.value == pytest.approx(counted, abs=0.01)


def grids(findings: Findings) -> list[NDArray[Any]]:
    return [grid_of(item) for item in findings.items if isinstance(item, _GRIDS)]


def derived_from(findings: Findings) -> list[NDArray[Any]]:
    """Images made from the input, not from a companion."""
    return [one.values for one in findings.items if isinstance(one, DerivedImage) and not one.role]


def grid_of(item: Segmentation | DerivedImage | ColorImage | ParametricMap) -> NDArray[Any]:
    return item.labels if isinstance(item, Segmentation) else item.values


def numbers(findings: Findings) -> list[float]:
    """All measured values, in order."""
    found: list[Measurement] = []
    for item in findings.items:
        if isinstance(item, Measurement):
            found.append(item)
        elif isinstance(item, Segmentation):
            found += [one for segment in item.segments for one in segment.measurements]
        elif isinstance(item, Detection):
            found += item.measurements
    return [one.value for one in found]


def answers(findings: Findings) -> list[Classification]:
    """All answers and statements of the series and its structures."""
    found: list[Classification] = []
    for item in findings.items:
        if isinstance(item, Classification):
            found.append(item)
        elif isinstance(item, Segmentation):
            found += [one for segment in item.segments for one in segment.classifications]
        elif isinstance(item, Detection):
            found += item.classifications
    return found


def stored_otherwise(of: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same patient with axes in another order and direction."""
    stored = of.stored.transpose(order)
    valid = None if of.valid is None else of.valid.transpose(order)
    affine = of.affine.copy()
    affine[:3, :3] = of.affine[:3, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (stored.shape[axis] - 1)
            affine[:3, axis] *= -1
            stored = np.flip(stored, axis)
            valid = None if valid is None else np.flip(valid, axis)
    stored = np.ascontiguousarray(stored)
    stored.setflags(write=False)
    count = len(stored)
    return dataclasses.replace(
        of,
        stored=stored,
        affine=affine,
        slope=np.full(count, of.slope[0]),
        intercept=np.full(count, of.intercept[0]),
        valid=valid,
    )


def restored(grid: NDArray[Any], order: tuple[int, ...], flips: tuple[bool, ...]) -> NDArray[Any]:
    """A result of ``stored_otherwise`` on the original axes."""
    back = np.flip(grid, tuple(axis for axis, flip in enumerate(flips) if flip))
    axes = [int(axis) for axis in np.argsort(order)]
    turned: NDArray[Any] = back.transpose([*axes, *range(3, grid.ndim)])
    return turned
