"""Views of a CT volume with axes in the patient's order, whatever order it was stored in.

Owns the one place where array order and patient directions meet: everything behind it works on
``(z to the head, y to the back, x to the left)`` and so gives the same result for every storage
order. An oblique grid keeps its voxels; its axes are named by the nearest patient direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.contract import NotApplicable, Volume

FLOOR_HU, CEILING_HU = -1100, 8000
"""Range kept of CT values: below lies no tissue, above nothing that tells tissues apart."""


@dataclass(frozen=True, slots=True, eq=False)
class PatientGrid:
    """How stored axes map to the patient's (z, y, x).

    order: stored axis that runs nearest to z, y, x. reverse: which of them run against it.
    """

    order: tuple[int, int, int]
    reverse: tuple[bool, bool, bool]
    spacing_mm: tuple[float, float, float]

    def view(self, stored: NDArray[Any]) -> NDArray[Any]:
        """A view of an array on the stored grid, axes (z, y, x)."""
        return stored.transpose(self.order)[self._flips()]

    def restore(self, array: NDArray[Any]) -> NDArray[Any]:
        """The stored axis order again, contiguous."""
        return np.ascontiguousarray(self.stored_view(array))

    def stored_view(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of an array with axes (z, y, x) on the stored grid."""
        return array[self._flips()].transpose(np.argsort(self.order))

    def _flips(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.reverse)


def patient_grid(volume: Volume) -> PatientGrid:
    """The axis order that brings the volume nearest to (z, y, x)."""
    directions = volume.affine[:3, :3] / volume.spacing_mm
    nearness = np.abs(directions[::-1])  # rows z, y, x; columns stored axes
    order = max(permutations(range(3)), key=lambda p: sum(nearness[i, a] for i, a in enumerate(p)))
    reverse = tuple(bool(directions[2 - i, axis] < 0) for i, axis in enumerate(order))
    spacing = tuple(float(volume.spacing_mm[axis]) for axis in order)
    return PatientGrid((order[0], order[1], order[2]), _three(reverse), _three(spacing))


