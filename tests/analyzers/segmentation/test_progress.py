"""Segmenters that take long tell how far they are, up to the last of their steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from analyzers import registry
from analyzers.contract import Volume
from analyzers.contract.progress import listening
from tests.analyzers.segmentation import bodies

BODIES: dict[str, Callable[[], Volume]] = {
    "airway_segmentation": lambda: bodies.tree(step=3.0).volume(),
    "bone_segmentation": lambda: bodies.abdomen(step=4.5).volume(),
    "body_composition": lambda: bodies.abdomen(step=4.5).volume(),
    "calcium_score": lambda: bodies.heart(step=3.2).volume(),
    "lung_segmentation": lambda: bodies.heart(step=3.2).volume(),
    "pet_tumour": lambda: bodies.hot_spots().volume("PT", 0.001),
}


@pytest.mark.parametrize("name", BODIES)
def test_each_step_is_told_once_in_its_order(name: str) -> None:
    told: list[tuple[int, int]] = []
    analyzer = registry.load(name)
    with listening(lambda done, of: told.append((done, of))):
        analyzer("cpu").analyze(BODIES[name](), analyzer.parameters())
    steps = told[0][1]
    assert steps >= 3
    assert told == [(number, steps) for number in range(1, steps + 1)]
