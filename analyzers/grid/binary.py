"""Binary masks: what encloses them, holes and borders. Voxel for voxel what SciPy's gives."""

from __future__ import annotations

import itertools
from typing import Any, Literal, TypeAlias

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Mask = NDArray[np.bool_]
Connectivity: TypeAlias = Literal[6, 26]
PLANES_AT_ONCE = 32
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def box_of(mask: Mask) -> tuple[slice, ...] | None:
    """The smallest box that holds all of a mask with three axes; None where it is empty."""
    seen = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
    if not seen.size:
        return None
    flat = np.logical_or.reduce(mask[seen[0] : seen[-1] + 1], axis=0)
    rows, columns = (np.flatnonzero(flat.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(int(one[0]), int(one[-1]) + 1) for one in (seen, rows, columns))


def sizes_of(labels: NDArray[Any]) -> NDArray[np.int64]:
    """How many voxels have each label from 0 on, plane by plane: no wide copy of all is held."""
    sizes = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for plane in labels:
        found = np.bincount(plane.reshape(-1))
        sizes[: found.size] += found
    return sizes


def bodies(mask: Mask, least: float, connectivity: Connectivity) -> NDArray[Any]:
    """Numbers, from 1 on, of the connected bodies of at least so many voxels; 0 elsewhere.

    Labelled some planes at a time: specks are left out before they widen the labels of all.
    """
    out = np.zeros(mask.shape, np.uint16)
    sizes = [np.zeros(1, np.int64)]
    count = 0
    for first in range(0, len(mask), PLANES_AT_ONCE):
        slab = slice(first, first + PLANES_AT_ONCE)
        labels = cc3d.connected_components(
            np.ascontiguousarray(mask[slab]), connectivity=connectivity
        )
        found = sizes_of(labels)
        wanted = found >= least
        wanted[labels[0]] |= first > 0
        wanted[labels[-1]] |= slab.stop < len(mask)
        wanted[0] = False
        number = np.zeros(len(found), np.uint32)
        number[wanted] = np.arange(count + 1, count + 1 + np.count_nonzero(wanted))
        count += int(np.count_nonzero(wanted))
        sizes.append(found[wanted])
        if count > np.iinfo(out.dtype).max:
            out = out.astype(np.uint32)
        _renumber(out[slab], labels, number)
    if count:
        kept = _joined(out, np.concatenate(sizes), least, connectivity)
        _renumber(out, out, kept)
    return out


def _renumber(out: NDArray[Any], labels: NDArray[Any], number: NDArray[Any]) -> None:
    for plane, found in zip(out, labels, strict=True):
        plane[:] = number[found]


def _joined(
    labels: NDArray[Any], sizes: NDArray[np.int64], least: float, connectivity: Connectivity
) -> NDArray[np.uint32]:
    """For each label the number of the body that it is of; 0 where that is too small."""
    links = [np.zeros((2, 0), np.int64)]
    reach = (0,) if connectivity == 6 else (-1, 0, 1)
    for z in range(PLANES_AT_ONCE, len(labels), PLANES_AT_ONCE):
        around = np.pad(labels[z - 1], 1).astype(np.int64)
        here = labels[z]
        rows, columns = np.nonzero(here)
        for down, along in itertools.product(reach, reach):
            beside = around[rows + 1 + down, columns + 1 + along]
            pairs = np.stack([here[rows, columns].astype(np.int64), beside])
            links.append(np.unique(pairs[:, beside > 0], axis=1))
    one, other = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(one.size, bool), (one, other)), shape=(sizes.size, sizes.size))
    _, body = connected_components(graph, directed=False)
    large = np.bincount(body, weights=sizes) >= least
    large[body[0]] = False
    number = np.zeros(large.size, np.uint32)
    number[large] = np.arange(1, 1 + np.count_nonzero(large))
    return np.asarray(number[body], np.uint32)


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
