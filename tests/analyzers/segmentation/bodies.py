"""Analytic bodies with known answers for the segmenters, axes (z, y, x)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers.contract import FDG, Tracer, Volume

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Grid = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Body:
    """Values with the truth on their grid."""

    values: Array
    spacing_mm: Grid
    truth: dict[str, Mask]

    def volume(self, modality: str = "CT", suv_factor: float | None = None) -> Volume:
        return as_volume(self.values, self.spacing_mm, modality, suv_factor)

    def ml(self, name: str) -> float:
        return float(self.truth[name].sum() * np.prod(self.spacing_mm)) / 1000.0


def as_volume(
    values: Array, spacing_mm: Grid, modality: str = "CT", suv_factor: float | None = None
) -> Volume:
    """Read-only, index (z, y, x) → LPS mm, with 0 at the first voxel."""
    stored = np.ascontiguousarray(values)
    stored.setflags(write=False)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing_mm)[::-1]
    count = len(stored)
    tracer = Tracer(FDG, "F-18") if modality == "PT" else Tracer()
    return Volume(
        *(stored, affine, modality, np.ones(count), np.zeros(count)),
        suv_factor=suv_factor,
        tracer=tracer,
    )


def turned(of: Volume, degrees: float) -> Volume:
    """The same voxels on an oblique grid."""
    turn = np.deg2rad(degrees)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    affine = of.affine.copy()
    affine[:3, :3] = rotation @ affine[:3, :3]
    return replace(of, affine=affine)


def millimetres(shape: tuple[int, int, int], spacing_mm: Grid) -> list[Array]:
    """z, y, x from the middle of the grid."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing_mm, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def on_grid(extent_mm: Grid, spacing_mm: Grid) -> tuple[tuple[int, int, int], Grid]:
    """The shape that covers an extent, with the spacing."""
    z, y, x = (round(mm / step) for mm, step in zip(extent_mm, spacing_mm, strict=True))
    return (z, y, x), spacing_mm


def with_noise(values: Array, deviation: float, seed: int = 5) -> Array:
    noise = np.random.default_rng(seed).normal(0, deviation, values.shape)
    return np.rint(values + noise).astype(np.int16)


def near_line(position: list[Array], first: Grid, last: Grid) -> Array:
    """Distance in mm from a line segment given by (z, y, x) in mm."""
    a, b = np.array(first), np.array(last)
    along = sum((p - s) * d for p, s, d in zip(position, a, b - a, strict=True))
    t = np.clip(along / float(((b - a) ** 2).sum()), 0, 1)
    gaps = [(p - (s + t * d)) ** 2 for p, s, d in zip(position, a, b - a, strict=True)]
    return np.sqrt(sum(gaps))


def tree(noise_hu: float = 20.0, step: float = 2.5) -> Body:
    """Two lungs with a trachea, main bronchi and one branch each, all with walls."""
    shape, spacing = on_grid((160.0, 180.0, 280.0), (step, step, step))
    p = z, y, x = millimetres(shape, spacing)
    hu = np.where((x / 135) ** 2 + (y / 88) ** 2 <= 1, 40.0, -1000.0) * np.ones(shape)
    for side in (-1, 1):
        hu[(z / 95) ** 2 + (y / 60) ** 2 + ((x - side * 68) / 52) ** 2 <= 1] = -860
    lumen = np.zeros(shape, bool)
    walled = near_line(p, (80, 0, 0), (10, 0, 0)) < 10.5
    tubes = [(near_line(p, (80, 0, 0), (10, 0, 0)), 8.0)]
    for side in (-1, 1):
        tubes.append((near_line(p, (10, 0, 0), (-18, 0, side * 45)), 6.0))
        tubes.append((near_line(p, (-18, 0, side * 45), (-50, 10, side * 65)), 4.0))
    for distance, radius in tubes:
        lumen |= distance < radius
        walled |= distance < radius + 3.5
    hu[walled] = 20
    hu[lumen] = -1000
    spine = np.hypot(y - 60, x) * np.ones(shape)
    hu[spine < 16] = 700
    hu[spine < 11] = 250
    return Body(with_noise(hu, noise_hu), spacing, {"airways": lumen})


