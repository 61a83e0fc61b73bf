"""Cuts a nodule from the vessels and the pleura it touches, and describes its shape."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.detection.nodule_candidates import STEP_MM, Candidate, LungGrid
from analyzers.grid.balls import Mask, dilate
from analyzers.grid.binary import box_of

LUNG_HU = -850.0
THRESHOLD_HU = (-650.0, -350.0)
NECK_SHARE = 0.55
"""What is thinner than this share of the nodule's own radius is a vessel that leaves it."""
SHELL_MM = (1.0, 2.5)
NECK_MM = 2.0
LEAST_NECK_VOXELS = 4
FARTHEST_MM = 80.0
FARTHEST_LOOKED_AT_MM = 5.0
"""From the body: beyond the shell round it and the necks that go on from it."""
CURVATURE = "zyc,bz,ay->bac"


@dataclass(frozen=True, slots=True)
class Shape:
    """Features of one candidate; lengths in mm.

    roundness: inscribed over equivalent diameter. elongation, flatness: longest over shortest and
    middle over longest standard deviation. fill: share of the equivalent ball that is nodule.
    air, tissue: share of the shell round it that is air, and that is tissue inside the lung.
    own: share of all connected tissue nearby that is the nodule. depth: distance of its centre to
    the edge of the lung. core: mean HU at the centre over 100. necks: how many pieces of tissue
    go on from it. calibre: the thickest of these over the nodule's own inscribed radius. blob:
    least over greatest principal curvature of the image at its own scale, 1 in a ball, 0 in a
    vessel (Frangi, MICCAI 1998, DOI 10.1007/BFb0056195). hilum: distance to the nearer hilum.
    """

    roundness: float
    elongation: float
    flatness: float
    fill: float
    air: float
    tissue: float
    own: float
    diameter: float
    depth: float
    core: float
    necks: float
    calibre: float
    blob: float
    hilum: float

    def features(self) -> NDArray[np.float64]:
        return np.array([getattr(self, one.name) for one in fields(self)], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The voxels of a candidate on the ``LungGrid``: ``mask`` fills ``window`` of it."""

    window: tuple[slice, ...]
    mask: Mask
    threshold_hu: float
    shape: Shape


def cut_out(grid: LungGrid, candidate: Candidate, least_mm: float = 0.0) -> Piece | None:
    """The piece of tissue at a candidate, without vessels; None when nothing compact is there.

    least_mm: None is also given for a piece of a smaller diameter.
    """
    reach = int(np.ceil(max(1.6 * candidate.diameter_mm, 10.0) / STEP_MM))
    centre = np.array(candidate.centre)
    low = np.maximum(centre - reach, 0)
    high = np.minimum(centre + reach + 1, grid.hu.shape)
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    hu, lungs = grid.hu[window], grid.lungs[window]
    away = _distance_from(centre - low, hu.shape)
    core = float(hu[away <= max(1.5, candidate.diameter_mm / 6)].mean())
    threshold = float(np.clip((core + LUNG_HU) / 2, *THRESHOLD_HU))
    tissue = (hu > threshold) & lungs & (away <= 1.5 * candidate.diameter_mm + 2)
    labels = cc3d.connected_components(tissue, connectivity=6)
    here = labels[tuple(centre - low)]
    if here == 0:
        return None
    connected = labels == here
    inner = _depth(connected)
    near = away <= max(2.0, candidate.diameter_mm / 2)
    radius = float(inner[near].max())
    body = _without_vessels(connected, inner, near, radius)
    voxels = int(np.count_nonzero(body))
    if voxels < 5 or _diameter_mm(voxels) < least_mm:
        return None
    outside = _distance_to(body, FARTHEST_LOOKED_AT_MM)
    necks, calibre = _necks(connected, inner, outside, radius)
    branches = Branches(
        necks, calibre, _blobness(hu, centre - low, candidate.diameter_mm), _to_hilum(grid, centre)
    )
    cut = _Cut(body, connected, outside, threshold, 2 * radius, core, branches)
    return Piece(window, body, threshold, _shape(cut, hu, lungs, grid, low))


def _necks(
    connected: Mask, inner: NDArray[np.float64], outside: NDArray[np.float64], radius: float
) -> tuple[float, float]:
    """How many pieces of tissue go on from the body, and the radius of the thickest over its."""
    around = connected & (outside > 0) & (outside <= NECK_MM)
    if not around.any():
        return 0.0, 0.0
    labels = cc3d.connected_components(around, connectivity=6)
    sizes = np.bincount(labels.ravel())[1:]
    beyond = connected & (outside > 0) & (outside <= 2 * NECK_MM)
    return float(np.count_nonzero(sizes >= LEAST_NECK_VOXELS)), float(inner[beyond].max() / radius)


def _blobness(hu: NDArray[np.float32], centre: NDArray[np.int64], diameter_mm: float) -> float:
    """Least over greatest curvature at ``centre``, by derivatives of a Gaussian of its scale."""
    sigma = diameter_mm / 2 / np.sqrt(3) / STEP_MM
    axes = [np.arange(size) - middle for size, middle in zip(hu.shape, centre, strict=True)]
    plain = [np.exp(-0.5 * (axis / sigma) ** 2) for axis in axes]
    first = [axis / sigma * bell for axis, bell in zip(axes, plain, strict=True)]
    second = [((axis / sigma) ** 2 - 1) * bell for axis, bell in zip(axes, plain, strict=True)]
    bells = [np.stack(one) for one in zip(plain, first, second, strict=True)]
    values = (hu - hu.mean()).reshape(-1, hu.shape[2])
    along = (values @ bells[2].T).reshape(*hu.shape[:2], -1)
    parts = (along, bells[0], bells[1])
    way = _contraction(tuple(one.shape for one in parts))
    moments = np.einsum(CURVATURE, *parts, optimize=way)
    curved = np.empty((3, 3))
    for row in range(3):
        for column in range(row, 3):
            orders = [int(row == axis) + int(column == axis) for axis in range(3)]
            curved[row, column] = curved[column, row] = moments[tuple(orders)]
    bends = np.linalg.eigvalsh(curved)
    return float(np.clip(bends[2] / bends[0], -1, 1)) if bends[0] < 0 else -1.0


@cache
def _contraction(shapes: tuple[tuple[int, ...], ...]) -> list[Any]:
    """In which order the moments are summed: the search for it takes longer than the sum."""
    way: list[Any] = np.einsum_path(CURVATURE, *[np.empty(one) for one in shapes], optimize=True)[0]
    return way


def _to_hilum(grid: LungGrid, centre: NDArray[np.int64]) -> float:
    away = [float(np.linalg.norm(centre - one)) * STEP_MM for one in grid.hila]
    return min((*away, FARTHEST_MM))


def _without_vessels(
    connected: Mask, inner: NDArray[np.float64], near: Mask, radius: float
) -> Mask:
    """Opening of the piece by a ball of ``NECK_SHARE`` of its own inscribed radius."""
    ball = max(1.0, NECK_SHARE * radius)
    cores = cc3d.connected_components(inner >= ball, connectivity=6)
    deepest = np.unravel_index(int(np.argmax(near & (inner == radius))), inner.shape)
    own = cores == cores[deepest] if cores[deepest] else near & connected
    return dilate(own, ball, (1.0, 1.0, 1.0)) & connected


@dataclass(frozen=True, slots=True)
class Branches:
    """What tells vessels from nodules; see ``Shape``."""

    necks: float
    calibre: float
    blob: float
    hilum: float


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A body, the tissue it was cut from, and the distance of each voxel to it."""

    body: Mask
    connected: Mask
    outside: NDArray[np.float64]
    threshold_hu: float
    inscribed: float
    core: float
    branches: Branches


def _shape(
    cut: _Cut, hu: NDArray[np.float32], lungs: Mask, grid: LungGrid, corner: NDArray[np.int64]
) -> Shape:
    """corner: of the window of ``cut`` on the grid."""
    body = cut.body
    voxels = np.argwhere(body)
    diameter = _diameter_mm(len(voxels))
    spread = np.cov(voxels.T) + np.eye(3) / 12
    deviations = np.sqrt(np.linalg.eigvalsh(spread))
    centre = voxels.mean(axis=0)
    ball = _distance_from(centre, body.shape) <= diameter / 2 / STEP_MM
    shell = (cut.outside > SHELL_MM[0]) & (cut.outside <= SHELL_MM[1])
    dense = hu[shell] >= cut.threshold_hu
    middle = [round(float(v)) + int(first) for v, first in zip(centre, corner, strict=True)]
    return Shape(
        roundness=cut.inscribed * STEP_MM / diameter,
        elongation=float(deviations[2] / deviations[0]),
        flatness=float(deviations[1] / deviations[2]),
        fill=float(np.mean(body[ball])) if ball.any() else 0.0,
        air=float(np.mean(~dense)) if dense.size else 0.0,
        tissue=float(np.mean(dense & lungs[shell])) if dense.size else 0.0,
        own=len(voxels) / int(np.count_nonzero(cut.connected)),
        diameter=diameter,
        depth=depth_mm(grid, (middle[0], middle[1], middle[2])),
        core=cut.core / 100.0,
        necks=cut.branches.necks,
        calibre=cut.branches.calibre,
        blob=cut.branches.blob,
        hilum=cut.branches.hilum,
    )


def _diameter_mm(voxels: int) -> float:
    """Of the ball of that volume."""
    diameter: float = 2 * float(3 * voxels / 4 / np.pi) ** (1 / 3) * STEP_MM
    return diameter


def _depth(mask: Mask) -> NDArray[np.float64]:
    """How far each voxel of a mask, which is not empty, is from its outside; 0 there."""
    inner = np.zeros(mask.shape)
    box = box_of(mask)
    assert box is not None
    padded = ndimage.distance_transform_edt(np.pad(mask[box], 1))
    inner[box] = padded[1:-1, 1:-1, 1:-1]
    return inner


def _distance_to(body: Mask, most_mm: float) -> NDArray[np.float64]:
    """How far each voxel is from a body, which is not empty; infinite beyond ``most_mm``."""
    away = np.full(body.shape, np.inf)
    margin = int(np.ceil(most_mm / STEP_MM))
    near = tuple(
        slice(max(part.start - margin, 0), part.stop + margin) for part in box_of(body) or ()
    )
    away[near] = ndimage.distance_transform_edt(~body[near]) * STEP_MM
    return away


def depth_mm(grid: LungGrid, place: tuple[int, int, int]) -> float:
    """How far a voxel is from the edge of the lungs; 0 outside of them."""
    if not grid.lungs[place]:
        return 0.0
    nearest, _ = grid.edge.query(place)
    return float(np.float32(nearest) * np.float32(STEP_MM))


def _distance_from(centre: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    axes = np.ogrid[tuple(slice(0, size) for size in shape)]
    squares = sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True))
    distance: NDArray[np.float64] = np.sqrt(squares)
    return distance
