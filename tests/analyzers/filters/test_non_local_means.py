"""Non-local means against the definition, voxel by voxel, and what it does to noise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.contract import InvalidParameters, progress
from analyzers.filters.non_local_means import (
    NonLocalMeans,
    NonLocalMeansParameters,
    denoised,
    estimated_noise,
)
from tests.analyzers.filters.volumes import noise, volume

SIZES = [((1, 3, 3), (1, 5, 7)), ((3, 3, 1), (3, 5, 3)), ((1, 1, 1), (1, 3, 3))]


def by_definition(
    values: NDArray[np.float64], patch: tuple[int, ...], search: tuple[int, ...], h: float
) -> NDArray[np.float64]:
    """Shifts one by one; patch distances of SciPy over the part where both lie in the image."""
    total, weights = np.zeros(values.shape), np.zeros(values.shape)
    reach = [range(-(size // 2), size // 2 + 1) for size in search]
    for shift in itertools.product(*reach):
        if any(abs(d) >= n for d, n in zip(shift, values.shape, strict=True)):
            continue
        pairs = list(zip(shift, values.shape, strict=True))
        here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in pairs)
        there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in pairs)
        distance = ndimage.uniform_filter((values[here] - values[there]) ** 2, patch)
        weight = np.exp(-np.maximum(distance - 2 * 50.0**2, 0) / h**2)
        total[here] += weight * values[there]
        weights[here] += weight
    return total / weights


@pytest.mark.parametrize(("patch", "search"), SIZES)
@pytest.mark.parametrize("shape", [(2, 21, 17), (1, 9, 30), (3, 2, 5)])
def test_it_is_what_the_definition_says(
    shape: tuple[int, int, int], patch: tuple[int, int, int], search: tuple[int, int, int]
) -> None:
    values = noise(shape) / 10
    exact = by_definition(values.astype(np.float64), patch, search, 0.8 * 50)
    found = denoised(values, patch, search, (50.0, 0.8), "cpu")
    np.testing.assert_allclose(found, exact, atol=0.05)


def test_it_tells_how_far_it_is_from_all_its_threads() -> None:
    heard: list[tuple[int, int]] = []
    with progress.listening(lambda done, of: heard.append((done, of))):
        denoised(noise((5, 12, 11)), (1, 3, 3), (1, 3, 3), (50.0, 0.8), "cpu")
    assert heard == [(number, 5) for number in range(1, 6)]


def test_slabs_leave_no_seams() -> None:
    values = noise((13, 12, 11)) / 10
    found = denoised(values, (3, 3, 3), (3, 3, 3), (50.0, 0.8), "cpu")
    middle = denoised(values[4:11].copy(), (3, 3, 3), (3, 3, 3), (50.0, 0.8), "cpu")
    np.testing.assert_allclose(found[6:9], middle[2:5], atol=0.01)


def test_noise_is_estimated_and_mostly_taken_away() -> None:
    clean = np.zeros((3, 64, 64), np.float32)
    clean[:, :, 32:] = 500
    noisy = clean + np.random.default_rng(2).normal(0, 20, clean.shape).astype(np.float32)
    assert estimated_noise(noisy) == pytest.approx(20, rel=0.1)
    found = denoised(noisy, (1, 5, 5), (1, 11, 11), (20.0, 0.8), "cpu")
    assert np.std(found - clean) < 0.4 * np.std(noisy - clean)


def test_a_search_too_large_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameters, match="search_mm"):
        NonLocalMeans("cpu").analyze(
            volume(np.zeros((3, 9, 9), np.int16)), NonLocalMeansParameters(search_mm=49.0)
        )
    with pytest.raises(InvalidParameters, match="strength"):
        NonLocalMeansParameters(strength=0.0)
