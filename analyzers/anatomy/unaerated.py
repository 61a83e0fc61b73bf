"""What fills the space of the lungs and holds no air: consolidation, mass, effusion.

Attenuation cannot tell it from the chest wall, heart or liver; its place can, in part. It lies
inside the ribs, beside the mediastinum, and above aerated lung: heart, liver and spleen stand on
the floor of the chest and have no lung below them. What lies on the floor too, as most effusions
do, is told from them only where it has the attenuation of water, which gathers at the back on the
chest wall: liver, spleen and muscle are denser. A very fatty liver is not: it has lung behind it,
as free fluid has not, and no denser liver is in view beside it. Axes (z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.anatomy.chest_air import enclosed_air
from analyzers.grid.balls import Mask, Spacing, dilate, opened
from analyzers.grid.binary import box_of, sizes_of
from analyzers.grid.hounsfield import Hounsfield
from analyzers.grid.patient_grid import CoarseGrid, coarse_grid, reduce_to

COARSE_MM = 3.0
RAYS, STEP_MM, LONGEST_MM = 120, 2.0, 260.0
RIB_HU, SLOPE_MM, LEAST_RADIUS_MM = 180.0, 12.0, 45.0
"""Ribs run downward: planes within ``SLOPE_MM`` together show all round."""
INSIDE_RIBS_MM, INSIDE_LUNG_MM = 3.0, 4.0
LEAST_SHARE_SEEN, MOST_GAP_MM = 0.3, 12.0
"""Where lung and rib are both seen they touch, half of them within that; else it is no rib cage."""
COARSEST_MM, BODY_HU, BONE_HU = 5.5, -100.0, 1000.0
SOFT_HU, NOISE_MM = (-20.0, 200.0), 3.0
MEDIASTINUM_MM, HEART_MM = (45.0, 50.0), (60.0, 95.0)
"""How far mediastinum and heart reach to the right and to the left of the middle."""
TUBE_MM, TUBE_MM2, LEAST_TUBE_MM = 30.0, (100.0, 900.0), 20.0
"""The trachea and the main bronchi; where they are seen is no heart."""
BELOW_MM = 6.0
"""So much aerated lung has to lie below."""
RADIUS_MM, LEAST_ML, LEAST_ENCLOSED = 4.5, 5.0, 0.15
BORDER_MM = 4.0
FLUID_HU = (-10.0, 32.0)
"""Effusions have 0 to 25; liver, spleen, muscle and blood 35 and more. Means of several mm."""
FLUID_EDGE_HU = 45.0
LEAST_FLUID_ML, LEAST_ON_WALL, WALL_MM = 50.0, 0.2, 6.0
MOST_LUNG_BEHIND = 0.5
"""Of what lies free at the back, less has aerated lung straight behind it."""
LIVER_HU, LEAST_LIVER_MM = (35.0, 180.0), 18.0
LIVER_RIGHT_MM, LIVER_BACK_MM, LIVER_HIGH_MM = (35.0, 115.0), 20.0, 60.0
"""Where the largest ball in a liver has its middle: to the right of the middle, no farther behind
it, and so near to the lowest aerated plane. Heart, kidney and arm lie elsewhere."""
GAUSSIAN_REACH = 4.0
"""Standard deviations from its middle at which a Gaussian is cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """What the ribs enclose, on a coarse grid: mean HU, aerated lung, and what lies inside."""

    grid: CoarseGrid
    mean: NDArray[np.float32]
    aerated: Mask
    inside: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Unaerated:
    """enclosed: share of the surface, 0 to 1, that aerated lung and the chest wall bound; the rest
    borders on what may be another organ."""

    mask: Mask
    enclosed: float


@dataclass(frozen=True, slots=True, eq=False)
class Fluid:
    """on_wall: share of the surface, 0 to 1, that lies on the chest wall."""

    mask: Mask
    on_wall: float


@dataclass(frozen=True, slots=True, eq=False)
class Dark:
    """What is as dark as water. fluid: None where there is no 50 mL of it. untold_ml: how much more
    may be a liver as well as fluid."""

    fluid: Fluid | None
    untold_ml: float = 0.0


