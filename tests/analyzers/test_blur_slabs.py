"""Some planes at a time are blurred to the voxel as all at once, and little is held meanwhile."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from analyzers.grid import field
from analyzers.grid.blur import blurred
from analyzers.grid.blur_slabs import blurred_whole
from analyzers.grid.whole_values import whole
from analyzers.testing import examples

SIGMAS = [(0.0, 1.3, 1.3), (0.25, 1.3, 0.7), (3.3, 0.6, 0.6), (9.0, 4.0, 4.0)]


@pytest.mark.parametrize("padding", [None, -2000])
@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("slices", [1, 5, 90])
@pytest.mark.parametrize("sigmas", SIGMAS)
def test_the_values_are_those_of_all_planes_at_once(
    sigmas: tuple[float, float, float], slices: int, modality: str, padding: int | None
) -> None:
    low = -1000 if modality == "CT" else 0
    stored = np.random.default_rng(1).integers(low, 3000, (slices, 41, 53)).astype(np.int16)
    volume = examples.volume(stored, modality)
    if padding is not None:
        volume = examples.in_round_field(volume, padding)
    values = field.smoothed(volume, lambda image: blurred(image, sigmas, "cpu"))
    volume.blank_padding(values)
    found = blurred_whole(volume, sigmas)
    assert found is not None
    volume.blank_padding(found)
    expected = whole(values)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_what_is_not_whole_or_too_large_is_left_to_floats() -> None:
    parts = np.full((3, 8, 8), 0.5, np.float32)
    assert blurred_whole(examples.volume(parts, "MR"), (1, 1, 1)) is None
    large = np.full((3, 8, 8), 40000, np.uint16)
    assert blurred_whole(examples.volume(large, "MR"), (1, 1, 1)) is None


def test_no_copy_of_the_volume_is_held_in_floats() -> None:
    stored = np.random.default_rng(2).integers(0, 900, (240, 128, 128)).astype(np.int16)
    volume = examples.volume(stored, "CT")
    tracemalloc.start()
    found = blurred_whole(volume, (1.0, 1.0, 1.0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert most < 1.5 * stored.nbytes
