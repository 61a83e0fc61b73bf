"""What is measured of an image before it is judged. All arrays are ``(slice, row, column)``."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.anatomy.body import WINDOW_PX, Mask, local_deviation
from analyzers.grid.binary import eroded_plane
from analyzers.grid.value_planes import ValuePlanes

SOFT_TISSUE_HU = (0, 170)
AIR_HU = -500
METAL_HU = 2500
LEAST_SAMPLES = 200
UNSTEADY = 0.6
"""Pixels by which the outline may differ from slice to slice before motion cannot be told."""


def noise_level(
    values: ValuePlanes, region: Mask, chosen: NDArray[np.bool_] | None = None
) -> float | None:
    """The most frequent local deviation in a region: noise rather than anatomy.

    After the global noise level of Christianson et al., AJR 2015, DOI 10.2214/AJR.14.13613; windows
    that are not wholly inside the region do not count. None: too few of them.
    """
    samples = []
    for plane, inside in zip(values, region, strict=True):
        core = eroded_plane(inside, WINDOW_PX // 2)
        if core.any():
            samples.append(local_deviation(plane)[core])
    spread = np.concatenate(samples) if samples else np.empty(0, np.float32)
    if spread.size < LEAST_SAMPLES:
        return None
    upper = 4 * float(np.median(spread))
    if upper <= 0:
        return 0.0
    counts, edges = np.histogram(spread, bins=100, range=(0.0, upper))
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    peak = int(np.argmax(smooth))
    return float((edges[peak] + edges[peak + 1]) / 2)


def soft_tissue(values: ValuePlanes, body: Mask, margin_hu: float) -> Mask:
    """Where the smoothed image lies within ``SOFT_TISSUE_HU`` widened by a margin."""
    low, high = SOFT_TISSUE_HU[0] - margin_hu, SOFT_TISSUE_HU[1] + margin_hu
    found = np.zeros(values.shape, np.bool_)
    for index, plane in enumerate(values):
        smooth = cv2.blur(plane, (WINDOW_PX, WINDOW_PX))
        found[index] = body[index] & (smooth > low) & (smooth < high)
    return found


def edge_width_mm(
    values: ValuePlanes, body: Mask, spacing_mm: tuple[float, float], valid: Mask | None = None
) -> float | None:
    """How many mm the outer border of the body takes in-plane: its step over its steepest slope.

    The median over border pixels away from padding; a sharp one takes about one and a half pixels.
    None: no border.
    """
    reach = max(2, round(6.0 / min(spacing_mm)))
    widths = []
    for index, (plane, inside) in enumerate(zip(values, body, strict=True)):
        border = inside & ~eroded_plane(inside)
        if valid is not None:
            border &= eroded_plane(valid[index], reach)
        border[:reach], border[-reach:] = False, False
        border[:, :reach], border[:, -reach:] = False, False
        if np.count_nonzero(border) < 30:
            continue
        box = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        step = cv2.dilate(plane, box) - cv2.erode(plane, box)
        slope = np.hypot(*np.gradient(plane, *spacing_mm)).astype(np.float32)
        steepest = cv2.dilate(slope, np.ones((5, 5), np.uint8))
        usable = border & (steepest > 0)
        widths.append(step[usable] / steepest[usable])
    return float(np.median(np.concatenate(widths))) if widths else None


def displaced_slices(body: Mask) -> list[int]:
    """Slices whose outline agrees with neither neighbour where the neighbours agree: moved ones.

    Measured in pixels along the outline. None are named where the outline is unsteady all over.
    """
    if len(body) < 5:
        return []
    odd = [
        np.count_nonzero((below == above) & (one != below))
        for below, one, above in zip(body[:-2], body[1:-1], body[2:], strict=True)
    ]
    perimeter = [max(1, np.count_nonzero(one & ~eroded_plane(one))) for one in body[1:-1]]
    share = np.array(odd) / np.array(perimeter)
    usual = float(np.percentile(share, 90))
    if usual > UNSTEADY:
        return []
    return [int(index) + 1 for index in np.flatnonzero(share > max(0.8, 6 * usual))]


def saturated_share(values: ValuePlanes, body: Mask) -> float:
    """Share of the body at exactly the brightest value of the image."""
    lowest, highest, count, met = np.inf, -np.inf, 0, 0
    brightest = values.range[1]
    for plane, here in zip(values, body, strict=True):
        inside = plane[here]
        lowest = min(lowest, float(inside.min(initial=np.inf)))
        highest = max(highest, float(inside.max(initial=-np.inf)))
        count, met = count + inside.size, met + int(np.count_nonzero(inside == brightest))
    return met / count if lowest < highest else 0.0


def truncated_share(body: Mask, valid: Mask | None = None) -> float:
    """Share of the border of the field of view that the body touches, at its worst over the slices.

    The border are the four sides of a slice, with padding (where ``valid`` is False) its outline.
    """
    if valid is not None:
        rims = [one & ~eroded_plane(one) for one in valid]
        met = [float(one[rim].mean()) for one, rim in zip(body, rims, strict=True) if rim.any()]
        return max(met, default=0.0)
    sides = [body[:, 0], body[:, -1], body[:, :, 0], body[:, :, -1]]
    touched = sum(np.count_nonzero(side, axis=1) for side in sides)
    length = sum(side.shape[1] for side in sides)
    return float(np.max(touched) / length) if len(body) else 0.0


def lung_cut(values: ValuePlanes, body: Mask, pixel_mm2: float) -> tuple[bool, bool]:
    """Whether air inside a chest reaches the first and the last slice."""
    aerated = [
        np.count_nonzero((plane < AIR_HU) & eroded_plane(one, 3))
        for plane, one in zip(values, body, strict=True)
    ]
    area = np.array(aerated) * pixel_mm2
    widest = float(area.max()) if len(area) else 0.0
    if widest < 5000.0:
        return False, False
    return bool(area[0] > 0.1 * widest), bool(area[-1] > 0.1 * widest)


def streak_ratio(values: ValuePlanes, body: Mask) -> float | None:
    """Noise of the slices with metal over that of the others; None: no such pair."""
    with_metal = np.array(metal_voxels(values, body)) > 0
    soft = soft_tissue(values, body, 100)
    disturbed, calm = (noise_level(values, soft, some) for some in (with_metal, ~with_metal))
    return disturbed / calm if disturbed is not None and calm else None


def metal_voxels(values: ValuePlanes, body: Mask) -> list[int]:
    """How many voxels of each slice of the body are above ``METAL_HU``."""
    return [
        int(np.count_nonzero(here & (plane > METAL_HU)))
        for plane, here in zip(values, body, strict=True)
    ]
