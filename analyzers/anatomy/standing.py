"""Whether a chest on CT stands as its headers say: head above, spine behind, liver on the right.

Four things tell, each by itself and none where it is not seen: lungs end in narrow apices above
and in wide recesses round the diaphragm below; the trachea runs in their upper part; the largest
solid organ lies below them; the spine lies behind them. The headers are doubted only where these
say so clearly. Where the chest stands as they say, ``sides`` judges left and right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.anatomy.chest_air import find_chest_air
from analyzers.anatomy.sides import sides
from analyzers.contract import Detection, Findings, Segmentation, Volume
from analyzers.grid.balls import Mask, Spacing
from analyzers.grid.hounsfield import hounsfield_planes
from analyzers.grid.patient_grid import coarse_grid, patient_grid, reduce_to

COARSE_MM, LEAST_EXTENT_MM, FEWEST_PLANES = 3.5, 100.0, 8
LEAST_LUNG_ML = 300.0
END_SHARE = (0.12, 0.35)
"""An end of the lungs: planes with so much of the largest cross-section."""
APEX_WIDTH, BASE_WIDTH = 0.45, 0.6
"""The outline round both lungs at an end, as a share of the largest: apices lie close together."""
LEAST_OF_A_SIDE = 0.15
MIDLINE_MM, LEAST_GAS_ML, OFF_CENTRE = 40.0, 3.0, 0.15
TUBE_MM2, LEAST_TUBE_MM = 800.0, 40.0
"""A trachea with its main bronchi is no wider in a plane and no shorter; gas in a stomach is."""
SPINE_MM, BONE_HU, LEAST_BEHIND_MM = 25.0, 250.0, 20.0
SPINE_MM2 = 400.0
"""Of bone behind the middle of the lungs in a plane: a spine, whatever is bright in front of it. A
heart full of contrast agent is, a breastbone has less."""
CLEAR = -2
"""Of four votes: so many more against the headers, and one that is for them does not count."""

UPSIDE_DOWN = (
    "The anatomy contradicts the headers: the lungs lie upside down in the images. Sides, levels "
    "and directions must not be relied on."
)
BACK_TO_FRONT = (
    "The anatomy contradicts the headers: the spine lies in front of the lungs. Sides and "
    "directions must not be relied on."
)
SIDES_NOT_TOLD = (
    "Left and right are as the headers say: what the images show of heart, aorta and liver does "
    "not tell the sides."
)


@dataclass(frozen=True, slots=True, eq=False)
class _Chest:
    """Coarse lungs, gas and bone, and what is told of each plane: areas in mm²."""

    hu: NDArray[np.float32]
    lungs: Mask
    gas: Mask
    bone: Mask
    spacing_mm: Spacing
    area: NDArray[np.float64]
    outline: NDArray[np.float64]
    """Area of the convex hull of both lungs."""


def told(findings: Findings, volume: Volume) -> Findings:
    """The findings; where they lie somewhere and the anatomy contradicts the headers, with that
    said before them. Where a CT shows nothing by which sides are told, and sides are named, a
    remark says whose word they are."""
    placed = [item for item in findings.items if isinstance(item, Segmentation | Detection)]
    if not placed:
        return findings
    said = judged(volume)
    first = tuple(one for one in said.contradictions if one not in findings.cautions)
    as_said = volume.modality == "CT" and not said.contradictions and not said.sides_agree
    remarks = (SIDES_NOT_TOLD,) if as_said and any(map(_names_a_side, placed)) else ()
    return replace(
        findings,
        cautions=(*first, *findings.cautions),
        remarks=(*findings.remarks, *remarks),
    )


def _names_a_side(item: Segmentation | Detection) -> bool:
    if isinstance(item, Detection):
        return item.laterality is not None
    return any(one.laterality is not None and one.measurements for one in item.segments)


@dataclass(frozen=True, slots=True)
class Judged:
    """contradictions: what of the headers the anatomy contradicts, in sentences. sides_agree: the
    anatomy shows that left and right are as they say."""

    contradictions: tuple[str, ...] = ()
    sides_agree: bool = False


def contradictions(volume: Volume) -> tuple[str, ...]:
    """What of the headers the anatomy contradicts, in sentences; () where nothing can be told."""
    return judged(volume).contradictions


def judged(volume: Volume) -> Judged:
    """How the chest in the images lies."""
    chest = _chest(volume)
    if chest is None:
        return Judged()
    said = []
    seen = sides(chest.hu, chest.lungs, chest.spacing_mm)
    votes = [vote for vote in (*_ends(chest), _trachea(chest), seen.solid) if vote]
    if votes and (max(votes) < 0 or sum(votes) <= CLEAR):
        said.append(UPSIDE_DOWN)
    if _spine_behind_mm(chest) < -LEAST_BEHIND_MM:
        said.append(BACK_TO_FRONT)
    if not said and (mirrored := seen.contradiction()):
        said.append(mirrored)
    return Judged(tuple(said), not said and seen.agrees)


def _chest(volume: Volume) -> _Chest | None:
    if volume.modality != "CT" or volume.projection or 0 in volume.shape:
        return None
    grid = patient_grid(volume)
    extent = [size * step for size, step in zip(volume.shape, volume.spacing_mm, strict=True)]
    if min(extent) < LEAST_EXTENT_MM or min(volume.shape) < FEWEST_PLANES:
        return None
    hu = hounsfield_planes(volume, grid)
    coarse = coarse_grid(hu.shape, grid.spacing_mm, COARSE_MM)
    mean = reduce_to(coarse, hu)
    air = find_chest_air(mean, coarse.spacing_mm)
    lungs = cc3d.dust(
        air.lungs, threshold=max(1, int(LEAST_LUNG_ML / coarse.voxel_ml)), connectivity=6
    ).astype(bool)
    if not lungs.any():
        return None
    pixel_mm2 = coarse.spacing_mm[1] * coarse.spacing_mm[2]
    area = lungs.sum(axis=(1, 2)) * pixel_mm2
    outline = np.array([_hull_pixels(plane) for plane in lungs]) * pixel_mm2
    return _Chest(mean, lungs, air.gas, mean > BONE_HU, coarse.spacing_mm, area, outline)


def _hull_pixels(plane: Mask) -> float:
    points = cv2.findNonZero(plane.astype(np.uint8))
    return 0.0 if points is None else float(cv2.contourArea(cv2.convexHull(points)))


def _ends(chest: _Chest) -> tuple[int, int]:
    """For the lower and the upper end: 1 as it should be, -1 the other way round, 0 not told."""
    largest = int(chest.area.argmax())
    low, high = (share * chest.area[largest] for share in END_SHARE)
    votes = []
    for planes, right_way in ((range(largest), "base"), (range(largest, len(chest.area)), "apex")):
        end = [z for z in planes if low <= chest.area[z] <= high and _shows_both(chest.lungs[z])]
        if not end:
            votes.append(0)
            continue
        width = float(np.median(chest.outline[end])) / float(chest.outline.max())
        kind = "base" if width > BASE_WIDTH else "apex" if width < APEX_WIDTH else ""
        votes.append(0 if not kind else 1 if kind == right_way else -1)
    return votes[0], votes[1]


def _shows_both(plane: Mask) -> bool:
    """Whether lung lies on both sides of the middle: one lung alone tells of no width."""
    columns = plane.sum(axis=0)
    told = np.flatnonzero(columns)
    middle = (told[0] + told[-1] + 1) // 2
    right, left = columns[:middle].sum(), columns[middle:].sum()
    return bool(min(right, left) >= LEAST_OF_A_SIDE * (right + left))


def _trachea(chest: _Chest) -> int:
    """1 where gas near the midline lies in the upper part of the lungs, -1 in the lower."""
    planes = np.flatnonzero(chest.area)
    columns = np.flatnonzero(chest.lungs.any(axis=(0, 1)))
    middle = float(columns[[0, -1]].mean())
    away = np.abs(np.arange(chest.gas.shape[2]) - middle) * chest.spacing_mm[2]
    gas = (chest.gas & (away <= MIDLINE_MM)).sum(axis=(1, 2)) * (
        chest.spacing_mm[1] * chest.spacing_mm[2]
    )
    gas[: planes[0]], gas[planes[-1] + 1 :] = 0, 0
    gas[gas > TUBE_MM2] = 0
    is_long = np.count_nonzero(gas) * chest.spacing_mm[0] >= LEAST_TUBE_MM
    if not is_long or gas.sum() * chest.spacing_mm[0] / 1000.0 < LEAST_GAS_ML:
        return 0
    centre, tube = (
        float(np.average(np.arange(len(gas)), weights=weights)) for weights in (chest.area, gas)
    )
    above = (tube - centre) / len(planes)
    return 0 if abs(above) < OFF_CENTRE else 1 if above > 0 else -1


def _spine_behind_mm(chest: _Chest) -> float:
    """How far behind the middle of the lungs the bone of the midline lies; 0 where none is, or
    where a spine lies behind and more that is bright in front."""
    found = []
    pixel_mm2 = chest.spacing_mm[1] * chest.spacing_mm[2]
    for z in np.flatnonzero(chest.area > chest.area.max() / 2):
        rows, columns = (np.flatnonzero(chest.lungs[z].any(axis=axis)) for axis in (1, 0))
        half = max(1, round(SPINE_MM / chest.spacing_mm[2]))
        middle = int(columns[[0, -1]].mean())
        bone = np.nonzero(chest.bone[z, :, max(0, middle - half) : middle + half])[0]
        if bone.size:
            behind = (bone - rows[[0, -1]].mean()) * chest.spacing_mm[1]
            is_behind = np.count_nonzero(behind > 0) * pixel_mm2 >= SPINE_MM2
            found.append(max(float(behind.mean()), 0.0 if is_behind else -np.inf))
    return float(np.median(found)) if found else 0.0