def space(hu: Hounsfield, lungs: NDArray[np.uint8], spacing_mm: Spacing) -> Space | None:
    """The space of the lungs that ``lungs`` labels; None where slices are too thick to look in it,
    or nothing is aerated."""
    grid = coarse_grid(hu.shape, spacing_mm, COARSE_MM)
    if max(grid.spacing_mm) > COARSEST_MM:
        return None
    aerated = reduce_to(grid, lungs, _is_any) > 0.5
    if not aerated.any():
        return None
    mean = reduce_to(grid, hu)
    return Space(grid, mean, aerated, _inside_ribs(mean, aerated, grid.spacing_mm))


def unaerated(of: Space, hu: Hounsfield, lungs: NDArray[np.uint8]) -> Unaerated | None:
    """Tissue without air above aerated lung; None where none is told."""
    grid = of.grid
    found = of.inside & ~of.aerated & _above_lung(of.aerated, grid.spacing_mm)
    found &= _beside_mediastinum(of.mean, of.aerated, grid.spacing_mm)
    _keep_soft(found, of.mean, SOFT_HU, NOISE_MM / 2, grid.spacing_mm)
    found = _large(opened(found, RADIUS_MM, grid.spacing_mm), LEAST_ML, grid)
    if not found.any():
        return None
    enclosed = _enclosed(found, of.aerated, of.inside, grid.spacing_mm)
    if enclosed < LEAST_ENCLOSED:
        return None
    return Unaerated(_fine(found, grid, hu, lungs), enclosed)


def fluid(of: Space, hu: Hounsfield, lungs: NDArray[np.uint8]) -> Dark:
    """What has the attenuation of water and lies at the back on the chest wall, and where it goes
    on from there beside heart and pericardium; apart from it what may be liver."""
    grid = of.grid
    rows = np.flatnonzero(of.aerated.any(axis=(0, 2)))
    middle = int(rows[[0, -1]].mean())
    left = _left_mm(of.aerated, grid.spacing_mm)
    soft = of.inside & ~of.aerated
    soft[:, :middle] &= (left > HEART_MM[1]) | (left < -HEART_MM[0])
    found = soft.copy()
    _keep_soft(found, of.mean, FLUID_HU, NOISE_MM, grid.spacing_mm)
    found = opened(found, RADIUS_MM, grid.spacing_mm)
    wall = dilate(~of.inside, WALL_MM, grid.spacing_mm)
    labels = cc3d.connected_components(found, connectivity=6)
    is_large = sizes_of(labels) * grid.voxel_ml >= LEAST_FLUID_ML
    at_back = np.unique(labels[:, middle:])
    kept = np.zeros_like(found)
    shares, untold_ml = [], 0.0
    for label in at_back[(at_back > 0) & is_large[at_back]]:
        body = labels == label
        share = _share_of_rim(body, wall, grid.spacing_mm)
        if share < LEAST_ON_WALL:
            continue
        if _may_be_liver(body, of, middle):
            untold_ml += float(body.sum()) * grid.voxel_ml
            continue
        kept |= body
        shares.append(share)
    if not shares:
        return Dark(None, untold_ml)
    soft &= (of.mean > SOFT_HU[0]) & (of.mean < FLUID_EDGE_HU)
    kept |= soft & dilate(kept, RADIUS_MM, grid.spacing_mm)
    return Dark(Fluid(_fine(kept, grid, hu, lungs), min(shares)), untold_ml)


def _may_be_liver(body: Mask, of: Space, middle: int) -> bool:
    """Whether a dark body has aerated lung behind it, or lies on the right where no denser liver
    is seen."""
    behind = np.cumsum(of.aerated[:, ::-1], axis=1, dtype=np.uint16)[:, ::-1] > 0
    if behind[body].mean() >= MOST_LUNG_BEHIND:
        return True
    left = _left_mm(of.inside, of.grid.spacing_mm)  # a lung may be gone
    is_right = float(np.broadcast_to(left, body.shape)[body].mean()) < 0
    return is_right and not _dense_liver(of, left, middle)


