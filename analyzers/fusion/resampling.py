"""A series on the grid of another, by linear interpolation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from analyzers.contract import Volume
from analyzers.fusion.rigid import Matrix
from analyzers.fusion.scan import at
from analyzers.grid.field import mirrored_values
from analyzers.threads import bands

AIR_HU = -1024.0
PLACES_AT_ONCE = 1 << 16
"""Each takes some hundred bytes while its value is looked up."""
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
    values, covered = np.empty(onto.shape, np.float32), np.empty(onto.shape, bool)
    for index, (plane, known) in enumerate(planes(moving, onto, matrix, device)):
        values[index], covered[index] = plane, known
    return values, covered


def planes(
    moving: Volume, onto: Volume, matrix: Matrix, device: str
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """As ``resampled``, slice by slice ``(row, column)``."""
    measured = None
    if moving.valid is None:
        given: NDArray[np.float32] = moving.values(np.float32)
    else:
        given = mirrored_values(moving)
        measured = torch.from_numpy(moving.valid.astype(np.float32)).to(device)
    image = torch.from_numpy(np.nan_to_num(given, copy=False)).to(device)
    to_index = torch.from_numpy(np.linalg.inv(matrix @ moving.affine) @ onto.affine).to(device)
    rows, columns = (torch.arange(n, dtype=torch.float64, device=device) for n in onto.shape[1:])
    places = torch.cartesian_prod(rows, columns) @ to_index[:3, 1:3].T + to_index[:3, 3]
    for index in range(onto.shape[0]):
        values = np.full(onto.shape[1:], background(moving), np.float32)
        covered = np.empty(onto.shape[1:], bool)
        for part in bands(values.size, PLACES_AT_ONCE):
            found, inside = at(image, places[part] + index * to_index[:3, 0])
            if measured is not None:
                share, _ = at(measured, places[part] + index * to_index[:3, 0])
                inside = torch.where(share >= LEAST_SHARE, inside, 0)
            known = (inside > 0).cpu().numpy()
            np.copyto(values.reshape(-1)[part], found.cpu().numpy(), where=known)
            covered.reshape(-1)[part] = known
        yield values, covered
