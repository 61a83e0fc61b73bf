"""Local mean and spread of attenuation, which tell even tissue from edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Spacing


def local_mean_and_spread(
    hu: NDArray[np.float32], radius_mm: float, spacing_mm: Spacing
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation in a box of ``radius_mm`` round every voxel.

    Along its two finest axes the box holds three voxels at least: one alone has no spread.
    """
    size = [2 * round(radius_mm / step) + 1 for step in spacing_mm]
    for axis in np.argsort(spacing_mm, kind="stable")[:2]:
        size[axis] = max(size[axis], 3)
    mean = ndimage.uniform_filter(hu, size, mode="nearest")
    square = ndimage.uniform_filter(hu * hu, size, mode="nearest")
    spread = np.sqrt(np.maximum(square - mean * mean, 0))
    return mean.astype(np.float32), spread.astype(np.float32)
