"""Unsharp mask, CLAHE and wavelet denoising against scikit-image's and OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import pywt
from numpy.typing import NDArray
from skimage.filters import unsharp_mask
from skimage.restoration import denoise_wavelet

from analyzers.contract import DerivedImage, InvalidParameters
from analyzers.filters.clahe import Clahe, ClaheParameters, equalized, tiles_of
from analyzers.filters.unsharp_mask import UnsharpMaskParameters, sharpened
from analyzers.filters.wavelet_denoise import WaveletDenoise, WaveletParameters, denoised
from analyzers.filters.wavelet_transform import decomposed, reconstruct
from analyzers.testing import AnalyzerSuite
from tests.analyzers.filters.volumes import noise, volume


class TestFiltersWithinSlices(AnalyzerSuite):
    analyzers = ("clahe", "non_local_means")
    storage_orders = False


class TestWaveletDenoise(AnalyzerSuite):
    """A wavelet has a direction: a mirrored image keeps other traces of its noise (10 HU)."""

    analyzers = ("wavelet_denoise",)
    tolerance = 60.0


def test_the_unsharp_mask_equals_scikit_image() -> None:
    values = noise((9, 31, 26))
    exact = unsharp_mask(values.astype(np.float64), 1.5, 2.0, preserve_range=True)
    found = sharpened(values.copy(), (1.5, 1.5, 1.5), 2.0, "cpu")
    np.testing.assert_allclose(found, exact, atol=0.05, rtol=0)


def test_unsharp_parameters_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(InvalidParameters, match="amount"):
        UnsharpMaskParameters(amount=-1.0)


def smooth_with_noise(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    rng = np.random.default_rng(4)
    steps = np.cumsum(rng.normal(0, 15, shape), axis=1)
    return (steps + rng.normal(0, 20, shape)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:Level value")
@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4"])
@pytest.mark.parametrize("shape", [(20, 37, 41), (16, 16, 16), (9, 50, 33)])
def test_wavelet_denoising_equals_scikit_image(shape: tuple[int, int, int], wavelet: str) -> None:
    values = smooth_with_noise(shape)

    def exact(image: NDArray[np.float32]) -> NDArray[np.float64]:
        levels = max(1, min(3, pywt.dwtn_max_level(image.shape, wavelet)))
        result: NDArray[np.float64] = denoise_wavelet(
            image.astype(np.float64),
            wavelet=wavelet,
            method="BayesShrink",
            mode="soft",
            rescale_sigma=False,
            wavelet_levels=levels,
        )
        return result

    whole = denoised(values.copy(), WaveletParameters(wavelet, 3), "cpu")
    np.testing.assert_allclose(whole, exact(values), atol=0.01, rtol=0)
    planes = denoised(values.copy(), WaveletParameters(wavelet, 3, dimensions="2d"), "cpu")
    np.testing.assert_allclose(planes, np.stack([exact(p) for p in values]), atol=0.01, rtol=0)


@pytest.mark.parametrize("wavelet", ["haar", "db4", "coif2"])
def test_the_transform_is_that_of_pywavelets_and_comes_back(wavelet: str) -> None:
    import torch

    values = noise((13, 70, 151))
    coefficients = decomposed(torch.from_numpy(values), wavelet, [0, 1, 2], "cpu")
    found = coefficients.values
    bands = pywt.dwtn(values.astype(np.float64), wavelet)
    half = [length // 2 for length in found.shape]
    np.testing.assert_allclose(found[: half[0], half[1] :, : half[2]], bands["ada"], atol=0.01)
    np.testing.assert_allclose(found[half[0] :, half[1] :, half[2] :], bands["ddd"], atol=0.01)
    back = torch.empty(values.shape)
    reconstruct(coefficients, wavelet, [0, 1, 2], values.shape, back.__setitem__)
    np.testing.assert_allclose(back, values, atol=0.01)


def test_memory_of_a_slice_is_given_back_without_touching_another() -> None:
    import torch

    coefficients = decomposed(torch.from_numpy(noise((9, 70, 151))), "haar", [0, 1, 2], "cpu")
    before = coefficients.values.clone()
    coefficients.spend(4)
    others = [z for z in range(len(before)) if z != 4]
    assert torch.equal(coefficients.values[others], before[others])
    assert (coefficients.values[4] == 0).float().mean() > 0.7


@pytest.mark.parametrize("dimensions", ["2d", "3d"])
def test_slices_that_come_and_go_one_at_a_time_are_denoised_as_an_array_is(
    dimensions: str,
) -> None:
    of = volume(np.rint(noise((13, 70, 151))).astype(np.int16))
    parameters = WaveletParameters(dimensions=dimensions)
    (found,) = WaveletDenoise("cpu").analyze(of, parameters).items
    assert isinstance(found, DerivedImage)
    whole = denoised(of.values(np.float32), parameters, "cpu")
    np.testing.assert_array_equal(found.values, np.rint(whole))


def test_noise_is_taken_away_and_an_edge_stays() -> None:
    clean = np.zeros((16, 64, 64), np.float32)
    clean[:, :, 32:] = 500
    noisy = clean + np.random.default_rng(2).normal(0, 20, clean.shape).astype(np.float32)
    found = denoised(noisy.copy(), WaveletParameters("haar"), "cpu")
    assert np.std(found - clean) < 0.3 * np.std(noisy - clean)


def test_a_constant_image_stays_constant() -> None:
    stored = np.full((6, 30, 31), 40, np.int16)
    for analyzer, parameters in (
        (WaveletDenoise("cpu"), WaveletParameters()),
        (Clahe("cpu"), ClaheParameters()),
    ):
        (found,) = analyzer.analyze(volume(stored), parameters).items
        assert isinstance(found, DerivedImage)
        assert np.array_equal(found.values, stored)


def test_an_unknown_wavelet_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameters, match="wavelet"):
        WaveletParameters("bior2.2")


def test_clahe_is_close_to_opencv_where_the_tiles_are_the_same() -> None:
    """OpenCV's tile centres lie half a pixel beside and its clipping counts whole pixels."""
    y, x = np.mgrid[0:256, 0:256]
    picture = 2000 + 800 * np.sin(x / 17.0) * np.cos(y / 23.0) + 4 * x
    picture += np.random.default_rng(6).normal(0, 60, picture.shape)
    levels = np.clip(np.rint(picture), 0, 4095) / 4095 * 255
    grey = levels.astype(np.uint8)
    reference = cv2.createCLAHE(40.0, (4, 4)).apply(grey).astype(np.float64)
    found = equalized(grey[None].astype(np.float32), (0, 4, 4), (0.0, 255.0), 40.0, "cpu")[0]
    assert np.abs(found - reference).mean() < 3
    assert np.corrcoef(found.ravel(), reference.ravel())[0, 1] > 0.995


