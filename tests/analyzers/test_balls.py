"""Balls hold exactly the voxels within their radius, however they are laid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from analyzers.grid import balls
from analyzers.grid.balls import Spacing


@pytest.mark.parametrize("largest", [0, 3000])
@pytest.mark.parametrize("spacing", [(1.0, 0.78125, 0.78125), (5.0, 1.6, 1.6), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("radius", [0.5, 2.0, 2.5, 4.0, 9.0])
def test_a_ball_holds_what_the_distance_says(
    radius: float, spacing: Spacing, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balls, "LARGEST_BALL", largest)
    for share in (0.002, 0.1, 0.95):
        mask = np.random.default_rng(1).random((11, 23, 29)) < share
        outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
        inside = ndimage.distance_transform_edt(mask, sampling=spacing)
        assert np.array_equal(balls.dilate(mask, radius, spacing), outside <= radius)
        assert np.array_equal(balls.erode(mask, radius, spacing), inside > radius)


def test_an_empty_mask_and_a_full_one_stay_so() -> None:
    nothing, all_of_it = np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool)
    for change in (balls.dilate, balls.erode, balls.opened, balls.closed):
        assert not change(nothing, 2.0, (1.0, 1.0, 1.0)).any()
        assert change(all_of_it, 2.0, (1.0, 1.0, 1.0)).all()
