"""The surface of a structure as triangles, for whoever prints or turns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from analyzers.grid.blur import blur_on_cpu

SMOOTHED_VOXELS = 0.8
"""Standard deviation of the blur that takes the steps of the voxels away."""
TOLERATED = 0.05
"""By so much of its volume a structure may change in being smoothed; else its steps stay."""
MOST_FACES = 1_000_000
"""Of voxels, where a surface is made of them."""
_PER_FACE = 2.5
"""Triangles for each face of a voxel on the surface, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Closed surfaces. The corners of a triangle turn to the left, seen from outside.

    vertices: (n, 3) float32 in the coordinates of the affine. triangles: (m, 3), of vertices.
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int64]

    @property
    def corners(self) -> NDArray[np.float32]:
        """(m, 3, 3): triangle, corner, coordinate."""
        found: NDArray[np.float32] = self.vertices[self.triangles]
        return found

    @property
    def volume(self) -> float:
        """What is enclosed, in the cubed unit of the coordinates."""
        a, b, c = np.moveaxis(self.corners.astype(np.float64), 1, 0)
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def surface(mask: NDArray[np.bool_], affine: NDArray[np.float64], most_triangles: int) -> Surface:
    """Of a mask ``(slice, row, column)`` that is not empty, through the edges of its voxels.

    It is smooth where that leaves the volume as it is, coarser where it would have many more than
    ``most_triangles``, and what is too thin for either has the faces of its voxels. Marching cubes:
    Lewiner 2003 (DOI 10.1080/10867651.2003.10487582).

    Raises ``TooManyFaces``, and ``ValueError`` for a mask without a voxel.
    """
    cut, origin = _cut_out(mask)
    count = _face_count(cut)
    voxel = abs(float(np.linalg.det(affine[:3, :3])))
    wanted = np.count_nonzero(mask) * voxel
    for step in dict.fromkeys((_step(count, most_triangles), 1)):
        for softness in (SMOOTHED_VOXELS * step, 0.0) if count <= MOST_FACES * step**2 else ():
            found = _at(_softened(cut, softness), origin, affine, step)
            if found is not None and abs(found.volume - wanted) <= TOLERATED * wanted:
                return found
    if count > MOST_FACES:
        raise TooManyFaces(f"the surface has {count} faces: at most {MOST_FACES} are made")
    return _faces(cut > 0, origin, affine)


class TooManyFaces(ValueError):
    """The surface of a mask like noise: nobody bears so many triangles."""


def _faces(
    inside: NDArray[np.bool_], origin: NDArray[np.int64], affine: NDArray[np.float64]
) -> Surface:
    """The faces of the voxels: what is thin keeps its whole volume."""
    signs = inside.astype(np.int8)
    edges: list[NDArray[np.int8]] = [signs[1:] - signs[:-1], signs[:, 1:] - signs[:, :-1]]
    edges.append(signs[:, :, 1:] - signs[:, :, :-1])
    quads = np.concatenate([_quads(one, axis) for axis, one in enumerate(edges)])
    placed = (quads.reshape(-1, 3) + origin) @ affine[:3, :3].T + affine[:3, 3]
    first = np.arange(0, 4 * len(quads), 4)[:, None]
    triangles = np.concatenate([first + np.array(one) for one in ((0, 1, 2), (0, 2, 3))])
    return _turned_out(Surface(placed.astype(np.float32), triangles))


def _quads(edges: NDArray[np.int8], axis: int) -> NDArray[np.float64]:
    """(n, 4, 3): the corners of the faces across an axis, in indices of voxels."""
    one, other = (axis + 1) % 3, (axis + 2) % 3
    turns = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    found = []
    for outward, order in ((-1, turns), (1, turns[::-1])):
        places = np.argwhere(edges == outward).astype(np.float64)
        places[:, axis] += 0.5
        corners = np.repeat(places[:, None], 4, axis=1)
        corners[:, :, one] += order[:, 0]
        corners[:, :, other] += order[:, 1]
        found.append(corners)
    return np.concatenate(found)


def _turned_out(made: Surface) -> Surface:
    """A mirrored affine turns a surface inside out."""
    if made.volume < 0:
        return Surface(made.vertices, made.triangles[:, ::-1])
    return made


def _cut_out(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The part that holds the structure with room round it, and where it begins."""
    found = np.nonzero(mask.any(axis=(1, 2))), np.nonzero(mask.any(axis=(0, 2)))
    along = np.nonzero(mask.any(axis=(0, 1)))
    room = 8
    bounds = [(int(one[0][0]), int(one[0][-1]) + 1) for one in (*found, along)]
    part = mask[tuple(slice(first, last) for first, last in bounds)].astype(np.float32)
    origin = np.array([first - room for first, _ in bounds], np.int64)
    return np.pad(part, room), origin


def _face_count(cut: NDArray[np.float32]) -> int:
    """How many faces of voxels lie on the surface; ``ValueError`` for none."""
    count = sum(int(np.count_nonzero(np.diff(cut, axis=axis))) for axis in range(3))
    if not count:
        raise ValueError("the mask is empty")
    return count


def _step(faces: int, most: int) -> int:
    """Every how many voxels the surface is taken."""
    step = 1
    while _PER_FACE * faces / step**2 > most:
        step += 1
    return step


def _softened(cut: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    if not sigma:
        return cut
    return blur_on_cpu(cut.copy(), (sigma, sigma, sigma))


def _at(
    values: NDArray[np.float32],
    origin: NDArray[np.int64],
    affine: NDArray[np.float64],
    step: int,
) -> Surface | None:
    """The surface at one half; None where no value that is looked at reaches it."""
    if values[::step, ::step, ::step].max() <= 0.5:
        return None
    vertices, triangles, _, _ = marching_cubes(values, 0.5, step_size=step)  # type: ignore[no-untyped-call]
    index = vertices.astype(np.float64) + origin
    placed = index @ affine[:3, :3].T + affine[:3, 3]
    return _turned_out(Surface(placed.astype(np.float32), triangles.astype(np.int64)))
