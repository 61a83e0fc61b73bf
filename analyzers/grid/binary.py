"""Binary masks: what encloses them, holes and borders. Voxel for voxel what SciPy's gives."""

from __future__ import annotations

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def box_of(mask: Mask) -> tuple[slice, ...] | None:
    """The smallest box that holds all of a mask with three axes; None where it is empty."""
    seen = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
    if not seen.size:
        return None
    flat = np.logical_or.reduce(mask[seen[0] : seen[-1] + 1], axis=0)
    rows, columns = (np.flatnonzero(flat.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in (seen, rows, columns))


def filled(mask: Mask) -> Mask:
    """The mask (three axes) with what has no way out of it face to face."""
    box = box_of(mask)
    if box is None:
        return mask.copy()
    around = np.pad(mask[box], 1)
    np.logical_not(around, out=around)
    labels = cc3d.connected_components(around, connectivity=6)
    out = mask.copy()
    out[box] = (labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return out


def filled_plane(mask: Mask) -> Mask:
    """The mask (two axes) with what has no way out of it edge to edge."""
    rows, columns = mask.shape
    around = np.ones((rows + 2, columns + 2), np.uint8)
    np.logical_not(mask, out=around[1:-1, 1:-1].view(bool))
    cv2.floodFill(around, None, (0, 0), 0)
    whole: Mask = around[1:-1, 1:-1].view(bool) | mask
    return whole


def eroded_plane(mask: Mask, times: int = 1) -> Mask:
    """The mask (two axes) less its border pixels, so many times; beyond the edge is nothing."""
    return _changed(cv2.erode, mask, times)


def opened_plane(mask: Mask, times: int = 1) -> Mask:
    """Eroded and dilated by a pixel, so many times each; beyond the edge is nothing."""
    return _changed(cv2.dilate, eroded_plane(mask, times), times)


def closed_plane(mask: Mask, times: int = 1) -> Mask:
    """Dilated and eroded by a pixel, so many times each; beyond the edge is nothing."""
    return eroded_plane(_changed(cv2.dilate, mask, times), times)


def _changed(change: object, mask: Mask, times: int) -> Mask:
    assert callable(change)
    done = change(
        np.ascontiguousarray(mask).view(np.uint8),
        _CROSS,
        iterations=times,
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    changed: Mask = np.asarray(done, np.uint8).view(bool)
    return changed
