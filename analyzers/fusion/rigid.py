"""Rigid transforms of patient space: LPS mm to LPS mm, as 4×4 matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Matrix = NDArray[np.float64]


def rigid(rotation_deg: Matrix, translation_mm: Matrix, centre_mm: Matrix) -> Matrix:
    """Turn about ``centre_mm`` by a rotation vector (axis × degrees), then shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotation_deg, degrees=True).as_matrix()
    matrix[:3, 3] = centre_mm + translation_mm - matrix[:3, :3] @ centre_mm
    return matrix


def inverse(matrix: Matrix) -> Matrix:
    """The rigid transform back."""
    back = np.eye(4)
    back[:3, :3] = matrix[:3, :3].T
    back[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return back


def moved(matrix: Matrix, points_mm: Matrix) -> Matrix:
    """Points ``(n, 3)`` after the transform."""
    after: Matrix = points_mm @ matrix[:3, :3].T + matrix[:3, 3]
    return after


def angles_deg(matrix: Matrix) -> Matrix:
    """Rotation about x, then y, then z, all axes fixed in the patient."""
    angles: Matrix = Rotation.from_matrix(matrix[:3, :3]).as_euler("xyz", degrees=True)
    return angles


def corners(shape: tuple[int, ...], affine: Matrix) -> Matrix:
    """The eight corner voxels of a grid in patient mm, ``(8, 3)``."""
    indices = np.stack(np.meshgrid(*[(0.0, n - 1.0) for n in shape], indexing="ij"), -1)
    return moved(affine, indices.reshape(-1, 3))
