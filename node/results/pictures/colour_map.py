"""The colours of maps: dark violet for the lowest value, through red, to bright yellow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ANCHORS = np.array(
    [[0, 0, 4], [64, 15, 116], [136, 34, 106], [203, 65, 73], [244, 121, 24], [251, 191, 36],
     [252, 255, 164]], np.float64
)  # fmt: skip
"""Of "inferno" (matplotlib, CC0): brighter from step to step, also for who sees no colours."""
TABLE: NDArray[np.uint8] = np.stack(
    [
        np.interp(np.linspace(0, len(_ANCHORS) - 1, 256), np.arange(len(_ANCHORS)), channel)
        for channel in _ANCHORS.T
    ],
    axis=1,
).astype(np.uint8)
MOST_OPAQUE = 190


def coloured(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """(row, column, 4): what is low is transparent, so that the image is seen below."""
    shares = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    shares = np.nan_to_num(shares)
    rgba = np.empty((*values.shape, 4), np.uint8)
    rgba[..., :3] = TABLE[(shares * 255).astype(np.uint8)]
    rgba[..., 3] = (np.clip(shares * 2.5, 0, 1) * MOST_OPAQUE).astype(np.uint8)
    return rgba


def bar(width: int, height: int) -> NDArray[np.uint8]:
    """(row, column, 3): all colours from left to right."""
    steps = np.linspace(0, 255, width).astype(np.uint8)
    return np.repeat(TABLE[steps][None], height, axis=0)
