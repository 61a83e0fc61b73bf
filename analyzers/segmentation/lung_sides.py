"""Tells the left lung from the right and parts lungs that touch.

Sides come from the patient's x axis alone (x rises to the patient's left).
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from analyzers.segmentation.balls import Mask, Spacing, erode

RIGHT_LABEL, LEFT_LABEL = 1, 2

STRADDLING_SHARE = 0.08
"""A body with more than this share beyond the midline may be two lungs that touch."""
CUT_SHARE = 0.3
"""A body with more than this share beyond the midline is cut there if nothing else parts it."""
EROSIONS_MM = (0.0, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0, 13.0)
MARKER_SHARE = 0.04


def part_sides(
    hu: NDArray[np.float32], lungs: Mask, midline: float, spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Coarse labels: ``RIGHT_LABEL``, ``LEFT_LABEL`` and 0.

    midline: position of the median plane, as an index along x.
    """
    labels = cc3d.connected_components(lungs, connectivity=6)
    out = np.zeros(lungs.shape, np.uint8)
    for label in range(1, int(labels.max()) + 1):
        body = labels == label
        if _minor_share(body, midline) > STRADDLING_SHARE:
            out[body] = _part_body(hu, body, midline, spacing_mm)[body]
        else:
            out[body] = _side(body, midline)
    return out


def body_midline(hu: NDArray[np.float32], lungs: Mask) -> float:
    """Index along x of the middle of the body, over the planes that show lung."""
    planes = hu[lungs.any(axis=(1, 2))]
    labels = cc3d.largest_k((planes > -300) | lungs[lungs.any(axis=(1, 2))], k=1, connectivity=6)
    width = np.cumsum(labels.astype(bool).sum(axis=(0, 1)))
    return float(np.searchsorted(width, width[-1] / 2))


def _part_body(
    hu: NDArray[np.float32], body: Mask, midline: float, spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Erode until the body falls apart into a left and a right marker, then flood from these."""
    level = float(np.median(hu[body]))
    ceilings = [np.inf, level + 0.6 * (-300 - level), level + 0.35 * (-300 - level)]
    for radius in EROSIONS_MM:
        for ceiling in ceilings:
            core = erode(body & (hu < ceiling), radius, spacing_mm)
            markers = _markers(core, midline)
            if markers is not None:
                return flood(hu, markers, body)
    if _minor_share(body, midline) < CUT_SHARE:
        return np.where(body, _side(body, midline), 0).astype(np.uint8)
    beyond = np.arange(body.shape[2]) > midline
    return np.where(body, np.where(beyond, LEFT_LABEL, RIGHT_LABEL), 0).astype(np.uint8)


def flood(hu: NDArray[np.float32], markers: NDArray[np.uint8], body: Mask) -> NDArray[np.uint8]:
    """Grow markers through the body, dark first: the pleura between two lungs is met last."""
    grown: NDArray[np.uint8] = watershed(hu, markers.astype(np.int32), mask=body).astype(np.uint8)
    return grown


def _markers(core: Mask, midline: float) -> NDArray[np.uint8] | None:
    """Left and right markers from the pieces of an eroded body; None while one still straddles."""
    pieces = cc3d.connected_components(core, connectivity=6)
    counts = np.bincount(pieces.ravel())
    counts[0] = 0
    out = np.zeros(core.shape, np.uint8)
    for piece in np.flatnonzero(counts >= MARKER_SHARE * counts.sum()):
        if counts[piece] == 0:
            continue
        part = pieces == piece
        if _minor_share(part, midline) > 2 * STRADDLING_SHARE:
            return None
        out[part] = _side(part, midline)
    both = (out == LEFT_LABEL).any() and (out == RIGHT_LABEL).any()
    return out if both else None


def _minor_share(body: Mask, midline: float) -> float:
    beyond = float((np.flatnonzero(body) % body.shape[2] > midline).mean())
    return min(beyond, 1 - beyond)


def _side(body: Mask, midline: float) -> int:
    centre = float(np.mean(np.flatnonzero(body) % body.shape[2]))
    return LEFT_LABEL if centre > midline else RIGHT_LABEL
