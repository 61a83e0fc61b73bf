"""Findings that lie somewhere: structures and boxes on the input grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzers.contract.answers import Classification, Measurement
from analyzers.contract.code import Code


@dataclass(frozen=True, slots=True)
class Segment:
    """One structure of a segmentation.

    ``key`` is stable over versions of the analyzer ("left_lung"): tracking identifiers hang on it.
    ``number`` is the value of its voxels in ``Segmentation.labels``.
    """

    key: str
    number: int
    label: str
    category: Code
    kind: Code
    laterality: Code | None = None
    rgb: tuple[int, int, int] = (230, 80, 60)
    measurements: tuple[Measurement, ...] = ()
    classifications: tuple[Classification, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Structures that do not overlap: ``labels`` is uint8 on the input grid, 0 is background.

    A segment without a voxel is a statement ("looked for, not found") and is reported as one.
    Structures that overlap go into several segmentations.
    """

    labels: NDArray[np.uint8]
    segments: tuple[Segment, ...]
    title: str = "Segmentation"


@dataclass(frozen=True, slots=True)
class Detection:
    """A box round something found: corner indices ``(slice, row, column)``, both inclusive."""

    key: str
    kind: Code
    category: Code
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    score: float | None = None
    laterality: Code | None = None
    measurements: tuple[Measurement, ...] = ()
    classifications: tuple[Classification, ...] = ()
