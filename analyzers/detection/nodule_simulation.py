"""Solid nodules drawn into real lungs, to train and to test the detector with.

A nodule is an ellipsoid (longest over shortest axis up to 1.6) whose radius varies smoothly by up
to 15 %, of -50 to 100 HU, mixed into the image with an edge as soft as the scanner's (Gaussian,
standard deviation 0.6 mm). Centres lie anywhere in the lung, so some touch vessels and some the
pleura; the part outside the lung is not drawn. Subsolid, calcified and cavitated nodules are not
simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.detection.nodule_candidates import LungGrid
from analyzers.grid.balls import Mask

DIAMETERS_MM = (5.0, 25.0)
EDGE_MM = 0.6
DENSITY_HU = (-50.0, 100.0)
APART_MM = 8.0


@dataclass(frozen=True, slots=True)
class Inserted:
    """A drawn nodule: centre on the ``LungGrid`` and equivalent diameter in mm."""

    centre: tuple[int, int, int]
    diameter_mm: float


def insert(
    grid: LungGrid, where: Mask, count: int, rng: np.random.Generator
) -> tuple[LungGrid, list[Inserted]]:
    """The grid with up to ``count`` nodules whose centres lie in ``where``, none near another."""
    hu = grid.hu.copy()
    places = np.argwhere(where)
    drawn: list[Inserted] = []
    for _ in range(20 * count):
        if len(drawn) == count or len(places) == 0:
            break
        z, y, x = (int(v) for v in places[rng.integers(len(places))])
        low, high = np.log(DIAMETERS_MM)
        size = float(np.exp(rng.uniform(low, high)))
        if any(_apart((z, y, x), size, one) < APART_MM for one in drawn):
            continue
        _draw(hu, grid.lungs, (z, y, x), size, rng)
        drawn.append(Inserted((z, y, x), size))
    return replace(grid, hu=hu), drawn


def _apart(centre: tuple[int, int, int], size: float, other: Inserted) -> float:
    distance = float(np.linalg.norm(np.subtract(centre, other.centre)))
    return distance - (size + other.diameter_mm) / 2


def _draw(
    hu: NDArray[np.float32],
    lungs: Mask,
    centre: tuple[int, int, int],
    size: float,
    rng: np.random.Generator,
) -> None:
    reach = int(np.ceil(size)) + 3
    window = tuple(
        slice(max(c - reach, 0), min(c + reach + 1, n))
        for c, n in zip(centre, hu.shape, strict=True)
    )
    grids = np.meshgrid(
        *(np.arange(part.start, part.stop) - c for part, c in zip(window, centre, strict=True)),
        indexing="ij",
    )
    offsets = np.stack(grids, axis=-1).astype(np.float64)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes = rng.uniform(1.0, 1.6, 3)
    axes *= size / 2 / np.prod(axes) ** (1 / 3)
    radius = np.linalg.norm(offsets @ turn / axes, axis=-1)
    rough = ndimage.gaussian_filter(rng.normal(size=radius.shape), size / 5)
    radius *= 1 + 0.15 * rough / max(float(np.abs(rough).max()), 1e-6)
    solid = ((radius <= 1) & lungs[window]).astype(np.float32)
    weight = ndimage.gaussian_filter(solid, EDGE_MM)
    density = np.float32(rng.uniform(*DENSITY_HU))
    hu[window] = hu[window] * (1 - weight) + density * weight
