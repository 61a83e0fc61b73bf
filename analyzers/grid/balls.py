"""Binary morphology with balls measured in mm, on grids of any spacing.

A ball is exact: it holds the voxels whose centres lie within its radius, on anisotropic grids too.
Small ones are laid plane by plane as discs, large ones by the Euclidean distance transform; both
give the same voxels.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.binary import box_of

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

LARGEST_BALL = 3000
"""Voxels of its half; from here on the distance transform takes less time than the discs."""


def dilate(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """All voxels whose centre lies within ``radius_mm`` of the mask."""
    if not mask.any():
        return mask.copy()
    window = _window(mask, radius_mm, spacing_mm)
    out = np.zeros_like(mask)
    out[window] = within(mask[window], radius_mm, spacing_mm)
    return out


def within(mask: Mask, radius_mm: float, spacing_mm: Spacing, *, nearer: bool = False) -> Mask:
    """As ``dilate``, for a mask that fills its array or nearly so; nothing is cut to size.

    nearer: what lies ``radius_mm`` away does not count.
    """
    if nearer:
        radius_mm = float(np.nextafter(radius_mm, 0.0))
    discs = tuple(_discs(radius_mm, spacing_mm))
    if sum(int(disc.sum()) for _, disc in discs) > LARGEST_BALL:
        near: Mask = _distance(~mask, spacing_mm) <= radius_mm
        return near if mask.any() else mask.copy()
    planes = np.ascontiguousarray(mask).view(np.uint8)
    out = np.zeros(mask.shape, np.uint8)
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        for away, disc in discs:
            grown = cv2.dilate(planes[z], disc) if disc.size > 1 else planes[z]
            for target in {z - away, z + away}:
                if 0 <= target < len(out):
                    np.bitwise_or(out[target], grown, out=out[target])
    return out.view(bool)


def _discs(radius_mm: float, spacing_mm: Spacing) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The slices of a ball from its middle on: how far away each lies, and its disc."""
    reach = [int(radius_mm / step) + 1 for step in spacing_mm]
    z, y, x = (
        (np.arange(-most, most + 1) * step) ** 2
        for most, step in zip(reach, spacing_mm, strict=True)
    )
    for away in range(reach[0] + 1):
        square = z[reach[0] + away] + y[:, None] + x[None, :]
        disc = (np.sqrt(square) <= radius_mm).astype(np.uint8)
        if not disc.any():
            return
        rows, columns = np.flatnonzero(disc.any(axis=1)), np.flatnonzero(disc.any(axis=0))
        yield away, disc[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def erode(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Voxels farther than ``radius_mm`` from the background; beyond the edge nothing is known."""
    if not mask.any():
        return mask.copy()
    window = _window(mask, spacing_mm=spacing_mm, margin_mm=max(spacing_mm))
    out = np.zeros_like(mask)
    inside = mask[window]
    out[window] = ~within(~inside, radius_mm, spacing_mm)
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
    grown = within(padded, radius_mm, spacing_mm)
    shrunk = ~within(~grown, radius_mm, spacing_mm)
    core = tuple(slice(m, m + n) for m, n in zip(margin, part.shape, strict=True))
    out = mask.copy()
    out[window] |= shrunk[core]
    return out


def _window(mask: Mask, margin_mm: float, spacing_mm: Spacing) -> tuple[slice, ...]:
    found = box_of(mask) or ()
    margins = [int(np.ceil(margin_mm / step)) + 1 for step in spacing_mm]
    return tuple(
        slice(max(part.start - margin, 0), part.stop + margin)
        for part, margin in zip(found, margins, strict=True)
    )


def _distance(mask: Mask, spacing_mm: Spacing) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    return distance