@pytest.mark.parametrize("dimensions", ["2d", "3d"])
def test_clahe_raises_faint_contrast_and_keeps_the_range(dimensions: str) -> None:
    stored = np.full((8, 64, 64), 100, np.int16)
    stored[:, 20:40, 20:40] = 112
    stored[:, :4] = 1000
    stored += np.random.default_rng(8).integers(-3, 4, stored.shape, dtype=np.int16)
    parameters = ClaheParameters(tile_mm=16, clip_limit=20, low=0, high=1000, dimensions=dimensions)
    (found,) = Clahe("cpu").analyze(volume(stored), parameters).items
    assert isinstance(found, DerivedImage)
    assert found.values.min() >= 0
    assert found.values.max() <= 1000
    inside = found.values[:, 24:36, 24:36].mean()
    outside = found.values[:, 24:36, 44:56].mean()
    assert inside - outside > 2 * 12


def test_clahe_tiles_are_in_millimetres() -> None:
    of = volume(np.zeros((20, 200, 100), np.int16))
    assert tiles_of(of, ClaheParameters(tile_mm=20)) == (0, 5, 4)
    assert tiles_of(of, ClaheParameters(tile_mm=20, dimensions="3d")) == (5, 5, 4)


def test_clahe_does_not_care_which_way_an_axis_runs() -> None:
    values = noise((7, 37, 45))
    one = equalized(values.copy(), (2, 3, 4), (-1000.0, 3000.0), 3.0, "cpu")
    for axis in range(3):
        flipped = np.ascontiguousarray(np.flip(values, axis))
        other = equalized(flipped, (2, 3, 4), (-1000.0, 3000.0), 3.0, "cpu")
        np.testing.assert_allclose(np.flip(other, axis), one, atol=0.05)
