"""The values of a series plane by plane are those of all planes at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analyzers.contract import Volume
from analyzers.grid.value_planes import ValuePlanes
from analyzers.testing import examples


def series(kind: Any, modality: str, *, padded: bool, per_slice: bool) -> Volume:
    rng = np.random.default_rng(5)
    stored = rng.integers(1, 200, (7, 9, 11)).astype(kind)
    valid = rng.random(stored.shape) > 0.2 if padded else None
    if valid is not None:
        stored[~valid] = 250
        valid[3] = False
    rescale = np.arange(7) / 3 + 0.5 if per_slice else np.ones(7)
    return dataclasses.replace(
        examples.volume(stored, modality), valid=valid, slope=rescale, intercept=rescale - 20
    )


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("per_slice", [False, True])
def test_every_part_is_that_of_the_whole(
    kind: Any, modality: str, padded: bool, per_slice: bool
) -> None:
    volume = series(kind, modality, padded=padded, per_slice=per_slice)
    whole, planes = volume.values(np.float32), ValuePlanes(volume)
    assert_array_equal(np.stack(list(planes)), whole)
    assert_array_equal(planes[2:6], whole[2:6])
    assert_array_equal(planes[::3], whole[::3])
    assert planes.range == (whole.min(), whole.max())
    mask = np.random.default_rng(6).random(whole.shape) > 0.6
    assert_array_equal(planes.inside(mask), whole[mask])
    assert planes.shape == whole.shape


def test_a_part_is_its_own() -> None:
    planes = ValuePlanes(series(np.float32, "MR", padded=False, per_slice=False))
    before = planes[1].copy()
    planes[1][:] = 0
    assert_array_equal(planes[1], before)
