"""Beside the images little is held, also where there are few slices."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from analyzers import registry
from analyzers.testing import examples


@pytest.mark.parametrize(
    ("name", "most"), [("mean_filter", 2.5), ("unsharp_mask", 2.5), ("window_presets", 2.5)]
)
def test_of_few_slices_a_part_is_held_in_floats(name: str, most: float) -> None:
    stored = np.random.default_rng(1).integers(0, 3000, (24, 200, 200)).astype(np.int16)
    volume = examples.volume(stored, "MR")
    analyzer, parameters = registry.load(name)("cpu"), registry.parameters(name, {})
    analyzer.analyze(volume, parameters)  # what is imported and made once is not counted
    tracemalloc.start()
    try:
        analyzer.analyze(volume, parameters)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= most * stored.nbytes