def _dense_liver(of: Space, left: NDArray[np.float64], middle: int) -> bool:
    """Whether an even ball of denser tissue lies where the liver does."""
    spacing_mm = of.grid.spacing_mm
    lowest = int(np.flatnonzero(of.aerated.any(axis=(1, 2)))[0])
    reach = round(LIVER_HIGH_MM / spacing_mm[0])
    planes = slice(max(lowest - reach, 0), lowest + reach + 1)
    dense = np.zeros_like(of.aerated)
    dense[planes] = True
    _keep_soft(dense, of.mean, LIVER_HU, NOISE_MM, spacing_mm)
    depth = ndimage.distance_transform_edt(dense[planes], sampling=spacing_mm)
    near, far = LIVER_RIGHT_MM
    depth[:, :, (left > -near) | (left < -far)] = 0
    depth[:, middle + round(LIVER_BACK_MM / spacing_mm[1]) :] = 0
    depth[np.cumsum(of.aerated, axis=0, dtype=np.uint16)[planes] > 0] = 0
    return bool(depth.max(initial=0.0) >= LEAST_LIVER_MM)


def _is_any(labels: NDArray[np.uint8]) -> Mask:
    there: Mask = labels.astype(bool)
    return there


def _inside_ribs(mean: NDArray[np.float32], aerated: Mask, spacing_mm: Spacing) -> Mask:
    """What the inner border of the ribs encloses, plane by plane."""
    reach = max(1, round(SLOPE_MM / spacing_mm[0]))
    away = [NOISE_MM / step for step in spacing_mm]
    bright = mean > RIB_HU
    bright &= ndimage.gaussian_filter(np.minimum(mean, BONE_HU), away) > BODY_HU
    inside = np.zeros(mean.shape, bool)
    columns = np.flatnonzero(aerated.any(axis=(0, 1)))
    rows = np.flatnonzero(aerated.any(axis=(0, 2)))
    centre = (float(rows[[0, -1]].mean()), float(columns[[0, -1]].mean()))
    y = (np.arange(mean.shape[1])[:, None] - centre[0]) * spacing_mm[1]
    x = (np.arange(mean.shape[2])[None, :] - centre[1]) * spacing_mm[2]
    angle = (np.degrees(np.arctan2(y, x)) % 360.0 / 360.0 * RAYS).astype(int) % RAYS
    radius = np.hypot(y, x)
    for z in np.flatnonzero(aerated.any(axis=(1, 2))):
        near = slice(max(z - reach, 0), z + reach + 1)
        together = np.asarray(bright[near].any(axis=0), bool)
        wall = _wall(together, aerated[z], angle, radius)
        if wall is not None:
            inside[z] = radius < wall[angle] - INSIDE_RIBS_MM
    return inside


def _wall(
    bright: Mask,
    aerated: Mask,
    angle: NDArray[np.int_],
    radius: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """How far the ribs are from the middle in each direction (mm); None where too few are seen.

    A rib lies outside of the lung that is seen in its direction, what is nearer is none.
    """
    lung = np.full(RAYS, LEAST_RADIUS_MM)
    np.maximum.at(lung, angle[aerated], radius[aerated])
    rib = bright & (radius >= lung[angle] - INSIDE_LUNG_MM)
    found = np.full(RAYS, np.inf)
    np.minimum.at(found, angle[rib], radius[rib])
    seen = np.flatnonzero(np.isfinite(found))
    both = seen[lung[seen] > LEAST_RADIUS_MM]
    if min(seen.size, both.size) < LEAST_SHARE_SEEN * RAYS:
        return None
    if np.median(found[both] - lung[both]) > MOST_GAP_MM:
        return None
    whole = np.interp(np.arange(RAYS), seen, found[seen], period=RAYS)
    smooth: NDArray[np.float64] = ndimage.median_filter(whole, size=7, mode="wrap")
    return smooth


def _beside_mediastinum(mean: NDArray[np.float32], aerated: Mask, spacing_mm: Spacing) -> Mask:
    """Far enough from the middle between the lungs: farther where the heart may be."""
    left = _left_mm(aerated, spacing_mm)
    high, low = ((left > reach[1]) | (left < -reach[0]) for reach in (MEDIASTINUM_MM, HEART_MM))
    gas = enclosed_air(mean) & ~dilate(aerated, 1.1 * max(spacing_mm), spacing_mm)
    area = gas[:, :, np.abs(left) <= TUBE_MM].sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2]
    tube = (area >= TUBE_MM2[0]) & (area <= TUBE_MM2[1])
    labels, count = ndimage.label(tube)
    long = np.bincount(labels, minlength=count + 1) * spacing_mm[0] >= LEAST_TUBE_MM
    long[0] = False
    beside = np.zeros(aerated.shape, bool)
    beside[:] = np.where(long[labels][:, None, None], high, low)
    return beside


