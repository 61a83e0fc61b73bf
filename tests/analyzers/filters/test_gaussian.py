"""The Gaussian filter against SciPy's, on both paths, and its parameters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from analyzers import codes
from analyzers.contract import DerivedImage, InvalidParameters, NotApplicable, Volume
from analyzers.filters.gaussian import GaussianFilter, GaussianParameters
from analyzers.grid.blur import blur_on_cpu, blur_on_device

SIGMAS = [(1.0, 1.0, 1.0), (0.4, 2.3, 1.7), (0.0, 3.0, 0.9), (6.0, 0.05, 4.0)]
SHAPES = [(12, 31, 26), (1, 20, 9), (3, 2, 40), (2, 1, 1)]


def image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-1000, 3000, shape).astype(np.float32)


def scipy_blur(
    values: NDArray[np.float32], sigmas: tuple[float, float, float]
) -> NDArray[np.float64]:
    result: NDArray[np.float64] = ndimage.gaussian_filter(
        values.astype(np.float64), sigmas, mode="reflect", truncate=4.0
    )
    return result


@pytest.mark.parametrize("sigmas", SIGMAS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cpu_path_equals_scipy_to_a_hundredth(
    shape: tuple[int, int, int], sigmas: tuple[float, float, float]
) -> None:
    values = image(shape)
    np.testing.assert_allclose(
        blur_on_cpu(values.copy(), sigmas), scipy_blur(values, sigmas), atol=0.01, rtol=0
    )


@pytest.mark.parametrize("sigmas", SIGMAS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_torch_path_equals_scipy_to_a_hundredth(
    shape: tuple[int, int, int], sigmas: tuple[float, float, float]
) -> None:
    values = image(shape)
    np.testing.assert_allclose(
        blur_on_device(values.copy(), sigmas, "cpu"), scipy_blur(values, sigmas), atol=0.01, rtol=0
    )


def volume(stored: NDArray[np.generic], slope: float = 1.0, intercept: float = -1024.0) -> Volume:
    affine = np.diag([5.0, 0.5, 0.8, 1.0])
    count = len(stored)
    return Volume(stored, affine, "CT", np.full(count, slope), np.full(count, intercept))


def filtered(of: Volume, parameters: GaussianParameters) -> DerivedImage:
    (found,) = GaussianFilter("cpu").analyze(of, parameters).items
    assert isinstance(found, DerivedImage)
    return found


@pytest.mark.parametrize(("dimensions", "across"), [("2d", 0.0), ("3d", 2.0 / 5.0)])
def test_the_width_is_in_millimetres_and_2d_leaves_slices_apart(
    dimensions: str, across: float
) -> None:
    stored = np.random.default_rng(2).integers(0, 3000, (7, 24, 20), dtype=np.uint16)
    found = filtered(volume(stored), GaussianParameters(2.0, dimensions))
    exact = scipy_blur(stored.astype(np.float32) - 1024, (across, 4.0, 2.5))
    assert found.values.dtype == np.int16
    assert np.abs(found.values - exact).max() <= 0.51
    assert found.derivation == codes.GAUSSIAN_BLUR


def test_values_that_are_not_whole_stay_floating() -> None:
    stored = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    found = filtered(volume(stored, slope=0.37, intercept=0.0), GaussianParameters())
    assert found.values.dtype == np.float32


def test_whole_values_beyond_16_bits_are_kept() -> None:
    stored = np.full((3, 4, 5), 60000, np.uint16)
    found = filtered(volume(stored, intercept=0.0), GaussianParameters())
    assert found.values.dtype == np.int32
    assert (found.values == 60000).all()


@pytest.mark.parametrize("sigma_mm", [0.0, 0.09, 20.1, -1.0, float("nan"), float("inf")])
def test_a_width_out_of_range_is_refused_by_name(sigma_mm: float) -> None:
    with pytest.raises(InvalidParameters, match="sigma_mm"):
        GaussianParameters(sigma_mm=sigma_mm)


def test_other_dimensions_are_refused_by_name() -> None:
    with pytest.raises(InvalidParameters, match="dimensions"):
        GaussianParameters(dimensions="4d")


def test_an_empty_series_is_not_applicable() -> None:
    with pytest.raises(NotApplicable):
        filtered(volume(np.zeros((0, 0, 0), np.int16)), GaussianParameters())
