"""Connected bodies of some size, labelled some planes at a time, are those labelled at once."""

from __future__ import annotations

import cc3d
import numpy as np
import pytest

from analyzers.grid.binary import PLANES_AT_ONCE, Connectivity, bodies, sizes_of


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize("depth", [1, PLANES_AT_ONCE, 3 * PLANES_AT_ONCE + 5])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_they_are_those_of_all_planes_at_once(
    connectivity: Connectivity, depth: int, share: float
) -> None:
    rng = np.random.default_rng(depth)
    mask = rng.random((depth, 31, 23)) < share
    mask[:, 4, 5] = True
    mask[PLANES_AT_ONCE - 1 :, 20, 8:12] = True
    found = bodies(mask, 6, connectivity)
    whole = cc3d.connected_components(mask, connectivity=connectivity)
    large = np.flatnonzero(np.bincount(whole.ravel()) >= 6)[1:]
    assert np.array_equal(found > 0, np.isin(whole, large))
    pairs = np.unique(np.stack([found[found > 0], whole[found > 0]]), axis=1)
    assert pairs.shape[1] == len(large) == found.max()
    assert len(set(pairs[0])) == len(set(pairs[1])) == len(large)
    assert np.array_equal(sizes_of(found), np.bincount(found.ravel()))


def test_nothing_is_found_in_nothing() -> None:
    assert not bodies(np.zeros((3, 4, 5), bool), 1, 6).any()


def test_more_bodies_than_two_bytes_number_are_told_apart() -> None:
    mask = np.zeros((2 * PLANES_AT_ONCE, 96, 96), bool)
    mask[::2, ::2, ::2] = True
    assert bodies(mask, 1, 6).max() == np.count_nonzero(mask) > 2**16
