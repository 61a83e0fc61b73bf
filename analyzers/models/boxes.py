"""Upright boxes on a picture, and how much two of them share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
"""``(n, 4)``: left, top, right, bottom in pixel edges (the first pixel spans 0 to 1)."""


def overlaps(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each with each, ``(len(one), len(other))``."""
    first = np.maximum(one[:, None, :2], other[None, :, :2])
    last = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.clip(last - first, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (one, other)]
    shared: NDArray[np.float64] = both / np.maximum(areas[0][:, None] + areas[1] - both, 1e-9)
    return shared