def heart(
    plaques: tuple[tuple[float, int], ...] = ((6.0, 250), (3.0, 450)), step: float = 2.25
) -> Body:
    """A chest with a heart and plaques: discs of a radius (mm) and HU, three planes high."""
    shape, spacing = on_grid((132.0, 180.0, 270.0), (3.0, step, step))
    z, y, x = millimetres(shape, spacing)
    hu = np.where((x / 130) ** 2 + (y / 88) ** 2 <= 1, 40.0, -1000.0) * np.ones(shape)
    for side in (-1, 1):
        hu[(z / 85) ** 2 + (y / 62) ** 2 + ((x - side * 72) / 46) ** 2 <= 1] = -850
    spine = np.hypot(y - 62, x) * np.ones(shape)
    hu[spine < 15] = 700
    hu[spine < 10] = 250
    truth = np.zeros(shape, bool)
    for number, (radius, value) in enumerate(plaques):
        disc = (np.hypot(y + 10, x - 20 * number + 10) < radius) & (np.abs(z - 1.5) < 3.1)
        hu[disc] = value
        truth |= disc
    return Body(with_noise(hu, 8.0), spacing, {"calcium": truth})


def abdomen(step: float = 3.2) -> Body:
    """Skin, subcutaneous fat, a ring of muscle, a block of the back, visceral fat and bowel."""
    shape, spacing = on_grid((336.0, 256.0, 345.6), (6.0, step, step))
    z, y, x = millimetres(shape, spacing)
    level = np.ones(shape, bool)
    outer = (((x / 160) ** 2 + (y / 118) ** 2) <= 1) & level
    under_skin = (((x / 158) ** 2 + (y / 116) ** 2) <= 1) & level
    wall = (((x / 135) ** 2 + (y / 92) ** 2) <= 1) & level
    cavity = (((x / 120) ** 2 + (y / 77) ** 2) <= 1) & level
    back = (np.abs(x) < 50) & (y > 35) & wall
    spine = (np.hypot(y - 45, x) < 20) & level
    bowel = ((np.hypot(y + 20, x - 30) < 22) | (np.hypot(y + 15, x + 40) < 18)) & level
    hu = np.full(shape, -1000.0)
    hu[outer] = 30
    hu[under_skin] = -100
    hu[wall] = 55
    hu[cavity & ~back] = -95
    hu[bowel & cavity] = 40
    hu[spine] = 700
    hu[(np.hypot(y - 45, x) < 14) & level] = 250
    lungs = (z > 110) & (((x / 110) ** 2 + (y / 70) ** 2) <= 1) & (np.abs(x) > 15) & ~back
    hu[lungs] = -850
    wings = (z < -60) & (np.abs(np.abs(x) - 95) < 8) & (np.abs(y - 20) < 35)
    hu[wings] = 450
    truth = {
        "skeletal_muscle": (wall & ~cavity) | (back & ~spine),
        "subcutaneous_fat": under_skin & ~wall,
        "visceral_fat": cavity & ~back & ~spine & ~bowel,
    }
    return Body(with_noise(hu, 8.0), spacing, truth)


def hot_spots(levels: tuple[float, ...] = (8.0, 12.0), background: float = 1.0) -> Body:
    """Spheres of 15 mm radius in even background; stored as SUV · 1000."""
    shape, spacing = (40, 60, 80), (3.0, 4.0, 4.0)
    z, y, x = millimetres(shape, spacing)
    suv = np.full(shape, background)
    truth = {}
    for number, level in enumerate(levels):
        away = np.sqrt(z**2 + y**2 + (x - 80 * (number - 0.5)) ** 2)
        truth[f"spot_{number}"] = away < 15
        suv[away < 15] = level
    return Body(np.rint(suv * 1000).astype(np.int16), spacing, truth)


def lesion(neck: bool = False, noise: float = 30.0) -> Body:
    """A sphere of 12 mm radius, 40 HU, in lung of -800 HU; with a neck to a slab of 40 HU."""
    shape, spacing = (36, 56, 56), (2.0, 1.25, 1.25)
    z, y, x = millimetres(shape, spacing)
    ball = np.sqrt(z**2 + y**2 + x**2) < 12
    hu = np.full(shape, -800.0)
    hu[ball] = 40
    if neck:
        hu[(np.hypot(z, y) < 2) & (x > 0)] = 40
        hu[(x > 25) & np.ones(shape, bool)] = 40
    return Body(with_noise(hu, noise), spacing, {"lesion": ball})


def dice(one: Array, other: Array) -> float:
    a, b = np.asarray(one) > 0, np.asarray(other) > 0
    return float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1))
