"""Padding stays out of filters: beside it they answer as beside the edge of the image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from analyzers import registry
from analyzers.contract import DerivedImage, Volume
from analyzers.grid.field import mirrored_values
from analyzers.testing.examples import volume

FILTERS: dict[str, dict[str, Any]] = {
    "gaussian_filter": {"sigma_mm": 8.0},
    "mean_filter": {"size_mm": 12.0},
    "median_filter": {"size_mm": 12.0},
    "unsharp_mask": {"sigma_mm": 6.0},
    "clahe": {"low": -1000.0, "high": 1000.0},
    "non_local_means": {"sigma": 20.0},
    "wavelet_denoise": {"sigma": 20.0},
}
TISSUE = np.s_[:, 8:52, 10:76]


def tissue() -> NDArray[np.int16]:
    """Values round 500 with noise and a step, on the grid of the examples: no air anywhere."""
    picture = np.full((6, 60, 88), 480.0)
    picture[:, :, 44:] = 520
    noise = np.random.default_rng(4).normal(0, 15, picture.shape)
    return np.rint(picture + noise).astype(np.int16)


def framed(padding: int) -> Volume:
    """The same tissue inside a frame that was not measured."""
    stored = tissue()
    valid = np.zeros(stored.shape, np.bool_)
    valid[TISSUE] = True
    stored[~valid] = padding
    return dataclasses.replace(volume(stored, "CT"), valid=valid)


def filtered(name: str, of: Volume) -> NDArray[Any]:
    found = registry.load(name)("cpu").analyze(of, registry.parameters(name, FILTERS[name]))
    (image,) = found.items
    assert isinstance(image, DerivedImage)
    return image.values


@pytest.mark.parametrize("padding", [-2000, 30000])
@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_smears_padding_into_what_was_measured(name: str, padding: int) -> None:
    whole = filtered(name, volume(tissue()[TISSUE], "CT")).astype(float)
    beside = filtered(name, framed(padding))[TISSUE].astype(float)
    assert np.abs(beside - whole).max() < 40, "padding would move the border by hundreds"
    assert abs(beside.mean() - whole.mean()) < 3


def test_smoothing_is_a_normalised_convolution() -> None:
    of = framed(-2000)
    assert of.valid is not None
    weight = of.valid.astype(float)
    values = np.where(of.valid, of.stored, 0).astype(float)
    sigma = [8 / 6, 8 / 4, 8 / 4]
    right = gaussian_filter(values, sigma)[of.valid] / gaussian_filter(weight, sigma)[of.valid]
    np.testing.assert_allclose(filtered("gaussian_filter", of)[of.valid], right, atol=1.0)
    size = (3, 3, 3)
    right = uniform_filter(values, size)[of.valid] / uniform_filter(weight, size)[of.valid]
    np.testing.assert_allclose(filtered("mean_filter", of)[of.valid], right, atol=1.0)


def test_padding_is_blank_in_what_a_filter_gives() -> None:
    of = framed(30000)
    assert of.valid is not None
    for name in FILTERS:
        assert (filtered(name, of)[~of.valid] == -1000).all(), name


def test_the_image_is_mirrored_at_the_border_of_what_was_measured() -> None:
    of = framed(-2000)
    full = np.pad(tissue()[TISSUE], ((0, 0), (4, 4), (4, 4)), mode="reflect")
    filled = mirrored_values(of)
    np.testing.assert_array_equal(filled[:, 4:8, 14:70], full[:, :4, 8:64])
    np.testing.assert_array_equal(filled[:, 14:40, 76:80], full[:, 10:36, -4:])


def test_a_slice_that_was_not_measured_at_all_takes_after_its_nearest_neighbour() -> None:
    of = framed(-2000)
    assert of.valid is not None
    valid = of.valid.copy()
    valid[[0, 1, 5]] = False
    filled = mirrored_values(dataclasses.replace(of, valid=valid))
    np.testing.assert_array_equal(filled[0], filled[2])
    np.testing.assert_array_equal(filled[5], filled[4])
