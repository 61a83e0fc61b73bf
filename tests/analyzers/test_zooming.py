"""Planes are resampled as by SciPy, and the depth in a lung is that of the distance transform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from analyzers.detection.nodule_candidates import LungGrid
from analyzers.detection.nodule_shape import depth_mm
from analyzers.grid.zooming import zoomed_planes, zoomed_shape


@pytest.mark.parametrize(
    "zoom", [(1.0, 0.78125, 0.78125), (2.5, 0.7, 0.9765625), (0.4, 1.1, 0.625), (3.27, 0.5, 1.0)]
)
def test_planes_are_those_of_scipy_at_the_edges_too(zoom: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(3)
    for shape in ((23, 40, 37), (12, 254, 233), (2, 5, 240)):
        values = np.rint(rng.normal(-500, 300, shape)).astype(np.float32)
        expected = ndimage.zoom(values, zoom, order=1)
        found = np.stack(list(zoomed_planes(values, zoom)))
        assert found.shape == expected.shape == zoomed_shape(shape, zoom)
        assert np.allclose(found, expected, rtol=0, atol=1e-4)
        mask = ndimage.zoom((values > -500).astype(np.float32), zoom, order=1) > 0.5
        ours = np.stack(list(zoomed_planes(values, zoom, lambda plane: plane > -500)))
        assert np.array_equal(ours.astype(np.float32) > 0.5, mask)


def test_of_a_plane_that_would_be_less_than_half_a_plane_nothing_is_left() -> None:
    values = np.zeros((1, 5, 24), np.float32)
    assert ndimage.zoom(values, (0.4, 1, 1), order=1).shape == zoomed_shape((1, 5, 24), (0.4, 1, 1))
    assert list(zoomed_planes(values, (0.4, 1, 1))) == []


def test_the_depth_of_a_voxel_is_its_distance_to_the_outside_of_the_lungs() -> None:
    z, y, x = np.ogrid[-30:31, -35:36, -20:45]
    lungs = (z / 28) ** 2 + (y / 33) ** 2 + (x / 42) ** 2 < 1
    expected = ndimage.distance_transform_edt(lungs).astype(np.float32)
    grid = LungGrid(np.zeros(lungs.shape, np.float32), lungs, lungs, ())
    for place in ((30, 35, 20), (0, 0, 0), (3, 35, 22), (30, 35, 0), (40, 50, 30)):
        assert depth_mm(grid, place) == float(expected[place])
