"""Views of a CT volume with axes in the patient's order, whatever order it was stored in.

Owns the one place where array order and patient directions meet: everything behind it works on
``(z to the head, y to the back, x to the left)`` and so gives the same result for every storage
order. An oblique grid keeps its voxels; its axes are named by the nearest patient direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzers.contract import NotApplicable, Volume

Window = tuple[slice, slice]

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
    for index, plane in enumerate(volume.stored):
        if is_whole(volume, index):
            out[index] = whole_hounsfield(plane, int(volume.intercept[index]))
            continue
        values = plane.astype(np.float32)
        values *= np.float32(volume.slope[index])
        values += np.float32(volume.intercept[index])
        np.nan_to_num(values, copy=False, nan=FLOOR_HU)
        out[index] = np.clip(np.rint(values), FLOOR_HU, CEILING_HU)
    volume.blank_padding(out)
    return hu


def is_whole(volume: Volume, index: int) -> bool:
    """Whether a slice holds whole HU, which need no rounding."""
    kind, intercept = volume.stored.dtype, float(volume.intercept[index])
    small = np.issubdtype(kind, np.integer) and kind.itemsize <= 2 and kind.isnative
    small &= abs(intercept) < 2**15
    return bool(small and volume.slope[index] == 1 and intercept.is_integer())


def whole_hounsfield(stored: NDArray[Any], intercept: int) -> NDArray[np.int16]:
    """HU of what was stored in one or two bytes, as a new array, limited as ``hounsfield`` does."""
    moved = np.empty(stored.shape, np.int16)
    if not stored.size or (stored.dtype == np.int16 and not intercept):
        return np.clip(stored, FLOOR_HU, CEILING_HU, out=moved)
    flat = np.ascontiguousarray(stored).reshape(1, -1)
    by: Any = float(intercept)
    cv2.add(flat, by, dst=moved.reshape(1, -1), dtype=cv2.CV_16S)
    return np.clip(moved, FLOOR_HU, CEILING_HU, out=moved)


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


class Planes(Protocol):
    """An array with three axes, or what gives parts of one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, place: int | slice, /) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class CoarseGrid:
    """Block means of a (z, y, x) array: a coarse voxel covers ``factors`` fine ones."""

    factors: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    fine_shape: tuple[int, int, int]

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def whole_plane(self) -> Window:
        """All rows and columns of a fine plane."""
        return slice(0, self.fine_shape[1]), slice(0, self.fine_shape[2])

    def beside(self, z: int) -> slice:
        """The coarse planes, one or two, that the fine plane ``z`` lies between."""
        low = max(int(np.floor(self._position(z))), 0)
        return slice(low, min(low + 2, -(-self.fine_shape[0] // self.factors[0])))

    def plane(
        self, field: NDArray[Any], z: int, window: Window | None = None
    ) -> NDArray[np.float32]:
        """The fine plane ``z`` of a coarse field, or a window of it, interpolated linearly."""
        window = window or self.whole_plane
        near = field[self.beside(z)]
        low, high = near[0], near[-1]
        weight = np.float32(np.clip(self._position(z) - self.beside(z).start, 0, 1))
        if not low.any() and not high.any():
            return np.zeros([part.stop - part.start for part in window], np.float32)
        mixed = low * (1 - weight) + high * weight
        return self._enlarge(mixed.astype(np.float32), cv2.INTER_LINEAR, window)

    def nearest_plane(
        self, labels: NDArray[np.uint8], z: int, window: Window | None = None
    ) -> NDArray[np.uint8]:
        """The fine plane ``z`` of coarse labels, or a window of it, not interpolated."""
        chosen = labels[min(z // self.factors[0], len(labels) - 1)]
        return self._enlarge(chosen, cv2.INTER_NEAREST, window or self.whole_plane)

    def _position(self, z: int) -> float:
        return (z + 0.5) / self.factors[0] - 0.5

    def _enlarge(self, plane: NDArray[Any], method: int, window: Window) -> NDArray[Any]:
        """What lies behind the window is left out; what lies before it moves the others' places."""
        rows, columns = (
            -(-part.stop // factor) + 1
            for part, factor in zip(window, self.factors[1:], strict=True)
        )
        needed = np.ascontiguousarray(plane[:rows, :columns])
        size = (needed.shape[1] * self.factors[2], needed.shape[0] * self.factors[1])
        fine: NDArray[Any] = cv2.resize(needed, size, interpolation=method)
        return fine[window]


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
    grid: CoarseGrid, fine: Planes, of: Callable[[NDArray[Any]], Any] = np.asarray
) -> NDArray[np.float32]:
    """Block means; a last, incomplete block is filled up by repeating the edge.

    fine: axes (z, y, x), or what gives its parts. of: what of some fine planes is averaged; the
    planes themselves where it is left out.
    """
    depth, rows, columns = grid.factors
    planes = -(-len(fine) // depth)
    _, height, width = fine.shape
    tall, wide = -(-height // rows), -(-width // columns)
    pad = (tall * rows - height, wide * columns - width)
    out = np.zeros((planes, tall, wide), np.float32)
    for index in range(planes):
        block = of(fine[index * depth : (index + 1) * depth])
        mean = _sum(block)
        mean /= np.float32(len(block))
        full = cv2.copyMakeBorder(mean, 0, pad[0], 0, pad[1], cv2.BORDER_REPLICATE)
        out[index] = cv2.resize(full, (wide, tall), interpolation=cv2.INTER_AREA)
    return out


def _sum(block: NDArray[Any]) -> NDArray[np.float32]:
    """Of some planes; whole numbers are added as such, which is faster and gives the same."""
    if block.dtype == bool and len(block) < 256:
        return np.asarray(np.add.reduce(block.view(np.uint8), axis=0, dtype=np.uint8), np.float32)
    most = np.iinfo(np.int16).max // len(block)
    if block.dtype == np.int16 and block.max() <= most and block.min() >= -most:
        return np.asarray(np.add.reduce(block, axis=0, dtype=np.int16), np.float32)
    total = np.array(block[0], np.float32)
    for plane in block[1:]:
        total += plane
    return total
