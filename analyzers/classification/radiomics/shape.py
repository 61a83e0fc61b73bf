"""Shape of a region in mm: mesh, compactness, axes, densities; the place of its intensity.

IBSI section 3.1. The surface is the 0.5 level of the mask by marching cubes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist, pdist
from scipy.special import eval_legendre
from skimage.measure import marching_cubes

from analyzers.classification.radiomics.grid import Features

Points = NDArray[np.float64]
LEGENDRE_TERMS = 20
"""IBSI RDD2: terms of the series for the area of an ellipsoid."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Vertices in mm ``(n, 3)`` and triangles as their indices ``(m, 3)``."""

    vertices: Points
    triangles: NDArray[np.int64]

    @property
    def volume_mm3(self) -> float:
        a, b, c = (self.vertices[self.triangles[:, corner]] for corner in range(3))
        return float(abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6)

    @property
    def area_mm2(self) -> float:
        a, b, c = (self.vertices[self.triangles[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def surface(mask: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> Mesh:
    """The closed surface of a mask ``(slice, row, column)``."""
    padded = np.pad(mask, 1).astype(np.float32)
    spacing = tuple(map(float, spacing_mm))
    found: Any = marching_cubes(padded, 0.5, spacing=spacing)  # type: ignore[no-untyped-call]
    vertices, triangles = found[0], found[1]
    return Mesh(vertices.astype(np.float64), triangles.astype(np.int64))


def shape_features(
    mask: NDArray[np.bool_], values: NDArray[np.floating], spacing_mm: NDArray[np.float64]
) -> Features:
    """The morphological features of a region of at least two voxels a side (IBSI HCUG).

    Moran's I and Geary's C are apart (``autocorrelation``): their cost grows with the square.
    """
    mesh = surface(mask, spacing_mm)
    places = np.argwhere(mask) * spacing_mm
    inside = values[mask].astype(np.float64)
    volume, area = mesh.volume_mm3, mesh.area_mm2
    hull = ConvexHull(mesh.vertices)
    return {
        "volume": volume,
        "vol_approx": float(mask.sum() * np.prod(spacing_mm)),
        "area_mesh": area,
        "av": area / volume,
        "comp_1": volume / (np.sqrt(np.pi) * area**1.5),
        "comp_2": 36 * np.pi * volume**2 / area**3,
        "sph_dispr": area / (36 * np.pi * volume**2) ** (1 / 3),
        "sphericity": (36 * np.pi * volume**2) ** (1 / 3) / area,
        "asphericity": (area**3 / (36 * np.pi * volume**2)) ** (1 / 3) - 1,
        "com": _centre_shift(places, inside),
        "diam": float(pdist(mesh.vertices[hull.vertices]).max()),
        **_axes(places, volume, area),
        **_box(mesh, volume, area),
        "vol_dens_conv_hull": volume / hull.volume,
        "area_dens_conv_hull": area / hull.area,
        "integ_int": float(inside.mean() * volume),
    }


def autocorrelation(
    mask: NDArray[np.bool_], values: NDArray[np.floating], spacing_mm: NDArray[np.float64]
) -> Features:
    """Moran's I and Geary's C with weights 1/distance (IBSI N365, NPT7). Cost: voxels squared."""
    places = np.argwhere(mask) * spacing_mm
    x = values[mask].astype(np.float64)
    apart = x - x.mean()
    weight_sum = moran = geary = 0.0
    for start in range(0, len(x), 512):
        distance = cdist(places[start : start + 512], places)
        weight = np.divide(1, distance, out=np.zeros_like(distance), where=distance > 0)
        some = x[start : start + 512, None]
        weight_sum += float(weight.sum())
        moran += float(((some - x.mean()) * weight * apart).sum())
        geary += float((weight * (some - x) ** 2).sum())
    energy = float((apart**2).sum())
    return {
        "moran_i": len(x) / weight_sum * moran / energy,
        "geary_c": (len(x) - 1) / (2 * weight_sum) * geary / energy,
    }


def _centre_shift(places: Points, inside: NDArray[np.float64]) -> float:
    weighted = (places * inside[:, None]).sum(0) / inside.sum()
    return float(np.linalg.norm(places.mean(0) - weighted))


def _axes(places: Points, volume: float, area: float) -> Features:
    """Axes of the ellipsoid that has the region's principal moments, and its densities."""
    least, minor, major = np.maximum(np.linalg.eigvalsh(np.cov(places.T)), 0)
    semi = 2 * np.sqrt([major, minor, least])
    return {
        "pca_maj_axis": float(2 * semi[0]),
        "pca_min_axis": float(2 * semi[1]),
        "pca_least_axis": float(2 * semi[2]),
        "pca_elongation": float(np.sqrt(minor / major)),
        "pca_flatness": float(np.sqrt(least / major)),
        "vol_dens_aee": volume / float(4 / 3 * np.pi * semi.prod()),
        "area_dens_aee": area / _ellipsoid_area(semi),
    }


def _ellipsoid_area(semi: NDArray[np.float64]) -> float:
    a, b, c = semi
    alpha, beta = np.sqrt(1 - b**2 / a**2), np.sqrt(1 - c**2 / a**2)
    if alpha * beta == 0:
        return float(4 * np.pi * a * b)
    term = np.arange(LEGENDRE_TERMS + 1)
    at = (alpha**2 + beta**2) / (2 * alpha * beta)
    series = (alpha * beta) ** term / (1 - 4.0 * term**2) * eval_legendre(term, at)
    return float(4 * np.pi * a * b * series.sum())


def _box(mesh: Mesh, volume: float, area: float) -> Features:
    x, y, z = np.ptp(mesh.vertices, axis=0)
    return {
        "vol_dens_aabb": float(volume / (x * y * z)),
        "area_dens_aabb": float(area / (2 * (x * y + x * z + y * z))),
    }
