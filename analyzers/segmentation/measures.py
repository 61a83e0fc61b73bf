"""Measurements that several segmenters report, and the codes that only segmenters use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzers import codes
from analyzers.codes import PRIVATE_SCHEME
from analyzers.contract import Code, Measurement

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


def volume_and_attenuation(hu: NDArray[Any], voxel_ml: float) -> tuple[Measurement, ...]:
    """Volume (mL) and mean attenuation (HU) of the voxels with these values; () for none."""
    if hu.size == 0:
        return ()
    mean = float(np.mean(hu, dtype=np.float64))
    return (
        measured(codes.VOLUME, hu.size * voxel_ml, codes.MILLILITER),
        measured(codes.ATTENUATION_COEFFICIENT, mean, codes.HOUNSFIELD_UNIT, codes.MEAN),
    )
