"""How filters treat the border of what was measured, where a series has padding.

Owns the one rule: no filter takes padding for a value. Smoothing by weights leaves it out of sum
and weight alike (normalised convolution, Knutsson & Westin, DOI 10.1109/CVPR.1993.341081); every
other filter sees the image mirrored at that border, as it sees it at the edge of the image.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.contract import AIR_HU, Volume
from analyzers.grid.value_planes import ValuePlanes, raw_planes
from analyzers.threads import for_each

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
LEAST_WEIGHT = 1e-12
AIR_SPREAD_HU = 100
BACKGROUND_SHARE = 1 / 32
"""Part of the measured range within which padding is as dark as the darkest measured."""


def smoothed(volume: Volume, smooth: Callable[[Floats], Floats]) -> Floats:
    """Values smoothed by positive weights that sum to 1; ``smooth`` may work in place."""
    values = volume.values(np.float32)
    if volume.valid is None:
        return smooth(values)
    weight = volume.valid.astype(np.float32)
    middle = values.mean(where=volume.valid, dtype=np.float64)
    values -= np.float32(middle)
    values *= weight
    values, weight = smooth(values), smooth(weight)
    np.divide(values, np.maximum(weight, LEAST_WEIGHT), out=values)
    values += np.float32(middle)
    return values


def mirrored_values(volume: Volume) -> Floats:
    """Values whose padding is filled, within slices, with the image mirrored at its border."""
    return MirroredPlanes(volume)[:]


class MirroredPlanes(ValuePlanes):
    """What ``mirrored_values`` gives, made anew for each part that is asked for."""

    def _some(self, place: slice) -> Floats:
        valid = self._volume.valid
        if valid is None:
            return raw_planes(self._volume, place)
        wanted = range(len(self))[place]
        measured = np.flatnonzero(valid.any(axis=(1, 2)))
        nearest = [int(measured[np.abs(measured - z).argmin()]) for z in wanted]
        values = raw_planes(self._volume, place)

        def plane(index: int) -> None:
            source = nearest[index]
            if source != wanted[index]:
                values[index] = raw_planes(self._volume, slice(source, source + 1))[0]
            _fill(values[index], valid[source])

        for_each(plane, range(len(wanted)))
        return values


def repeated_values(volume: Volume) -> Floats:
    """Values whose padding is filled, within slices, with the nearest pixel that was measured."""
    values: Floats = volume.values(np.float32)
    if volume.valid is not None:
        for plane, valid in zip(values, volume.valid, strict=True):
            _fill(plane, valid, mirrored=False)
    return values


def _fill(plane: Floats, valid: Mask, *, mirrored: bool = True) -> None:
    """Fill one slice in place; where the mirror shows padding, the nearest pixel is repeated."""
    if valid.all() or not valid.any():
        return
    rows, columns = np.nonzero(~valid)
    _, labels = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(int(labels.max()) + 1, np.int64)
    place[labels[valid]] = np.flatnonzero(valid)
    near = np.stack(np.unravel_index(place[labels[rows, columns]], valid.shape))
    far = 2 * near - np.stack([rows, columns]) if mirrored else near
    limits = np.array(valid.shape)[:, None] - 1
    far = np.clip(far, 0, limits)
    source = np.where(valid[tuple(far)], far, near)
    plane[rows, columns] = plane[tuple(source)]


def field_of_view(volume: Volume) -> Mask | None:
    """Where the scanner looked, if padding tells it; None: everywhere, or padding does not tell.

    Some vendors declare as padding what air and empty background measure: its outline is that of
    the patient then, not that of a field of view.
    """
    valid = volume.valid
    if valid is None:
        return None
    place = np.unravel_index(int(valid.argmin()), valid.shape)
    raw = float(volume.stored[place]) * volume.slope[place[0]] + volume.intercept[place[0]]
    if volume.modality == "CT":
        return None if abs(raw - AIR_HU) <= AIR_SPREAD_HU else valid
    measured = volume.values(np.float32)[valid]
    lowest, highest = float(measured.min()), float(measured.max())
    return None if abs(raw - lowest) <= BACKGROUND_SHARE * (highest - lowest) else valid