def _three(values: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    first, second, third = values
    return first, second, third


def hounsfield(volume: Volume, grid: PatientGrid) -> NDArray[np.int16]:
    """A new int16 array of whole HU, axes (z, y, x), limited to ``FLOOR_HU`` … ``CEILING_HU``.

    Padding is blank: air or darker.
    """
    hu = np.empty([volume.shape[axis] for axis in grid.order], np.int16)
    out = grid.stored_view(hu)
    moved = np.empty(volume.shape[1:], np.int32)
    for index, plane in enumerate(volume.stored):
        if _is_whole(volume, index):
            np.add(plane, np.int32(volume.intercept[index]), out=moved)
            np.clip(moved, FLOOR_HU, CEILING_HU, out=moved)
            out[index] = moved
            continue
        values = plane.astype(np.float32)
        values *= np.float32(volume.slope[index])
        values += np.float32(volume.intercept[index])
        np.nan_to_num(values, copy=False, nan=FLOOR_HU)
        out[index] = np.clip(np.rint(values), FLOOR_HU, CEILING_HU)
    volume.blank_padding(out)
    return hu


def _is_whole(volume: Volume, index: int) -> bool:
    """Whether a slice holds whole HU, which need no rounding."""
    kind, intercept = volume.stored.dtype, float(volume.intercept[index])
    small = np.issubdtype(kind, np.integer) and kind.itemsize <= 2 and abs(intercept) < 2**24
    return bool(small and volume.slope[index] == 1 and intercept.is_integer())


def measured_here(volume: Volume, grid: PatientGrid) -> NDArray[np.bool_] | None:
    """``Volume.valid`` on axes (z, y, x); None: everywhere."""
    return None if volume.valid is None else grid.view(volume.valid)


def clear_padding(volume: Volume, grid: PatientGrid, found: NDArray[Any]) -> None:
    """Set a mask or labels on axes (z, y, x) to 0 where nothing was measured, in place."""
    valid = measured_here(volume, grid)
    if valid is not None:
        found[~valid] = 0


def require_extent(volume: Volume, least_mm: float) -> None:
    """Refuse what is too small to hold the organ.

    Raises
    ------
    NotApplicable
        The volume is empty, or thinner than ``least_mm`` along two of its axes.
    """
    if volume.stored.size == 0:
        raise NotApplicable("The series holds no image.")
    extent = np.sort(np.array(volume.shape) * volume.spacing_mm)
    if extent[1] < least_mm:
        raise NotApplicable(
            f"The images cover only {extent[0]:.0f} × {extent[1]:.0f} × {extent[2]:.0f} mm."
        )


@dataclass(frozen=True, slots=True, eq=False)
class CoarseGrid:
    """Block means of a (z, y, x) array: a coarse voxel covers ``factors`` fine ones."""

    factors: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    fine_shape: tuple[int, int, int]

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    def plane(self, field: NDArray[Any], z: int) -> NDArray[np.float32]:
        """The fine plane ``z`` of a coarse field, interpolated linearly."""
        position = (z + 0.5) / self.factors[0] - 0.5
        low = int(np.clip(np.floor(position), 0, len(field) - 1))
        high = min(low + 1, len(field) - 1)
        weight = np.float32(np.clip(position - low, 0, 1))
        if not field[low].any() and not field[high].any():
            return np.zeros(self.fine_shape[1:], np.float32)
        mixed = field[low] * (1 - weight) + field[high] * weight
        return self._enlarge(mixed.astype(np.float32), cv2.INTER_LINEAR)

    def nearest_plane(self, labels: NDArray[np.uint8], z: int) -> NDArray[np.uint8]:
        """The fine plane ``z`` of coarse labels, not interpolated."""
        chosen = np.ascontiguousarray(labels[min(z // self.factors[0], len(labels) - 1)])
        fine: NDArray[np.uint8] = self._enlarge(chosen, cv2.INTER_NEAREST).astype(np.uint8)
        return fine

    def _enlarge(self, plane: NDArray[Any], method: int) -> NDArray[Any]:
        rows, columns = plane.shape
        size = (columns * self.factors[2], rows * self.factors[1])
        fine: NDArray[Any] = cv2.resize(plane, size, interpolation=method)
        return fine[: self.fine_shape[1], : self.fine_shape[2]]


def coarse_grid(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float], aim_mm: float
) -> CoarseGrid:
    """The block size that comes nearest to cubes of ``aim_mm``."""
    factors = tuple(
        max(1, min(round(aim_mm / step), size))
        for step, size in zip(spacing_mm, shape, strict=True)
    )
    spacing = tuple(step * factor for step, factor in zip(spacing_mm, factors, strict=True))
    return CoarseGrid(_three(factors), _three(spacing), _three(tuple(shape)))


def reduce_to(
    grid: CoarseGrid, fine: NDArray[Any], of: Callable[[NDArray[Any]], Any] = np.asarray
) -> NDArray[np.float32]:
    """Block means; a last, incomplete block is filled up by repeating the edge.

    of: what of a fine plane is averaged; the plane itself where it is left out.
    """
    depth, rows, columns = grid.factors
    planes = -(-len(fine) // depth)
    tall, wide = -(-fine.shape[1] // rows), -(-fine.shape[2] // columns)
    pad = (tall * rows - fine.shape[1], wide * columns - fine.shape[2])
    out = np.zeros((planes, tall, wide), np.float32)
    for index in range(planes):
        block = fine[index * depth : (index + 1) * depth]
        mean = np.array(of(block[0]), np.float32)
        for plane in block[1:]:
            mean += of(plane)
        mean /= np.float32(len(block))
        full = cv2.copyMakeBorder(mean, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
        out[index] = cv2.resize(full, (wide, tall), interpolation=cv2.INTER_AREA)
    return out