def _left_mm(mask: Mask, spacing_mm: Spacing) -> NDArray[np.float64]:
    """How far each column lies to the left of the middle of the lungs, or of what else is given."""
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    middle = float(columns[[0, -1]].mean())
    return np.asarray((np.arange(mask.shape[2]) - middle) * spacing_mm[2], np.float64)


def _above_lung(aerated: Mask, spacing_mm: Spacing) -> Mask:
    """With aerated lung somewhere straight below."""
    enough = np.flatnonzero(np.arange(len(aerated) + 1) * spacing_mm[0] >= BELOW_MM)
    if not enough.size:
        return np.zeros(aerated.shape, bool)
    above: Mask = np.cumsum(aerated, axis=0, dtype=np.uint16) >= enough[0]
    return above


def _keep_soft(
    found: Mask,
    mean: NDArray[np.float32],
    limits_hu: tuple[float, float],
    sigma_mm: float,
    spacing_mm: Spacing,
) -> None:
    """Clear, in place, what has not an attenuation within the limits where noise is smoothed."""
    box = box_of(found)
    if box is None:
        return
    away = [sigma_mm / step for step in spacing_mm]
    reach = [int(GAUSSIAN_REACH * one + 0.5) for one in away]
    near = tuple(
        slice(max(part.start - more, 0), part.stop + more)
        for part, more in zip(box, reach, strict=True)
    )
    inner = tuple(
        slice(part.start - wide.start, part.stop - wide.start)
        for part, wide in zip(box, near, strict=True)
    )
    smooth = ndimage.gaussian_filter(mean[near], away, truncate=GAUSSIAN_REACH)[inner]
    found[box] &= (smooth > limits_hu[0]) & (smooth < limits_hu[1])


def _large(mask: Mask, least_ml: float, grid: CoarseGrid) -> Mask:
    least = max(1, int(least_ml / grid.voxel_ml))
    kept: Mask = cc3d.dust(mask, threshold=least, connectivity=6, in_place=False).astype(bool)
    return kept


def _enclosed(found: Mask, aerated: Mask, inside: Mask, spacing_mm: Spacing) -> float:
    return _share_of_rim(found, dilate(aerated | ~inside, BORDER_MM, spacing_mm), spacing_mm)


def _share_of_rim(found: Mask, bound: Mask, spacing_mm: Spacing) -> float:
    """How much of what surrounds a body is bound, 0 to 1."""
    rim = dilate(found, BORDER_MM, spacing_mm) & ~found
    return float(bound[rim].mean()) if rim.any() else 1.0


def _fine(mask: Mask, grid: CoarseGrid, hu: Hounsfield, lungs: NDArray[np.uint8]) -> Mask:
    fine = np.zeros(hu.shape, bool)
    box = box_of(mask)
    assert box is not None
    rows, columns = (
        slice(max(part.start - 1, 0) * factor, min((part.stop + 1) * factor, size))
        for part, factor, size in zip(box[1:], grid.factors[1:], hu.shape[1:], strict=True)
    )
    for z in range(len(hu)):
        if mask[grid.beside(z)].any():
            inside = grid.plane(mask, z, (rows, columns)) > 0.5
            inside &= lungs[z, rows, columns] == 0
            fine[z, rows, columns] = inside & (hu[z, rows, columns] > SOFT_HU[0] - 80)
    return fine
