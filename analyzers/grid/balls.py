"""Binary morphology with balls measured in mm, on grids of any spacing.

Distances are exact (Euclidean distance transform), so a ball is round on anisotropic grids too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]


def dilate(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """All voxels whose centre lies within ``radius_mm`` of the mask."""
    if not mask.any():
        return mask.copy()
    window = _window(mask, radius_mm, spacing_mm)
    out = np.zeros_like(mask)
    out[window] = _distance(~mask[window], spacing_mm) <= radius_mm
    return out


def erode(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Voxels farther than ``radius_mm`` from the background; beyond the edge nothing is known."""
    if not mask.any():
        return mask.copy()
    window = _window(mask, spacing_mm=spacing_mm, margin_mm=max(spacing_mm))
    out = np.zeros_like(mask)
    inside = mask[window]
    out[window] = inside if inside.all() else _distance(inside, spacing_mm) > radius_mm
    return out


def opened(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """What a ball of this radius can reach inside the mask."""
    return dilate(erode(mask, radius_mm, spacing_mm), radius_mm, spacing_mm) & mask


def closed(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """The mask with every recess filled that a ball of this radius cannot enter from outside.

    The edge of the array is treated as if the picture went on unchanged beyond it.
    """
    if not mask.any():
        return mask.copy()
    window = _window(mask, 2 * radius_mm, spacing_mm)
    part = mask[window]
    margin = [int(np.ceil(radius_mm / step)) + 1 for step in spacing_mm]
    padded = np.pad(part, [(m, m) for m in margin], mode="edge")
    grown = _distance(~padded, spacing_mm) <= radius_mm
    shrunk = grown if grown.all() else _distance(grown, spacing_mm) > radius_mm
    core = tuple(slice(m, m + n) for m, n in zip(margin, part.shape, strict=True))
    out = mask.copy()
    out[window] |= shrunk[core]
    return out


def _window(mask: Mask, margin_mm: float, spacing_mm: Spacing) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.view(np.uint8))[0]
    margins = [int(np.ceil(margin_mm / step)) + 1 for step in spacing_mm]
    return tuple(
        slice(max(part.start - margin, 0), part.stop + margin)
        for part, margin in zip(found, margins, strict=True)
    )


def _distance(mask: Mask, spacing_mm: Spacing) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    return distance
