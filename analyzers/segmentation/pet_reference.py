"""The reference uptake that PERCIST measures tumours against: a 3 cm sphere in the right liver.

PERCIST 1.0 (DOI 10.2967/jnumed.108.057307): a lesion is measurable from 1.5 · mean + 2 SD of the
liver. The rule is linear in SUV, so SUVbw gives the same voxels as SUV by lean mass.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analyzers.grid.balls import Mask, Spacing, erode
from analyzers.grid.binary import sizes_of

RADIUS_MM = 15.0
LIVER_SUV = (1.0, 4.0)
"""Mean SUVbw of healthy liver lies near 2; outside this it is no reference."""
LARGEST_VARIATION = 0.20
LEAST_CORE_ML, LARGEST_CORE_ML = 250.0, 3000.0
"""Size of the even part of the liver, without its border."""
LEAST_CONTRAST = 1.5
"""Liver over the median of the other tissue in its planes: muscle and fat take up less."""
LUNG_MM = (40.0, 140.0)
LUNG_SHARE = 0.5
"""Of the uptake of the liver: lung takes up less, from 4 to 14 cm above the liver's upper end."""
LEAST_TRUNK_ML = 12_000.0
LEVEL_WINDOW = 0.30
TISSUE_SUV = 0.2


@dataclass(frozen=True, slots=True)
class ReferenceUptake:
    """Mean and standard deviation (SUV) in the sphere, and its centre (z, y, x indices)."""

    mean: float
    deviation: float
    centre: tuple[int, int, int]

    @property
    def threshold(self) -> float:
        return 1.5 * self.mean + 2.0 * self.deviation


def reference_at(
    suv: NDArray[np.float32], centre: tuple[int, int, int], spacing_mm: Spacing
) -> ReferenceUptake | None:
    """The sphere round an index; None where it leaves the images or is not liver-like."""
    reach = [int(np.ceil(RADIUS_MM / step)) for step in spacing_mm]
    low = [c - r for c, r in zip(centre, reach, strict=True)]
    high = [c + r + 1 for c, r in zip(centre, reach, strict=True)]
    if min(low) < 0 or any(h > size for h, size in zip(high, suv.shape, strict=True)):
        return None
    window = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
    axes = [np.arange(-r, r + 1) * step for r, step in zip(reach, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    values = suv[window][z**2 + y**2 + x**2 <= RADIUS_MM**2].astype(np.float64)
    mean, deviation = float(values.mean()), float(values.std())
    if not LIVER_SUV[0] <= mean <= LIVER_SUV[1] or deviation > LARGEST_VARIATION * mean:
        return None
    return ReferenceUptake(mean, deviation, centre)


@dataclass(frozen=True, slots=True, eq=False)
class Liver:
    """The even core of the liver, without its border, and the reference uptake inside it."""

    core: Mask
    reference: ReferenceUptake

    @property
    def top(self) -> int:
        return int(np.flatnonzero(self.core.any(axis=(1, 2)))[-1])

    @property
    def bottom(self) -> int:
        return int(np.flatnonzero(self.core.any(axis=(1, 2)))[0])


def find_liver(suv: NDArray[np.float32], spacing_mm: Spacing) -> ReferenceUptake | None:
    """The reference of ``liver_of``."""
    found = liver_of(suv, spacing_mm)
    return found.reference if found else None


def liver_of(suv: NDArray[np.float32], spacing_mm: Spacing) -> Liver | None:
    """The largest even, liver-like body on the patient's right, and its most central place.

    None where there is no such body of liver size, where it does not stand out from the tissue in
    its planes, or where no lung lies above it: images of a limb, an upset liver.
    """
    body = _tissue(suv, spacing_mm)
    if body is None:
        return None
    middle = float(np.median(np.nonzero(body)[2]))
    even = _even_uptake(suv, spacing_mm) & (np.arange(suv.shape[2]) < middle)
    labels = cc3d.connected_components(erode(even, 5.0, spacing_mm), connectivity=6)
    counts = sizes_of(labels)
    counts[0] = 0
    if not counts.any():
        return None
    largest = labels == int(counts.argmax())
    size_ml = float(counts.max()) * float(np.prod(spacing_mm)) / 1000.0
    if not LEAST_CORE_ML <= size_ml <= LARGEST_CORE_ML:
        return None
    if not (_stands_out(suv, body, largest) and _lung_above(suv, largest, spacing_mm)):
        return None
    reference = reference_at(suv, _deepest(largest, spacing_mm), spacing_mm)
    return Liver(largest, reference) if reference else None


def _deepest(mask: Mask, spacing_mm: Spacing) -> tuple[int, int, int]:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(z), int(y), int(x)


def _stands_out(suv: NDArray[np.float32], body: Mask, core: Mask) -> bool:
    planes = np.flatnonzero(core.any(axis=(1, 2)))
    part = slice(int(planes[0]), int(planes[-1]) + 1)
    rest = suv[part][body[part] & ~core[part]]
    level = float(np.median(suv[core]))
    return bool(rest.size) and level >= LEAST_CONTRAST * float(np.median(rest))


def _lung_above(suv: NDArray[np.float32], core: Mask, spacing_mm: Spacing) -> bool:
    """Whether the columns over the liver hold tissue of low uptake; False where it is not seen."""
    top = int(np.flatnonzero(core.any(axis=(1, 2)))[-1])
    first, last = (top + round(away / spacing_mm[0]) for away in LUNG_MM)
    if last > suv.shape[0]:
        return False
    above = suv[first:last, core.any(axis=0)]
    level = float(np.median(suv[core]))
    return TISSUE_SUV / 2 < float(np.median(above)) < LUNG_SHARE * level


def _tissue(suv: NDArray[np.float32], spacing_mm: Spacing) -> Mask | None:
    tissue: Mask = suv > TISSUE_SUV
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    return tissue if np.count_nonzero(tissue) * voxel_ml > LEAST_TRUNK_ML else None


def _even_uptake(suv: NDArray[np.float32], spacing_mm: Spacing) -> Mask:
    """Where a 2 cm box has a liver-like mean and little spread round it."""
    size = [max(3, 2 * round(10.0 / step) + 1) for step in spacing_mm]
    mean = ndimage.uniform_filter(suv, size, mode="nearest")
    square = np.square(suv)
    ndimage.uniform_filter(square, size, output=square, mode="nearest")
    even = np.empty(suv.shape, bool)
    for here, level, power, values in zip(even, mean, square, suv, strict=True):
        spread = np.sqrt(np.maximum(power - level * level, 0))
        here[:] = (level > LIVER_SUV[0]) & (level < LIVER_SUV[1])
        here &= spread < LARGEST_VARIATION * level
        here &= np.abs(values - level) < LEVEL_WINDOW * level
    return even
