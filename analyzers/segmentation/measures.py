"""Measurements that several segmenters report, and the codes that only segmenters use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analyzers import codes
from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import Code, Measurement

if TYPE_CHECKING:
    from analyzers.grid.hounsfield import Hounsfield

AREA = Code("42798000", "SCT", "Area")
MAXIMUM = Code("56851009", "SCT", "Maximum")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
VALUE = Code("IMGVAL", PRIVATE_SCHEME, "Value of the image")
"""For images whose values have no unit (MR)."""


def measured(
    name: Code, value: float, unit: Code, derivation: Code | None = None, digits: int = 2
) -> Measurement:
    """A measurement rounded to ``digits`` decimals."""
    return Measurement(name, round(float(value), digits), unit, derivation)


@dataclass(frozen=True, slots=True)
class Tally:
    """Of the voxels with a label: how many, the sum of their HU, and how many are below a limit."""

    voxels: int
    total_hu: int
    below: int

    def volume_and_attenuation(self, voxel_ml: float) -> tuple[Measurement, ...]:
        """Volume (mL) and mean attenuation (HU); () for no voxel."""
        if not self.voxels:
            return ()
        mean = self.total_hu / self.voxels
        return (
            measured(codes.VOLUME, self.voxels * voxel_ml, codes.MILLILITER),
            measured(codes.ATTENUATION_COEFFICIENT, mean, codes.HOUNSFIELD_UNIT, codes.MEAN),
        )


def tallied(
    hu: Hounsfield, labels: NDArray[np.uint8], numbers: Sequence[int], limit_hu: int = 0
) -> dict[int, Tally]:
    """The voxels of each label of a (z, y, x) grid, plane by plane.

    A voxel counts as below a limit that its HU do not reach.
    """
    found = np.zeros((len(numbers), 3), np.int64)
    for z in range(len(hu)):
        rows = np.flatnonzero(labels[z].any(axis=1))
        if not rows.size:
            continue
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        plane, there = hu[z, part], labels[z, part]
        for index, number in enumerate(numbers):
            values = plane[there == number]
            below = np.count_nonzero(values < limit_hu)
            found[index] += (values.size, values.sum(dtype=np.int64), below)
    return {
        number: Tally(*(int(one) for one in row))
        for number, row in zip(numbers, found, strict=True)
    }
