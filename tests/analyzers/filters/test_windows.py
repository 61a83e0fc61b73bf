"""Mean and median against SciPy's, on both paths, and what must hold for any image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.contract import DerivedImage, InvalidParameters
from analyzers.filters.mean import MeanFilter, MeanParameters, mean_on_cpu, mean_on_device
from analyzers.filters.median import (
    MedianFilter,
    MedianParameters,
    median_on_cpu,
    median_on_device,
)
from analyzers.filters.rank_network import merging
from tests.analyzers.filters.volumes import SHAPES, noise, volume

SIZES = [(1, 3, 3), (3, 3, 3), (1, 7, 7), (5, 3, 1), (3, 5, 7), (1, 5, 5), (3, 1, 1), (1, 1, 1)]
images = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=3, max_dims=3, max_side=9),
    elements=st.integers(-2000, 4000).map(float),
)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_mean_equals_scipy_to_a_hundredth_on_both_paths(
    shape: tuple[int, int, int], sizes: tuple[int, int, int]
) -> None:
    values = noise(shape)
    exact = ndimage.uniform_filter(values.astype(np.float64), sizes, mode="reflect")
    for found in (
        mean_on_cpu(values.copy(), sizes),
        mean_on_device(values.copy(), sizes, "cpu"),
    ):
        np.testing.assert_allclose(found, exact, atol=0.01, rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_median_equals_scipy_exactly_on_both_paths(
    shape: tuple[int, int, int], sizes: tuple[int, int, int], dtype: type[Any]
) -> None:
    values = noise(shape).astype(dtype)
    exact = ndimage.median_filter(values, sizes, mode="nearest")
    assert np.array_equal(median_on_cpu(values, sizes), exact)
    assert np.array_equal(median_on_device(values, sizes, "cpu"), exact)


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from(SIZES), st.integers(-50, 50))
def test_a_shift_of_all_values_shifts_the_result(
    values: NDArray[np.float32], sizes: tuple[int, int, int], shift: int
) -> None:
    shifted = values + np.float32(shift)
    assert np.array_equal(median_on_cpu(shifted, sizes), median_on_cpu(values, sizes) + shift)
    np.testing.assert_allclose(
        mean_on_cpu(shifted, sizes), mean_on_cpu(values.copy(), sizes) + shift, atol=0.01
    )


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from(SIZES))
def test_the_mean_is_linear_and_the_median_stays_within_the_image(
    values: NDArray[np.float32], sizes: tuple[int, int, int]
) -> None:
    tripled = mean_on_cpu(np.float32(3) * values, sizes)
    np.testing.assert_allclose(tripled, 3 * mean_on_cpu(values.copy(), sizes), atol=0.05)
    median = median_on_cpu(values, sizes)
    assert median.shape == values.shape
    assert median.dtype == values.dtype
    assert np.isin(median, values).all()


@pytest.mark.parametrize(("lists", "length"), [(3, 3), (5, 7), (1, 9), (7, 1), (9, 9)])
def test_a_network_sorts_and_its_pruned_twin_gives_the_median(lists: int, length: int) -> None:
    assert len(merging(lists, length, median=True).steps) <= len(
        merging(lists, length, median=False).steps
    )
    values = np.random.default_rng(3).permutation(lists * length).reshape(lists, length)
    wires = dict(enumerate(np.sort(values, axis=1).ravel().tolist()))
    network = merging(lists, length, median=False)
    for step in network.steps:
        pair = wires[step.first], wires[step.second]
        wires[step.target] = max(pair) if step.largest else min(pair)
    assert [wires[wire] for wire in network.outputs] == list(range(lists * length))


@pytest.mark.parametrize(("dimensions", "sizes"), [("2d", (1, 9, 5)), ("3d", (1, 9, 5))])
def test_the_window_is_the_odd_number_of_voxels_nearest_to_the_length(
    dimensions: str, sizes: tuple[int, int, int]
) -> None:
    stored = noise((7, 24, 20)).astype(np.int16)
    (mean,) = MeanFilter("cpu").analyze(volume(stored), MeanParameters(4.6, dimensions)).items
    (median,) = MedianFilter("cpu").analyze(volume(stored), MedianParameters(4.6, dimensions)).items
    assert isinstance(mean, DerivedImage)
    assert isinstance(median, DerivedImage)
    exact = ndimage.uniform_filter(stored.astype(np.float64), sizes)
    assert np.abs(mean.values - exact).max() <= 0.51
    assert mean.values.dtype == median.values.dtype == np.int16
    assert np.array_equal(median.values, ndimage.median_filter(stored, sizes, mode="nearest"))


def test_3d_reaches_into_other_slices_where_they_are_within_the_length() -> None:
    stored = noise((7, 24, 20)).astype(np.int16)
    (mean,) = MeanFilter("cpu").analyze(volume(stored), MeanParameters(15.4, "3d")).items
    assert isinstance(mean, DerivedImage)
    exact = ndimage.uniform_filter(stored.astype(np.float64), (3, 31, 19))
    assert np.abs(mean.values - exact).max() <= 0.51


def test_a_window_too_large_to_sort_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameters, match="size_mm"):
        MedianFilter("cpu").analyze(volume(np.zeros((3, 9, 9), np.int16)), MedianParameters(20.0))


@pytest.mark.parametrize("kind", [MeanParameters, MedianParameters])
def test_parameters_out_of_range_are_refused_by_name(kind: type[MeanParameters]) -> None:
    with pytest.raises(InvalidParameters, match="size_mm"):
        kind(float("nan"))
    with pytest.raises(InvalidParameters, match="dimensions"):
        kind(3.0, "4d")
