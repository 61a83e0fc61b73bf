"""HU given plane by plane are those of the whole array, whatever was stored and how."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from analyzers.contract import Volume
from analyzers.grid.hounsfield import HounsfieldPlanes, hounsfield_planes, part_of
from analyzers.grid.patient_grid import coarse_grid, hounsfield, patient_grid, reduce_to
from analyzers.segmentation.measures import tallied
from analyzers.testing import examples

SHAPE = (6, 24, 31)


def expected(volume: Volume) -> np.ndarray:
    """By the definition: rescaled, limited, padding at the darkest measured or air."""
    values = np.clip(np.rint(volume.values(np.float64)), -1100, 8000)
    if volume.valid is not None:
        values[~volume.valid] = min(values[volume.valid].min(), -1000)
    return patient_grid(volume).view(values)


def as_stored(kind: type, low: int, high: int, intercept: float) -> Volume:
    stored = np.random.default_rng(3).integers(low, high, SHAPE).astype(kind)
    return examples.volume(stored, "CT", intercept=intercept)


VOLUMES = {
    "as they are": as_stored(np.int16, -3000, 9500, 0.0),
    "without sign": as_stored(np.uint16, 0, 2**16, -1024.0),
    "one byte": as_stored(np.uint8, 0, 256, -1000.0),
    "moved beyond two bytes": as_stored(np.int16, -(2**15), 2**15, -20000.0),
    "of parts": as_stored(np.int16, -1000, 3000, 0.5),
}
IS_WHOLE = set(VOLUMES) - {"of parts"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", VOLUMES)
def test_planes_are_those_of_the_array(name: str, padded: bool, turned: bool) -> None:
    volume = VOLUMES[name]
    if turned:
        volume = replace(volume, affine=volume.affine @ np.diag([-1.0, -1.0, 1.0, 1.0]))
    if padded:
        volume = examples.in_round_field(volume, -2000)
    grid = patient_grid(volume)
    planes = hounsfield_planes(volume, grid)
    assert isinstance(planes, HounsfieldPlanes) is (name in IS_WHOLE)
    whole = expected(volume)
    assert np.array_equal(hounsfield(volume, grid), whole)
    assert np.array_equal([planes[z] for z in range(len(planes))], whole)
    window = (slice(2, 5), slice(3, 20), slice(7, 30))
    assert np.array_equal(planes[window], whole[window])
    part = part_of(planes, window)
    assert part.shape == whole[window].shape
    assert np.array_equal(part[1], whole[window][1])


def test_slices_with_scales_of_their_own_are_given_as_an_array() -> None:
    volume = VOLUMES["as they are"]
    volume = replace(volume, intercept=np.arange(float(len(volume.stored))))
    planes = hounsfield_planes(volume, patient_grid(volume))
    assert np.array_equal(planes, expected(volume))


def test_planes_across_the_stored_slices_are_gathered_once() -> None:
    volume = VOLUMES["as they are"]
    volume = replace(volume, affine=volume.affine[:, [1, 0, 2, 3]])
    assert isinstance(hounsfield_planes(volume, patient_grid(volume)), np.ndarray)


def test_block_means_and_tallies_hold_no_copy_of_the_volume() -> None:
    stored = np.random.default_rng(5).integers(-1000, 3000, (40, 128, 128)).astype(np.int16)
    volume = examples.volume(stored, "CT")
    patient = patient_grid(volume)
    labels = (stored > 500).astype(np.uint8)
    coarse = coarse_grid(stored.shape, (1.0, 1.0, 1.0), 4.0)
    tracemalloc.start()
    planes = hounsfield_planes(volume, patient)
    mean = reduce_to(coarse, planes)
    tally = tallied(planes, labels, (1,), 1000)[1]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < stored.nbytes / 2
    blocks = stored.reshape(10, 4, 32, 4, 32, 4).mean(axis=(1, 3, 5))
    assert np.allclose(mean, blocks, atol=0.01)
    values = stored[stored > 500]
    assert (tally.voxels, tally.total_hu) == (values.size, int(values.sum(dtype=np.int64)))
    assert tally.below == np.count_nonzero(values < 1000)
