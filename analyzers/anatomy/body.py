"""The body against air, how its values vary from place to place, and what is filled with contrast
agent. All arrays are ``(slice, row, column)``.
"""

from __future__ import annotations

from typing import TypeAlias

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.grid.binary import box_of, filled_plane, opened_plane, sizes_of
from analyzers.grid.value_planes import ValuePlanes

Plane: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

BODY_HU = -300
"""Skin against air, halfway and a little on the side of the body."""
WINDOW_PX = 7
"""Side of the square in which values are said to vary."""
CONTRAST_HU = (150, 500)
UNIFORM_HU = 35


def foreground(values: ValuePlanes, modality: str, valid: Mask | None = None) -> Mask:
    """The body: above ``BODY_HU`` on CT, else above a tenth of the way to the bright end; holes
    within slices are filled and what is smaller than the largest piece is left out, as is padding
    (where ``valid`` is False)."""
    limit = BODY_HU
    if modality != "CT":
        measured = values[:].reshape(-1) if valid is None else values.inside(valid)
        low, high = np.percentile(measured, (1, 99.5), overwrite_input=True)
        del measured
        limit = low + 0.1 * (high - low)
    found = np.zeros(values.shape, np.bool_)
    for index, plane in enumerate(values):
        opened = opened_plane(plane > limit, 2)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(opened.view(np.uint8))
        if count > 1:
            largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
            found[index] = filled_plane(labels == largest)
    if valid is not None:
        found &= valid
    return found


def local_deviation(plane: Plane) -> NDArray[np.float32]:
    """Standard deviation in a square window round each pixel of one slice."""
    size = (WINDOW_PX, WINDOW_PX)
    wide = plane.astype(np.float64)
    mean = cv2.blur(wide, size)
    square = cv2.blur(wide * wide, size)
    spread: NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0)).astype(np.float32)
    return spread


def contrast_ml(values: ValuePlanes, body: Mask, voxel_ml: float) -> float:
    """Volume of the largest uniform structure between ``CONTRAST_HU``: filled vessels or organs,
    not spongy bone, whose texture is coarser."""
    uniform = np.zeros(values.shape, np.bool_)
    for index, (plane, inside) in enumerate(zip(values, body, strict=True)):
        bright = inside & (plane > CONTRAST_HU[0]) & (plane < CONTRAST_HU[1])
        if bright.any():
            uniform[index] = opened_plane(bright & (local_deviation(plane) < UNIFORM_HU))
    box = box_of(uniform)
    if box is None:
        return 0.0
    labels = cc3d.connected_components(np.ascontiguousarray(uniform[box]), connectivity=6)
    return float(sizes_of(labels)[1:].max()) * voxel_ml
