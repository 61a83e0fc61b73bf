"""The series that a derived image was made from: the analyzed one, or a companion laid on its grid.

Owns which slice of it each slice of the grid has its acquisition from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from analyzers.contract import Findings, Registration, Volume
from node.results.errors import FindingsContradictImages
from node.series.source import Source


@dataclass(frozen=True, slots=True)
class Origin:
    """slices: for every slice of the grid, the slice of ``source`` that lies nearest."""

    source: Source
    slices: tuple[int, ...]

    def header(self, slice_index: int) -> Dataset:
        return self.source.headers[self.source.frames[self.slices[slice_index]].header]


def itself(source: Source) -> Origin:
    """Every slice is made from the one in its place."""
    return Origin(source, tuple(range(len(source.frames))))


def companion(source: Source, role: str, matrix: NDArray[np.float64]) -> Origin:
    """A companion that ``matrix`` (4×4, its LPS mm → the source's) lays on the source.

    Raises ``FindingsContradictImages`` where there is no such companion.
    """
    grid, made_from = volume_of(source), companion_source(source, role)
    other = volume_of(made_from)
    to_slice = np.linalg.inv(matrix @ other.affine) @ grid.affine
    middle = np.array([0.0, (grid.shape[1] - 1) / 2, (grid.shape[2] - 1) / 2, 1.0])
    first = float(to_slice[0] @ middle)
    places = first + to_slice[0, 0] * np.arange(grid.shape[0])
    nearest = np.clip(np.rint(places), 0, other.shape[0] - 1).astype(int)
    return Origin(made_from, tuple(nearest.tolist()))


def companion_source(source: Source, role: str) -> Source:
    """Raises ``FindingsContradictImages`` where there is no companion of this role."""
    if role not in source.companions:
        raise FindingsContradictImages(f"the analyzer was given no series in the role {role!r}")
    return source.companions[role]


def volume_of(source: Source) -> Volume:
    if source.volume is None:
        raise FindingsContradictImages("there are no pixels")
    return source.volume


def matrix_of(findings: Findings, role: str) -> NDArray[np.float64]:
    """Where a companion was laid: as registered, or as the headers say."""
    for item in findings.items:
        if isinstance(item, Registration) and item.role == role:
            return item.matrix
    return np.eye(4)
