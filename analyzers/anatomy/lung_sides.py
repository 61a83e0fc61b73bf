"""Tells the left lung from the right and parts lungs that touch.

Sides come from the patient's x axis alone (x rises to the patient's left).
"""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from analyzers.grid.balls import Mask, Spacing, erode

RIGHT_LABEL, LEFT_LABEL = 1, 2

STRADDLING_SHARE = 0.08
"""A body with more than this share beyond the midline may be two lungs that touch."""
CUT_SHARE = 0.3
"""A body with more than this share beyond the midline is cut there if nothing else parts it."""
CUT_FACE_SHARE = 0.25
"""A lateral face of the images with more tissue than this cuts through the body."""
SECOND_LUNG_SHARE = 0.1
BODY_HU, TISSUE_HU = -300.0, -500.0
EROSIONS_MM = (0.0, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0, 13.0)
MARKER_SHARE = 0.04


def part_sides(hu: NDArray[np.float32], lungs: Mask, spacing_mm: Spacing) -> NDArray[np.uint8]:
    """Coarse labels: ``RIGHT_LABEL``, ``LEFT_LABEL`` and 0."""
    labels = cc3d.connected_components(lungs, connectivity=6)
    midline = find_midline(hu, labels)
    out = np.zeros(lungs.shape, np.uint8)
    for label in range(1, int(labels.max()) + 1):
        body = labels == label
        if _minor_share(body, midline) > STRADDLING_SHARE:
            out[body] = _part_body(hu, body, midline, spacing_mm)[body]
        else:
            out[body] = _side(body, midline)
    return out


def find_midline(hu: NDArray[np.float32], bodies: NDArray[np.integer[Any]]) -> float:
    """Index along x of the median plane: between two bodies of lung, else mid-body."""
    counts = np.bincount(bodies.ravel())
    counts[0] = 0
    first, second = np.argsort(counts, kind="stable")[[-1, -2]] if len(counts) > 2 else (0, 0)
    if second and counts[second] > SECOND_LUNG_SHARE * counts[first]:
        spans = sorted(_span(bodies == label) for label in (first, second))
        if spans[0][1] < spans[1][0]:
            return (spans[0][1] + spans[1][0]) / 2
    planes = (bodies > 0).any(axis=(1, 2))
    matter = cc3d.largest_k((hu[planes] > BODY_HU) | (bodies[planes] > 0), k=1, connectivity=6)
    width = np.cumsum(matter.astype(bool).sum(axis=(0, 1)))
    return float(np.searchsorted(width, width[-1] / 2))


def _span(body: Mask) -> tuple[float, float]:
    low, high = np.percentile(np.flatnonzero(body) % body.shape[2], (5, 95))
    return float(low), float(high)


def _part_body(
    hu: NDArray[np.float32], body: Mask, midline: float, spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Erode until the body falls apart into a left and a right marker, then flood from these."""
    if (side := _side_of_half_body(hu, body)) is not None:
        return np.where(body, side, 0).astype(np.uint8)
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


def _side_of_half_body(hu: NDArray[np.float32], body: Mask) -> int | None:
    """The side that images of one half of the body show; None where they show both or neither.

    The median plane then lies at the face that cuts through the body, not mid-way.
    """
    planes = hu[body.any(axis=(1, 2))]
    right_face, left_face = (
        float((planes[:, :, face] > TISSUE_HU).mean()) > CUT_FACE_SHARE for face in (0, -1)
    )
    if right_face == left_face:
        return None
    return LEFT_LABEL if right_face else RIGHT_LABEL


def flood(hu: NDArray[np.float32], markers: NDArray[np.uint8], body: Mask) -> NDArray[np.uint8]:
    """Grow markers through the body, dark first: the pleura between two lungs is met last."""
    grown = watershed(  # type: ignore[no-untyped-call]  # scikit-image is partly typed
        hu, markers.astype(np.int32), mask=body
    )
    return np.asarray(grown, np.uint8)


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
