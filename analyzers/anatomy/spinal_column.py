"""What of an axial plane is spine and no muscle: vertebra with its marrow, disc and canal.

One plane shows the ring round the canal only at the height of the pedicles, and between two
vertebrae it shows a disc, which is as dense as muscle. The planes within half a vertebra, laid over
each other, show body and arch closed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing

HALF_VERTEBRA_MM = 15.0
COLUMN_MM = 35.0
"""Body, arch and the roots of the transverse processes lie within this of the midline."""
ARCH_CLOSING_MM, MARROW_CLOSING_MM = 4.0, 3.0
CANAL_MM2 = (60.0, 900.0)
CANAL_RIM_MM = 2.0
"""By so much arches laid over each other narrow the canal that each of them leaves."""
BODY_RADIUS_MM = 9.0
"""A ball of this radius fits into a lumbar or lower thoracic body, and into no process."""
WAIST_MM = 3.0
"""A body is so much narrower at its waist than at its ends."""
LEAST_SHOWN = 0.6
"""A body of which the plane itself shows less than this is a disc there."""


def spinal_column(bone: Mask, z: int, spacing_mm: Spacing) -> Mask:
    """Bone of the plane ``z`` with its marrow, and the disc and the canal between such planes."""
    pixel_mm = spacing_mm[1:]
    own: Mask = ndimage.binary_fill_holes(_shut(bone[z], MARROW_CLOSING_MM, pixel_mm))
    reach = max(1, round(HALF_VERTEBRA_MM / spacing_mm[0]))
    together = np.asarray(bone[max(z - reach, 0) : z + reach + 1].any(axis=0), bool)
    arches = _near_midline(together, pixel_mm)
    if arches is None:
        return own
    shut = _shut(arches, ARCH_CLOSING_MM, pixel_mm)
    filled: Mask = ndimage.binary_fill_holes(shut)
    canal = _canal(filled & ~shut, pixel_mm)
    return own | canal | _body(filled, own, pixel_mm)


def _near_midline(bone: Mask, pixel_mm: tuple[float, float]) -> Mask | None:
    """Bone round the spine, which is the thickest of the planes; None without one."""
    depth = ndimage.distance_transform_edt(
        ndimage.binary_fill_holes(_shut(bone, ARCH_CLOSING_MM, pixel_mm)), sampling=pixel_mm
    )
    if depth.max() < BODY_RADIUS_MM:
        return None
    middle = int(np.unravel_index(int(depth.argmax()), depth.shape)[1])
    columns = np.abs(np.arange(bone.shape[1]) - middle) * pixel_mm[1] <= COLUMN_MM
    near: Mask = bone & columns
    return near


def _canal(holes: Mask, pixel_mm: tuple[float, float]) -> Mask:
    labels, _ = ndimage.label(holes)
    area = np.bincount(labels.ravel()) * pixel_mm[0] * pixel_mm[1]
    fits = (area >= CANAL_MM2[0]) & (area <= CANAL_MM2[1])
    fits[0] = False
    return _morphology(fits[labels], cv2.MORPH_DILATE, CANAL_RIM_MM, pixel_mm)


def _body(filled: Mask, own: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """The body of the vertebra, or the disc in its place."""
    body = _morphology(filled, cv2.MORPH_OPEN, BODY_RADIUS_MM, pixel_mm)
    if not body.any() or float(own[body].mean()) < LEAST_SHOWN:
        return body
    return _morphology(body, cv2.MORPH_ERODE, WAIST_MM, pixel_mm)


def _shut(mask: Mask, radius_mm: float, pixel_mm: tuple[float, float]) -> Mask:
    return _morphology(mask, cv2.MORPH_CLOSE, radius_mm, pixel_mm)


def _morphology(mask: Mask, kind: int, radius_mm: float, pixel_mm: tuple[float, float]) -> Mask:
    across, down = (max(1, round(radius_mm / step)) for step in (pixel_mm[1], pixel_mm[0]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * across + 1, 2 * down + 1))
    done: NDArray[np.bool_] = cv2.morphologyEx(mask.astype(np.uint8), kind, disc).astype(bool)
    return done
