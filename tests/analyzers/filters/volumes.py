"""Volumes for the filters' tests: odd sizes, unequal spacing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import Volume

SPACING_MM = (5.0, 0.5, 0.8)
SHAPES = [(5, 31, 26), (1, 20, 9), (3, 2, 40), (2, 1, 1), (7, 17, 33)]


def noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform noise in the range of CT."""
    return np.random.default_rng(1).uniform(-1000, 3000, shape).astype(np.float32)


def volume(stored: NDArray[Any], modality: str = "CT", intercept: float = 0.0) -> Volume:
    count = len(stored)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SPACING_MM)[::-1]
    return Volume(stored, affine, modality, np.ones(count), np.full(count, intercept))
