"""Holes, borders and boxes of masks are SciPy's, voxel for voxel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid import binary


def masks(shape: tuple[int, ...]) -> list[NDArray[np.bool_]]:
    """Noise from nearly nothing to nearly all, blobs with holes, nothing and all."""
    rng = np.random.default_rng(4)
    noise = [rng.random(shape) < share for share in (0.01, 0.3, 0.55, 0.7, 0.9, 0.99)]
    smooth = ndimage.gaussian_filter(rng.random(shape), 1.5)
    return [
        *noise,
        smooth > 0.5,
        np.abs(smooth - 0.5) < 0.03,
        np.zeros(shape, bool),
        np.ones(shape, bool),
    ]


@pytest.mark.parametrize("mask", masks((40, 53)))
@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_planes_are_changed_as_by_scipy(mask: NDArray[np.bool_], times: int) -> None:
    assert np.array_equal(
        binary.eroded_plane(mask, times), ndimage.binary_erosion(mask, iterations=times)
    )
    assert np.array_equal(
        binary.opened_plane(mask, times), ndimage.binary_opening(mask, iterations=times)
    )
    assert np.array_equal(
        binary.closed_plane(mask, times), ndimage.binary_closing(mask, iterations=times)
    )
    assert np.array_equal(binary.filled_plane(mask), ndimage.binary_fill_holes(mask))


@pytest.mark.parametrize("mask", masks((17, 21, 26)))
def test_volumes_are_filled_and_boxed_as_by_scipy(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(binary.filled(mask), ndimage.binary_fill_holes(mask))
    found = ndimage.find_objects(mask.view(np.uint8))
    assert binary.box_of(mask) == (found[0] if found else None)


def test_a_mask_in_any_order_of_memory_is_understood() -> None:
    mask = masks((40, 53))[3].T
    assert np.array_equal(binary.opened_plane(mask), ndimage.binary_opening(mask))
    assert np.array_equal(binary.filled_plane(mask), ndimage.binary_fill_holes(mask))
    turned = masks((17, 21, 26))[4].transpose(2, 0, 1)
    assert np.array_equal(binary.filled(turned), ndimage.binary_fill_holes(turned))
