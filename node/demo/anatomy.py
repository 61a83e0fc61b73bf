"""The anatomy of a chest as solids in patient coordinates, drawn on any grid.

Coordinates are LPS mm from the middle of the chest: x to the patient's left, y to the back, z to
the head. Sizes are those of a slim adult; Hounsfield units are textbook values without contrast
agent. What is drawn later lies on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

LENGTH_MM = 400.0
"""Half the length of what runs through the whole field of view."""

AIR_HU, FAT_HU, MUSCLE_HU, BLOOD_HU, LIVER_HU = -1000.0, -100.0, 45.0, 40.0, 60.0
LUNG_HU, EMPHYSEMA_HU, MARROW_HU, CORTEX_HU, DISC_HU = -860.0, -985.0, 180.0, 500.0, 90.0

DEPENDENT_HU_PER_MM = 0.4
"""Lung is denser on the side that lies below."""

HILUM: Mapping[str, Point] = {"right": (-34.0, 10.0, 12.0), "left": (40.0, 12.0, 8.0)}


class Solid(Protocol):
    """A part of space. ``bounds``: the corners of a box round it."""

    @property
    def bounds(self) -> tuple[Point, Point]: ...

    def holds(self, x: Floats, y: Floats, z: Floats) -> Mask: ...


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    centre: Point
    radii: Point

    @property
    def bounds(self) -> tuple[Point, Point]:
        (cx, cy, cz), (rx, ry, rz) = self.centre, self.radii
        return (cx - rx, cy - ry, cz - rz), (cx + rx, cy + ry, cz + rz)

    def holds(self, x: Floats, y: Floats, z: Floats) -> Mask:
        (cx, cy, cz), (rx, ry, rz) = self.centre, self.radii
        inside: Mask = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 <= 1
        return inside


@dataclass(frozen=True, slots=True)
class Column:
    """An elliptical cylinder along z."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    bottom: float = -LENGTH_MM
    top: float = LENGTH_MM

    @property
    def bounds(self) -> tuple[Point, Point]:
        return (
            (self.x - self.radius_x, self.y - self.radius_y, self.bottom),
            (self.x + self.radius_x, self.y + self.radius_y, self.top),
        )

    def holds(self, x: Floats, y: Floats, z: Floats) -> Mask:
        round_ = ((x - self.x) / self.radius_x) ** 2 + ((y - self.y) / self.radius_y) ** 2 <= 1
        inside: Mask = round_ & (z >= self.bottom) & (z <= self.top)
        return inside


@dataclass(frozen=True, slots=True)
class Box:
    low: Point
    high: Point

    @property
    def bounds(self) -> tuple[Point, Point]:
        return self.low, self.high

    def holds(self, x: Floats, y: Floats, z: Floats) -> Mask:
        inside: Mask = (x >= self.low[0]) & (x <= self.high[0])
        inside = inside & (y >= self.low[1]) & (y <= self.high[1])
        return inside & (z >= self.low[2]) & (z <= self.high[2])


@dataclass(frozen=True, slots=True)
class Tube:
    """A straight round tube with round ends: a piece of a vessel or an airway."""

    start: Point
    end: Point
    radius: float

    @property
    def bounds(self) -> tuple[Point, Point]:
        low = np.minimum(self.start, self.end) - self.radius
        high = np.maximum(self.start, self.end) + self.radius
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def holds(self, x: Floats, y: Floats, z: Floats) -> Mask:
        (ax, ay, az), (bx, by, bz) = self.start, self.end
        dx, dy, dz = bx - ax, by - ay, bz - az
        along = ((x - ax) * dx + (y - ay) * dy + (z - az) * dz) / (dx * dx + dy * dy + dz * dz)
        along = np.clip(along, 0, 1)
        off = (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2 + (z - az - along * dz) ** 2
        inside: Mask = off <= self.radius**2
        return inside


@dataclass(frozen=True, slots=True)
class RibCage:
    """Ribs in an elliptical chest wall; they fall towards the front."""

    radius_x: float = 152.0
    radius_y: float = 94.0
    thickness: float = 8.0
    pitch: float = 26.0
    height: float = 11.0
    fall: float = 0.35

    @property
    def bounds(self) -> tuple[Point, Point]:
        return (-self.radius_x, -self.radius_y, -LENGTH_MM), (
            self.radius_x,
            self.radius_y,
            LENGTH_MM,
        )

    def holds(self, x: Floats, y: Floats, z: Floats) -> Mask:
        outer = (x / self.radius_x) ** 2 + (y / self.radius_y) ** 2 <= 1
        rx, ry = self.radius_x - self.thickness, self.radius_y - self.thickness
        wall = outer & ((x / rx) ** 2 + (y / ry) ** 2 > 1)
        inside: Mask = wall & ((z - self.fall * y) % self.pitch < self.height)
        return inside


@dataclass(slots=True, eq=False)
class Canvas:
    """A grid with the Hounsfield units drawn so far. ``affine``: index → anatomy coordinates."""

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    hu: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.hu = np.full(self.shape, AIR_HU, np.float32)

    def mask(self, solid: Solid) -> Mask:
        """The voxels whose centres lie in the solid."""
        box = self._box(solid)
        mask = np.zeros(self.shape, np.bool_)
        mask[box] = solid.holds(*self.coordinates(box))
        return mask

    def draw(self, solid: Solid, hu: float, within: Mask | None = None) -> None:
        box = self._box(solid)
        inside = solid.holds(*self.coordinates(box))
        if within is not None:
            inside = inside & within[box]
        np.copyto(self.hu[box], np.float32(hu), where=inside)

    def coordinates(self, box: tuple[slice, ...]) -> tuple[Floats, Floats, Floats]:
        """x, y and z of the voxels in a box; an axis along which they are constant has length 1."""
        x, y, z = (self._coordinate(axis, box) for axis in range(3))
        return x, y, z

    def _coordinate(self, axis: int, box: tuple[slice, ...]) -> Floats:
        total = np.full((1, 1, 1), self.affine[axis, 3])
        for i, part in enumerate(box):
            if self.affine[axis, i]:
                steps = np.arange(part.start, part.stop) * self.affine[axis, i]
                total = total + steps.reshape([-1 if i == j else 1 for j in range(3)])
        return total.astype(np.float32)

    def _box(self, solid: Solid) -> tuple[slice, ...]:
        """The part of the grid that the solid can touch."""
        corners = np.array([(x, y, z, 1.0) for x, y, z in _corners(*solid.bounds)])
        indices = (np.linalg.inv(self.affine) @ corners.T)[:3]
        low = np.clip(np.floor(indices.min(axis=1)), 0, self.shape).astype(int)
        high = np.clip(np.ceil(indices.max(axis=1)) + 1, low, self.shape).astype(int)
        return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _corners(low: Point, high: Point) -> list[Point]:
    return [
        (x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])
    ]
