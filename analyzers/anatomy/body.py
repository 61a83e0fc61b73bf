"""The body against air, how its values vary from place to place, and what is filled with contrast
agent. All arrays are ``(slice, row, column)``.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.binary import filled_plane, opened_plane

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]

BODY_HU = -300
"""Skin against air, halfway and a little on the side of the body."""
WINDOW_PX = 7
"""Side of the square in which values are said to vary."""
CONTRAST_HU = (150, 500)
UNIFORM_HU = 35


def foreground(values: Values, modality: str, valid: Mask | None = None) -> Mask:
    """The body: above ``BODY_HU`` on CT, else above a tenth of the way to the bright end; holes
    within slices are filled and what is smaller than the largest piece is left out, as is padding
    (where ``valid`` is False)."""
    if modality == "CT":
        rough = values > BODY_HU
    else:
        low, high = np.percentile(values if valid is None else values[valid], (1, 99.5))
        rough = values > low + 0.1 * (high - low)
    found = np.zeros(values.shape, np.bool_)
    for index, plane in enumerate(rough):
        opened = opened_plane(plane, 2)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(opened.view(np.uint8))
        if count > 1:
            largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
            found[index] = filled_plane(labels == largest)
    return found if valid is None else found & valid


def local_deviation(plane: Values) -> NDArray[np.float32]:
    """Standard deviation in a square window round each pixel of one slice."""
    size = (WINDOW_PX, WINDOW_PX)
    wide = plane.astype(np.float64)
    mean = cv2.blur(wide, size)
    square = cv2.blur(wide * wide, size)
    spread: NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0)).astype(np.float32)
    return spread


def contrast_ml(values: Values, body: Mask, voxel_ml: float) -> float:
    """Volume of the largest uniform structure between ``CONTRAST_HU``: filled vessels or organs,
    not spongy bone, whose texture is coarser."""
    bright = body & (values > CONTRAST_HU[0]) & (values < CONTRAST_HU[1])
    uniform = np.stack(
        [
            opened_plane(one & (local_deviation(plane) < UNIFORM_HU))
            for plane, one in zip(values, bright, strict=True)
        ]
    )
    labels, count = ndimage.label(uniform)
    return float(np.bincount(labels.ravel())[1:].max()) * voxel_ml if count else 0.0
