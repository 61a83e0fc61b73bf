"""Whether a chest on CT has its organs on the sides that its headers say.

Three things tell: the liver fills the dome of one side below the lungs, the aorta runs down beside
the spine, the heart reaches farther to one side. The headers are doubted where the liver, or aorta
and heart together, lie on the wrong side and nothing that is seen lies on the right one. Mirrored
images and organs that lie mirrored (situs inversus) look alike: no image tells which of both it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing

LIVER_HU, LIVER_SMOOTH_MM, LIVER_SHARE = (35.0, 180.0), 3.0, 0.6
LIVER_FROM_SPINE_MM = (35.0, 105.0)
"""Where the middle of the largest ball in the liver lies; arms lie farther out."""
LEAST_LIVER_RADIUS_MM, OTHER_SIDE = 30.0, 0.8
"""The largest ball on the other side (stomach, spleen) is smaller than this share of it."""
LUNG_BESIDE = 0.3
"""A plane through the middle of the liver shows less lung than this share of the fullest."""

SPINE_HU, SPINE_WIDTH_MM, LEAST_SPINE_MM2, FEWEST_SPINES = 180.0, 80.0, 300.0, 5
BESIDE_SPINE_MM = (18.0, 10.0)
"""The aorta lies in front of and beside the front of the spine, within these distances."""
REACH_MM, MOST_ROWS = 60.0, 0.8
LEAST_AORTA_MM, LEAST_EACH_MM, LEAST_TUBE_MM = 10.0, 6.0, 40.0
FULL_PLANE, EQUAL_LUNGS = 0.35, 0.6
"""Planes with so much of the largest area of lung; a lung smaller than this share of the other has
drawn heart and aorta over, or was taken out."""
LEAST_BOTH_MM2, LEAST_DEPTH_MM, WIDE, LEAST_HEART_MM = 3000.0, 60.0, 80, 12.0

LEAD = "The anatomy contradicts the headers"
LIVER, VESSELS, ALL = "the liver lies", "heart and aorta lie", "liver, heart and aorta lie"
MIRRORED = (
    f"{LEAD}: {{what}} on the other side. Either the images are mirrored or the organs of the "
    "patient are (situs inversus). Left and right must not be relied on."
)
SENTENCES = tuple(MIRRORED.format(what=what) for what in (LIVER, VESSELS, ALL))


class Side(Enum):
    """On which side of the spine something lies, by the headers."""

    RIGHT = -1
    LEFT = 1
    UNKNOWN = 0


@dataclass(frozen=True, slots=True)
class Sides:
    """liver, aorta, heart: the side that each lies on, UNKNOWN where it is not seen clearly.
    solid: 1 where the largest solid organ lies below the lungs, -1 above them, 0 not told."""

    liver: Side
    aorta: Side
    heart: Side
    solid: int = 0

    @property
    def agrees(self) -> bool:
        """Whether the same that would contradict the headers clearly agrees with them."""
        by_vessels = self.aorta is Side.LEFT and self.heart is Side.LEFT
        return (self.liver is Side.RIGHT or by_vessels) and min(self._votes) > 0

    def contradiction(self) -> str:
        """A sentence; empty where nothing contradicts the headers clearly."""
        if not self._votes or max(self._votes) > 0:
            return ""
        by_vessels = self.aorta is Side.RIGHT and self.heart is Side.RIGHT
        if self.liver is Side.LEFT:
            return MIRRORED.format(what=ALL if by_vessels else LIVER)
        return MIRRORED.format(what=VESSELS) if by_vessels else ""

    @property
    def _votes(self) -> list[int]:
        """1: as in most people; -1: the other way round."""
        found = (-self.liver.value, self.aorta.value, self.heart.value)
        return [vote for vote in found if vote]


def sides(hu: NDArray[np.float32], lungs: Mask, spacing_mm: Spacing) -> Sides:
    """Where liver, aorta and heart lie.

    hu, lungs: block means of about 4 mm, axes (z, y, x), x to the patient's left, z upwards; the
    spine behind.
    """
    unknown = Side.UNKNOWN
    spine = _spine(hu, lungs, spacing_mm)
    if spine is None:
        return Sides(unknown, unknown, unknown)
    to_left = (np.arange(hu.shape[2])[None, :] - spine[:, 1, None]) * spacing_mm[2]
    chest = _Chest(lungs, spine[:, 0], to_left, spacing_mm)
    liver, solid = _liver(hu, chest)
    if not chest.is_even():
        return Sides(liver, unknown, unknown, solid)
    return Sides(liver, _aorta(chest), _heart(chest), solid)


@dataclass(frozen=True, slots=True, eq=False)
class _Chest:
    """front: the row of the front of the spine in each plane. to_left: mm from the middle of the
    spine, (z, x)."""

    lungs: Mask
    front: NDArray[np.float64]
    to_left: NDArray[np.float64]
    spacing_mm: Spacing

    @property
    def pixel_mm2(self) -> float:
        return self.spacing_mm[1] * self.spacing_mm[2]

    def area(self) -> NDArray[np.float64]:
        return np.asarray(self.lungs.sum(axis=(1, 2)) * self.pixel_mm2)

    def is_even(self) -> bool:
        right, left = (
            int((self.lungs & (self.to_left * side > 0)[:, None, :]).sum()) for side in (-1, 1)
        )
        return min(right, left) >= EQUAL_LUNGS * max(right, left) > 0


def _spine(hu: NDArray[np.float32], lungs: Mask, spacing_mm: Spacing) -> NDArray[np.float64] | None:
    """Row of the front and column of the middle of the spine in each plane, (z, 2); None without
    one."""
    from analyzers.anatomy.chest_air import body_tissue

    body = body_tissue(hu, spacing_mm) | lungs
    found = np.full((len(hu), 2), np.nan)
    half = round(SPINE_WIDTH_MM / 2 / spacing_mm[2])
    for z, plane in enumerate(body):
        rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            continue
        middle = round(float(columns[[0, -1]].mean()))
        first = max(0, middle - half)
        bone = hu[z, :, first : middle + half + 1] > SPINE_HU
        bone[: int(rows[[0, -1]].mean())] = False
        there = np.nonzero(bone)
        if len(there[0]) * spacing_mm[1] * spacing_mm[2] >= LEAST_SPINE_MM2:
            found[z] = np.percentile(there[0], 5), np.median(there[1]) + first
    seen = np.flatnonzero(np.isfinite(found[:, 0]))
    if len(seen) < FEWEST_SPINES:
        return None
    for axis, window in ((0, 1), (1, 9)):
        smooth = ndimage.median_filter(found[seen, axis], window, mode="nearest")
        found[:, axis] = np.interp(np.arange(len(hu)), seen, smooth)
    return found


def _liver(hu: NDArray[np.float32], chest: _Chest) -> tuple[Side, int]:
    """The side of the largest ball of even soft tissue beside the spine, where that is the liver,
    and whether it lies below the lungs (1), above (-1) or neither (0)."""
    low, high = LIVER_HU
    soft = ((hu > low) & (hu < high)).astype(np.float32)
    even = ndimage.gaussian_filter(soft, [LIVER_SMOOTH_MM / step for step in chest.spacing_mm])
    depth = ndimage.distance_transform_edt(even > LIVER_SHARE, sampling=chest.spacing_mm)
    near, far = LIVER_FROM_SPINE_MM
    balls = {}
    for side in (Side.RIGHT, Side.LEFT):
        away = chest.to_left * side.value
        there = np.where(((away >= near) & (away <= far))[:, None, :], depth, 0)
        at = np.unravel_index(int(there.argmax()), there.shape)
        balls[side] = (float(there[at]), int(at[0]))
    side, other = sorted(balls, key=lambda one: -balls[one][0])
    radius, plane = balls[side]
    area = chest.area()
    if radius < LEAST_LIVER_RADIUS_MM or area[plane] >= LUNG_BESIDE * area.max():
        return Side.UNKNOWN, 0
    below = 1 if plane < int(area.argmax()) else -1
    is_liver = below == 1 and balls[other][0] <= OTHER_SIDE * radius
    return side if is_liver else Side.UNKNOWN, below


def _aorta(chest: _Chest) -> Side:
    """The side on which lung keeps away from the front of the spine, plane after plane."""
    area, found = chest.area(), []
    before, behind = (round(one / chest.spacing_mm[1]) for one in BESIDE_SPINE_MM)
    for z in np.flatnonzero(area > FULL_PLANE * area.max()):
        front = int(chest.front[z])
        rows = chest.lungs[z, max(0, front - before) : front + behind]
        right, left = (_gap_mm(rows, chest.to_left[z] * side) for side in (-1, 1))
        if all((gap < REACH_MM).mean() > MOST_ROWS for gap in (right, left)):
            found.append(float(np.median(left) - np.median(right)))
    if len(found) * chest.spacing_mm[0] < LEAST_TUBE_MM:
        return Side.UNKNOWN
    for side in (Side.LEFT, Side.RIGHT):
        wider = np.array(found) * side.value
        if np.median(wider) >= LEAST_AORTA_MM and np.percentile(wider, 10) >= LEAST_EACH_MM:
            return side
    return Side.UNKNOWN


def _gap_mm(rows: Mask, away_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row how far the first lung lies from the middle of the spine; inf without any."""
    away = np.where(rows & (away_mm > 0), away_mm, np.inf)
    return np.asarray(away.min(axis=1, initial=np.inf))


def _heart(chest: _Chest) -> Side:
    """The side to which the space between the lungs, where it is widest, reaches farther."""
    found = []
    for z, plane in enumerate(chest.lungs):
        ahead = plane[: int(chest.front[z])]
        areas = [
            (ahead & (chest.to_left[z] * side > 0)).sum() * chest.pixel_mm2 for side in (-1, 1)
        ]
        if min(areas) <= LEAST_BOTH_MM2:
            continue
        gaps = np.array([_gap_mm(ahead, chest.to_left[z] * side) for side in (-1, 1)])
        gaps = gaps[:, np.isfinite(gaps).all(axis=0)]
        if gaps.shape[1] * chest.spacing_mm[1] > LEAST_DEPTH_MM:
            right, left = np.percentile(gaps, WIDE, axis=1)
            found.append((left - right, left + right))
    if not found:
        return Side.UNKNOWN
    farther, width = np.array(found).T
    wide = farther[width >= np.percentile(width, 60)]
    for side in (Side.LEFT, Side.RIGHT):
        if np.median(wide * side.value) >= LEAST_HEART_MM:
            return side
    return Side.UNKNOWN
