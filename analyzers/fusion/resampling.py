"""A series on the grid of another, by linear interpolation."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.contract import Volume
from analyzers.fusion.rigid import Matrix
from analyzers.fusion.scan import at
from analyzers.grid.field import mirrored_values

AIR_HU = -1024.0
LEAST_SHARE = 0.5
"""Of the voxels between which a value is interpolated: more padding than this gives none."""


def background(volume: Volume) -> float:
    """The value where the series has none: air on CT, else 0."""
    return AIR_HU if volume.modality == "CT" else 0.0


def resampled(
    moving: Volume, onto: Volume, matrix: Matrix, device: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """``moving`` in its units on the grid of ``onto``, and where it has values: not in padding.

    matrix: moving patient LPS mm → patient LPS mm of ``onto``.
    """
    image = torch.from_numpy(np.nan_to_num(moving.values(np.float32))).to(device)
    measured = None
    if moving.valid is not None:
        measured = torch.from_numpy(moving.valid.astype(np.float32)).to(device)
        image = torch.from_numpy(mirrored_values(moving)).nan_to_num().to(device)
    values = np.full(onto.shape, background(moving), np.float32)
    covered = np.zeros(onto.shape, bool)
    to_index = torch.from_numpy(np.linalg.inv(matrix @ moving.affine) @ onto.affine).to(device)
    rows, columns = (torch.arange(n, dtype=torch.float64, device=device) for n in onto.shape[1:])
    plane = torch.cartesian_prod(rows, columns) @ to_index[:3, 1:3].T + to_index[:3, 3]
    for index in range(onto.shape[0]):
        found, inside = at(image, plane + index * to_index[:3, 0])
        if measured is not None:
            share, _ = at(measured, plane + index * to_index[:3, 0])
            inside = torch.where(share >= LEAST_SHARE, inside, 0)
        known = (inside > 0).cpu().numpy().reshape(onto.shape[1:])
        values[index][known] = found.cpu().numpy().reshape(onto.shape[1:])[known]
        covered[index] = known
    return values, covered
