"""A region that grows reaches exactly what is joined to its seed face to face."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from analyzers.grid.growing import NEVER, Growing


@pytest.mark.parametrize("shape", [(12, 17, 23), (1, 30, 31), (9, 1, 40)])
def test_each_level_reaches_what_is_joined_through_it(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(6)
    levels = rng.integers(0, 9, shape).astype(np.uint8)
    levels[rng.random(shape) < 0.3] = NEVER
    seed = rng.random(shape) < 0.004
    seed.reshape(-1)[seed.size // 2] = True
    region = Growing(levels, seed)
    before = seed
    for level in range(9):
        entered = region.spread(level)
        labels, _ = ndimage.label((levels <= level) | seed)
        joined = np.isin(labels, np.unique(labels[seed]))
        assert np.array_equal(region.mask(), joined)
        assert entered is not None
        assert np.array_equal(region.mask_of(entered), joined & ~before)
        before = joined


def test_a_region_that_would_enter_too_much_stays_as_it_was() -> None:
    seed = np.zeros((5, 6, 7), bool)
    seed[2, 2, 2] = True
    for most, fits in ((5 * 6 * 7 - 1, True), (5 * 6 * 7 - 2, False)):
        region = Growing(np.zeros(seed.shape, np.uint8), seed)
        assert (region.spread(0, most) is not None) == fits
        assert region.mask().all() == fits
        assert region.places.size == (seed.size if fits else 1)
