"""Which region of the body a PET or MR shows, as far as outline, extent and uptake carry it.

Fewer regions than on CT, and often none: a head is a closed dome of its size, a trunk is wide and
deep, a whole body is long and ends in a head that the brain fills. Crops, limbs and what is cut at
the sides are not told.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.body_region import Region
from analyzers.contract import Volume
from analyzers.grid.balls import Mask, Spacing
from analyzers.grid.patient_grid import coarse_grid, patient_grid, reduce_to

COARSE_MM = 5.0
BODY_SUV, HOT = 0.25, 0.4
"""Uptake from which a place lies in the body; share of the hottest that outlines the brain."""
BRAIN_ML, BRAIN_MM = (700.0, 2200.0), (90.0, 210.0)
BRAIN_FILLS, MOST_HEAD_CM2 = 0.35, 450.0
WHOLE_MM, LONG_TRUNK_MM = 700.0, 450.0
"""A long trunk shows both chest and abdomen: neither of an adult alone is as long."""
TRUNK_MM, TRUNK_DEPTH_MM, TRUNK_SHARE = 270.0, 170.0, 0.6
TRUNK_ROUND = 0.55
"""Depth over width: two thighs that touch are flatter."""
HEAD_WIDTH_MM, HEAD_LENGTH_MM = (115.0, 190.0), (150.0, 240.0)
DOME_MM, LEAST_DOME_MM = 50.0, 80.0
"""So far below its top a head has nearly its full outline; so much of it has to be seen."""
DOME_TOP, MOST_SHIFT = 0.55, 0.25
MR_AIR = 0.15
"""Of the 98th percentile: below is air, in MR that shows an outline at all."""
MOST_DARK, LEAST_DARK_CORNERS = 0.12, 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """A region, how sure by the share of what tells it, and why."""

    regions: tuple[Region, ...]
    whole_body: bool
    certainty: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """The filled outline on a coarse grid, axes (z, y, x), and what lies in it."""

    values: NDArray[np.float32]
    outline: Mask
    spacing_mm: Spacing

    def sizes_mm(self) -> NDArray[np.float64]:
        """Depth and width of the outline in each plane, (z, 2)."""
        found = np.zeros((len(self.outline), 2))
        for z, plane in enumerate(self.outline):
            for axis in (0, 1):
                there = np.flatnonzero(plane.any(axis=1 - axis))
                if there.size:
                    step = self.spacing_mm[1 + axis]
                    found[z, axis] = (there[-1] - there[0] + 1) * step
        return found


def seen_region(volume: Volume) -> Seen | None:
    """What a PET in SUV or an MR shows; None where it cannot be told."""
    if 0 in volume.shape or volume.projection:
        return None
    if volume.modality == "PT" and volume.suv_factor:
        return _of_uptake(_body(volume, BODY_SUV / volume.suv_factor))
    if volume.modality == "MR":
        return _of_outline(volume)
    return None


def _body(volume: Volume, least: float) -> _Body:
    grid = patient_grid(volume)
    values = grid.view(volume.values(np.float32))
    coarse = coarse_grid(values.shape, grid.spacing_mm, COARSE_MM)
    mean = reduce_to(coarse, np.ascontiguousarray(values))
    largest = cc3d.largest_k(mean > least, k=1, connectivity=6).astype(bool)
    outline = np.stack([ndimage.binary_fill_holes(plane) for plane in largest])
    return _Body(mean, outline, coarse.spacing_mm)


# --- PET ------------------------------------------------------------------------------------------


def _of_uptake(body: _Body) -> Seen | None:
    brain = _brain(body)
    sizes, step = body.sizes_mm(), body.spacing_mm[0]
    wide = int(np.count_nonzero(sizes[:, 1] >= TRUNK_MM)) * step
    long_mm = int(np.count_nonzero(sizes[:, 1])) * step
    if brain and long_mm >= WHOLE_MM and wide >= LONG_TRUNK_MM:
        reason = f"{long_mm:.0f} mm of body with a trunk below a head that the brain fills"
        return Seen((), True, wide / (wide + LONG_TRUNK_MM / 4), reason)
    if wide >= LONG_TRUNK_MM:
        reason = f"{wide:.0f} mm of trunk: more than a chest or an abdomen alone"
        return Seen((Region.CHEST, Region.ABDOMEN), False, wide / (wide + 100.0), reason)
    if brain and wide == 0:
        return Seen((Region.HEAD,), False, brain, "uptake fills the head as a brain does")
    return None


def _brain(body: _Body) -> float:
    """How much of the head the hottest large body fills, where that is a brain; else 0."""
    voxel_ml = float(np.prod(body.spacing_mm)) / 1000.0
    top = float(np.percentile(body.values[body.outline], 99.5)) if body.outline.any() else 0.0
    for level in (HOT, 0.6 * HOT):
        labels = cc3d.connected_components(body.values > level * top, connectivity=6)
        for number, box in enumerate(ndimage.find_objects(labels), start=1):
            part = labels == number
            extent = [(p.stop - p.start) * s for p, s in zip(box, body.spacing_mm, strict=True)]
            is_size = BRAIN_ML[0] <= part.sum() * voxel_ml <= BRAIN_ML[1]
            if not is_size or not all(BRAIN_MM[0] <= one <= BRAIN_MM[1] for one in extent):
                continue
            fills = _fills_head(part, body)
            if fills:
                return fills
    return 0.0


def _fills_head(part: Mask, body: _Body) -> float:
    planes = np.flatnonzero(part.any(axis=(1, 2)))
    middle = slice(int(np.percentile(planes, 25)), int(np.percentile(planes, 75)) + 1)
    outline = body.outline[middle]
    pixel_cm2 = body.spacing_mm[1] * body.spacing_mm[2] / 100.0
    fills = float(part[middle].sum()) / max(int(outline.sum()), 1)
    is_small = outline.sum() / len(outline) * pixel_cm2 <= MOST_HEAD_CM2
    is_cut = outline[:, [0, -1]].any() or outline[:, :, [0, -1]].any()
    above = body.outline[planes[-1] + 1 :]
    ends = above.size == 0 or above[-1].sum() <= 0.5 * outline[-1].sum()
    return fills if is_small and not is_cut and ends and fills >= BRAIN_FILLS else 0.0


# --- MR -------------------------------------------------------------------------------------------


def _of_outline(volume: Volume) -> Seen | None:
    values = volume.values(np.float32)
    top = float(np.percentile(values, 98))
    if top <= 0:
        return None
    body = _body(volume, MR_AIR * top)
    if not _has_air_round(body):
        return None
    dome = _dome(body)
    if dome is not None:
        return dome
    return _trunk(body, MR_AIR * top)


def _has_air_round(body: _Body) -> bool:
    """Whether corners of the planes are air: without, there is no outline to judge."""
    corners = body.outline[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    return float((~corners).mean()) >= LEAST_DARK_CORNERS


def _dome(body: _Body) -> Seen | None:
    """A head: it ends above in a dome whose outline has a head's width and length."""
    step, outline = body.spacing_mm[0], body.outline
    planes = np.flatnonzero(outline.any(axis=(1, 2)))
    if not planes.size or len(planes) * step < LEAST_DOME_MM:
        return None
    area = outline.sum(axis=(1, 2)).astype(float)
    below = planes[-1] - max(1, round(DOME_MM / step))
    depth, width = body.sizes_mm()[max(below, 0)]
    fits = (
        HEAD_WIDTH_MM[0] <= width <= HEAD_WIDTH_MM[1]
        and HEAD_LENGTH_MM[0] <= depth <= HEAD_LENGTH_MM[1]
        and depth > width
    )
    is_cut = outline[below:, [0, -1]].any() or outline[below:, :, [0, -1]].any()
    closes = area[planes[-1]] <= DOME_TOP * area[below]
    if not fits or is_cut or not closes:
        return None
    reason = f"a dome of {width:.0f} × {depth:.0f} mm closes above"
    return Seen((Region.HEAD,), False, 1.0 - float(area[planes[-1]] / area[below]), reason)


def _trunk(body: _Body, air: float) -> Seen | None:
    """An abdomen: wide, deep, and without the dark of lungs."""
    depth, width = body.sizes_mm().T
    is_wide = (width >= TRUNK_MM) & (depth >= TRUNK_DEPTH_MM) & (width > depth)
    is_wide &= depth > TRUNK_ROUND * width
    share = float(is_wide[body.outline.any(axis=(1, 2))].mean()) if body.outline.any() else 0.0
    if share < TRUNK_SHARE:
        return None
    inside = body.values[body.outline]
    dark = float((inside < air).mean())
    if dark > MOST_DARK:
        return None
    reason = f"{share:.0%} of the slices are as wide as a trunk, {dark:.0%} of it dark"
    return Seen((Region.ABDOMEN,), False, share * (1 - dark), reason)
