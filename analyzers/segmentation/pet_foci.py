"""Delineates foci of uptake on PET by published thresholds, on axes (z, y, x), in SUVbw.

A focus starts as a connected body above a starting level; a body with several maxima whose cores do
not touch is parted at the valleys between them. Its region of interest is that part with a margin;
inside it the threshold of the chosen method decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from analyzers.grid.balls import Mask, Spacing


FIXED_SHARE = 0.41
"""Share of SUVmax (EANM guideline 2.0, DOI 10.1007/s00259-014-2961-x)."""
CORE_SHARE, CONTRAST_WEIGHT = 0.70, 0.15
"""Threshold = 0.15 · mean above 70 % of the maximum + background (Nestle, PMID 16085592)."""
SHELL_MM = (8.0, 20.0)
MARGIN_MM = 10.0
PEAK_RADIUS_MM = (3.0 / (4.0 * np.pi)) ** (1 / 3) * 10.0
"""Radius of the 1 mL sphere of SUVpeak (PERCIST, DOI 10.2967/jnumed.108.057307)."""
SUBSAMPLES = 7


class Method(StrEnum):
    """How the border of a focus is set."""

    FIXED = "fixed_41"
    ABSOLUTE_2_5 = "suv_2_5"
    ABSOLUTE_4 = "suv_4"
    ADAPTIVE = "adaptive"
    PERCIST = "percist"


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """One focus: voxels inside ``window`` of the (z, y, x) grid, and its threshold (SUV)."""

    window: tuple[slice, ...]
    mask: Mask
    threshold: float


@dataclass(frozen=True, slots=True)
class Start:
    """A focus is a connected body of ``least_ml`` with SUV ``level`` or more, before it is cut."""

    level: float
    least_ml: float


Rule = Callable[["Neighbourhood"], float]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """What a threshold is computed from: SUV in a window, the starting body, other hot voxels."""

    suv: NDArray[np.float32]
    body: Mask
    distance_mm: NDArray[np.float64]
    others: Mask
    """Hot neighbours and padding."""


def delineate(
    suv: NDArray[np.float32],
    spacing_mm: Spacing,
    start: Start,
    rule: Rule,
    valid: Mask | None = None,
) -> list[Focus]:
    """The foci, each cut by its own threshold, if anything is above it; hottest first.

    valid: None: all was measured.
    """
    import cc3d
    from scipy import ndimage

    from analyzers.grid.binary import sizes_of

    least = start.least_ml * 1000.0 / float(np.prod(spacing_mm))
    labels = parted(suv, cc3d.connected_components(suv >= start.level, connectivity=18), least)
    counts = sizes_of(labels)
    found: list[Focus] = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if counts[label] < least:
            continue
        window = _widened(box, suv.shape, spacing_mm)
        near = labels[window]
        body = near == label
        distance = ndimage.distance_transform_edt(~body, sampling=spacing_mm)
        others = (near > 0) & ~body
        if valid is not None:
            others |= ~valid[window]
        around = Neighbourhood(suv[window], body, distance, others)
        threshold = rule(around)
        mask = (around.suv >= threshold) & (distance <= MARGIN_MM) & ~around.others
        reached = _reached(mask, body)
        if reached.any():
            found.append(Focus(window, reached, threshold))
    found.sort(key=lambda one: -float(suv[one.window][one.mask].max(initial=0.0)))
    return found


def parted(suv: NDArray[np.float32], bodies: NDArray[Any], least: float) -> NDArray[np.int32]:
    """Labels of the bodies, each parted between maxima whose cores do not touch.

    A maximum counts where the way to a higher one falls below ``CORE_SHARE`` of it and its part
    holds ``least`` voxels. Bodies too small to be parted keep one label.
    """
    from scipy import ndimage

    labels = np.zeros(bodies.shape, np.int32)
    count = 0
    for number, box in enumerate(ndimage.find_objects(bodies), start=1):
        body = bodies[box] == number
        parts = _basins(suv[box], body, least) if body.sum() >= 2 * least else body.astype(np.int32)
        labels[box][body] = parts[body] + count
        count += int(parts.max())
    return labels


def _basins(suv: NDArray[np.float32], body: Mask, least: float) -> NDArray[np.int32]:
    """1, 2, … inside the body: marker-controlled watershed from its prominent maxima."""
    from scipy import ndimage
    from skimage.morphology import local_maxima, reconstruction
    from skimage.segmentation import watershed

    relief = np.where(body, suv, 0.0).astype(np.float64)
    flat = reconstruction(relief * CORE_SHARE, relief, method="dilation")  # type: ignore[no-untyped-call]
    tops = local_maxima(flat) & body  # type: ignore[no-untyped-call]
    markers, count = ndimage.label(tops, np.ones((3, 3, 3)))
    basins = watershed(-relief, markers, mask=body)  # type: ignore[no-untyped-call]
    sizes = np.bincount(basins.ravel(), minlength=count + 1)
    kept = np.flatnonzero(sizes[1:] >= least) + 1
    if kept.size <= 1:
        return body.astype(np.int32)
    renamed = np.zeros(count + 1, np.int32)
    renamed[kept] = np.arange(1, kept.size + 1)
    again = watershed(-relief, renamed[markers], mask=body)  # type: ignore[no-untyped-call]
    parts: NDArray[np.int32] = again.astype(np.int32)
    parts[body & (parts == 0)] = 1
    return parts


def _reached(mask: Mask, body: Mask) -> Mask:
    """The pieces of a mask that hold voxels of the starting body."""
    import cc3d

    labels = cc3d.connected_components(mask, connectivity=18)
    touched = np.unique(labels[body & mask])
    kept: Mask = np.isin(labels, touched[touched > 0])
    return kept


def _widened(
    box: tuple[slice, ...], shape: tuple[int, ...], spacing_mm: Spacing
) -> tuple[slice, ...]:
    margins = [int(np.ceil((SHELL_MM[1] + 1) / step)) for step in spacing_mm]
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, margin, size in zip(box, margins, shape, strict=True)
    )


# --- thresholds -----------------------------------------------------------------------------------


def fixed_share(around: Neighbourhood) -> float:
    """41 % of the highest SUV of the focus."""
    return FIXED_SHARE * float(around.suv[around.body].max())


def constant(level: float) -> Rule:
    """The same SUV for every focus."""
    return lambda _: level


def adaptive(around: Neighbourhood) -> float:
    """Contrast-oriented: 15 % of the mean of the hot core above the local background.

    Background is the median 8–20 mm outside the 41 % contour, hot neighbours left out.
    """
    highest = float(around.suv[around.body].max())
    core = around.suv[around.body & (around.suv >= CORE_SHARE * highest)]
    first, last = SHELL_MM
    shell = (around.distance_mm > first) & (around.distance_mm <= last) & ~around.others
    values = around.suv[shell]
    background = float(np.median(values)) if values.size else 0.0
    return CONTRAST_WEIGHT * float(core.mean()) + background


# --- SUVpeak --------------------------------------------------------------------------------------


def suv_peak(
    suv: NDArray[np.float32], focus: Focus, spacing_mm: Spacing, valid: Mask | None = None
) -> float:
    """Highest mean SUV of a 1 mL sphere centred on a voxel of the focus.

    A voxel weighs as much as the part of it that lies in the sphere; padding weighs nothing.
    """
    from scipy import ndimage

    kernel = sphere_weights(PEAK_RADIUS_MM, spacing_mm)
    reach = [size // 2 for size in kernel.shape]
    window = tuple(
        slice(max(part.start - r, 0), part.stop + r)
        for part, r in zip(focus.window, reach, strict=True)
    )
    if valid is None:
        means = ndimage.convolve(suv[window], kernel, mode="nearest")
    else:
        weight = valid[window].astype(np.float32)
        means = ndimage.convolve(suv[window] * weight, kernel, mode="nearest")
        means /= np.maximum(ndimage.convolve(weight, kernel, mode="nearest"), kernel.max() / 2)
    inner = tuple(
        slice(part.start - wide.start, part.stop - wide.start)
        for part, wide in zip(focus.window, window, strict=True)
    )
    return float(means[inner][focus.mask].max())


def sphere_weights(radius_mm: float, spacing_mm: Spacing) -> NDArray[np.float32]:
    """Share of a sphere in each voxel of the grid round its centre; the sum is 1."""
    axes = []
    for step in spacing_mm:
        reach = int(np.ceil(max(radius_mm / step - 0.5, 0.0)))
        count = (2 * reach + 1) * SUBSAMPLES
        axes.append(((np.arange(count) + 0.5) / SUBSAMPLES - reach - 0.5) * step)
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    inside = (z**2 + y**2 + x**2 <= radius_mm**2).astype(np.float64)
    blocks = [size for axis in axes for size in (len(axis) // SUBSAMPLES, SUBSAMPLES)]
    weights = inside.reshape(blocks).sum(axis=(1, 3, 5))
    normal: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return normal
